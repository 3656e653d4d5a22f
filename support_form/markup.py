"""The parts of the page that Streamlit has no element for, as HTML. Pure.

Subjects and titles are what somebody once typed: everything goes through `escape`.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from support_form.customers import Customer
from support_form.search import Article, Ticket

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")

_STATUS_WORDS = {"new": "New", "open": "In progress", "pending": "Waiting for an answer", "hold": "On hold"}


def brand(company: str, customer: Customer | None) -> str:
    """The bar on top, which says who is signed in."""
    who = "" if customer is None else f"<p>{escape(customer.name)}<span>{escape(customer.organization)}</span></p>"
    mark = escape(company[:1])
    return (
        f'<header class="sf-brand"><div><span class="sf-mark" aria-hidden="true">{mark}</span>'
        f"<b>{escape(company)}</b> Support</div>{who}</header>"
    )


def trouble(headline: str, detail: str) -> str:
    """Something that did not work; read out at once."""
    return (
        f'<section class="sf-trouble" role="alert"><h2>{escape(headline)}</h2>'
        f'<p class="sf-detail">{escape(detail)}</p></section>'
    )


def mistakes(sentences: Iterable[str]) -> str:
    """What is to be mended in the form; read out at once."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<section class="sf-trouble sf-mistakes" role="alert"><ul>{items}</ul></section>'


def status(sentence: str) -> str:
    """What became of the case; read out."""
    return f'<p role="status">{escape(sentence)}</p>'


def known(tickets: Iterable[Ticket]) -> str:
    """Open tickets of the customer's organization."""
    items = "".join(
        f'<li><span class="sf-number">#{ticket.number}</span>'
        f'<span class="sf-status">{escape(_STATUS_WORDS.get(ticket.status, ticket.status))}</span>'
        f"<strong>{escape(ticket.subject or 'Without a subject')}</strong></li>"
        for ticket in tickets
    )
    return f'<ul class="sf-cards">{items}</ul>'


def receipt(number: int, subject: str, customer: Customer) -> str:
    """What the customer takes along."""
    return (
        '<section class="sf-receipt"><dl>'
        f'<div><dt>Case number</dt><dd class="sf-number">#{number}</dd></div>'
        f"<div><dt>Subject</dt><dd>{escape(subject)}</dd></div>"
        f"<div><dt>Reported by</dt><dd>{escape(customer.name)}, {escape(customer.organization)}</dd></div>"
        "</dl></section>"
    )


def links(articles: Iterable[Article]) -> str:
    """Articles, nearest first."""
    items = "".join(
        f'<li><a href="{escape(article.url)}" target="_blank" rel="noopener">{escape(article.title)}</a></li>'
        for article in articles
    )
    return f'<ul class="sf-cards sf-links">{items}</ul>'
