"""The sign-in stub: who is at the form, and for which organization.

A stand-in for your single sign-on. What matters is kept: the organization comes from here, on the server, and from
nothing that a visitor can type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Customer:
    """Someone who has signed in."""

    name: str
    organization: str
    organization_id: int


DEMO_CUSTOMERS = (
    Customer("Noor Haddad", "Harborline Scaffolding", 360_033_549_136),
    Customer("Tomas Vrba", "Kestrel Event Rigging", 360_033_550_323),
    Customer("Ada Lindqvist", "Bluestone Landscaping", 360_033_551_510),
)
"""Of three organizations of the source stub."""


def customers(organizations: Mapping[int, str] | None) -> tuple[Customer, ...]:
    """Who can sign in: the demo's customers, or one for each configured organization."""
    if not organizations:
        return DEMO_CUSTOMERS
    return tuple(Customer("A customer", name, number) for number, name in organizations.items())
