"""The page, which `milvus-support-form` serves.

Streamlit runs this file from top to bottom whenever a visitor does something. What must outlast a run is in `Visit`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from support_form import markup
from support_form.customers import Customer, customers
from support_form.desk import AlreadyOpen, Case, Desk, DeskClosed, Outcome, Received, draw_number, explained
from support_form.settings import Settings, read_settings

logger = logging.getLogger("support_form")

COMPANY = "Tallyroost"
"""The name on top of the page."""

ICON = str(Path(__file__).with_name("icon.svg"))

SUBJECT_LENGTH, DESCRIPTION_LENGTH = 150, 4000
"""Characters; more than a model reads would not be searched."""


@dataclass
class Draft:
    """A case that is being written."""

    number: int = field(default_factory=draw_number)
    subject: str = ""
    description: str = ""


@dataclass
class Visit:
    """What the page remembers of one visitor.

    Plain attributes, set at once after the work is done: a second click stops a run at Streamlit's next call, and what
    had been done before must not be forgotten.
    """

    customer: Customer | None = None
    is_open: bool = False
    draft: Draft = field(default_factory=Draft)
    outcome: Outcome | None = None
    closed: DeskClosed | None = None
    mistakes: tuple[str, ...] = ()


@st.cache_resource(show_spinner=False)
def _settings() -> Settings:
    with explained():
        return read_settings(os.environ)


@st.cache_resource(show_spinner=False)
def _desk() -> Desk:
    return Desk(_settings())


def main() -> None:
    """Draw the page that the visitor is on."""
    logging.getLogger("airbyte").setLevel(logging.WARNING)
    st.set_page_config(page_title=f"{COMPANY} Support", page_icon=ICON, layout="centered")
    st.html(f"<style>{markup.STYLE}</style>")
    visit: Visit = st.session_state.setdefault("visit", Visit())
    st.html(markup.brand(COMPANY, visit.customer))
    try:
        _draw(visit)
    except Exception:
        logger.exception("The page failed.")
        unexpected = "This is a bug; the log of the form says more. Reload the page to start over."
        st.html(markup.trouble("Something went wrong on our side", unexpected))


def _draw(visit: Visit) -> None:
    if not visit.is_open:
        _open_page(visit)
    elif visit.customer is None:
        _sign_in_page(visit)
    elif isinstance(visit.outcome, Received):
        _received_page(visit, visit.customer, visit.outcome)
    elif isinstance(visit.outcome, AlreadyOpen):
        _already_open_page(visit, visit.customer, visit.outcome)
    else:
        _case_page(visit, visit.customer)


def _open_page(visit: Visit) -> None:
    """Look first whether a case could be taken in: nobody should write one in vain."""
    try:
        with st.spinner("Opening the support desk …"):
            _desk().require_open()
    except DeskClosed as closed:
        st.title("Support is not available", anchor=False)
        st.html(markup.trouble(closed.headline, closed.detail))
        st.button("Try again", type="primary")
        return
    visit.is_open = True
    st.rerun()


def _sign_in_page(visit: Visit) -> None:
    st.title("Sign in", anchor=False)
    st.write("A stand-in for your own sign-in: choose who you are. Your cases are those of your organization.")
    people = customers(_settings().organizations)
    with st.form("sign-in", border=False):
        chosen = st.radio(
            "Account",
            people,
            format_func=lambda person: person.name,
            captions=[f"{person.organization} · organization {person.organization_id}" for person in people],
        )
        if st.form_submit_button("Continue", type="primary"):
            visit.customer = chosen
            st.rerun()


def _case_page(visit: Visit, customer: Customer) -> None:
    st.title("How can we help?", anchor=False)
    st.write("Tell us what happened. We look at your organization's open cases and at our help articles first.")
    if visit.closed is not None:
        st.html(markup.trouble(visit.closed.headline, f"Your text is still here. {visit.closed.detail}"))
    if visit.mistakes:
        st.html(markup.mistakes(visit.mistakes))
    with st.form("case", border=False):
        subject = st.text_input(
            "Subject",
            value=visit.draft.subject,
            max_chars=SUBJECT_LENGTH,
            placeholder="For example: Labels print half a line too low",
        )
        description = st.text_area(
            "Description",
            value=visit.draft.description,
            max_chars=DESCRIPTION_LENGTH,
            height=200,
            placeholder="What did you do, what happened, what did you expect?",
        )
        if st.form_submit_button("Send", type="primary"):
            visit.draft.subject, visit.draft.description = subject, description
            _send(visit, customer)
    st.caption(f"Cases and articles are compared by the model {_settings().model}.")
    _sign_out(visit)


def _already_open_page(visit: Visit, customer: Customer, outcome: AlreadyOpen) -> None:
    several = len(outcome.tickets) > 1
    st.title("We are on it already", anchor=False)
    st.html(
        markup.status(
            f"{customer.organization} has {'open cases that tell' if several else 'an open case that tells'} the same "
            "problem, so we did not open another one. You will hear from us there."
        )
    )
    st.html(markup.known(outcome.tickets))
    with st.container(horizontal=True):
        if st.button("Report something else", type="primary"):
            _start_over(visit)
        if st.button("This is a different problem: send it"):
            _send(visit, customer, is_different=True)
    _sign_out(visit)


def _received_page(visit: Visit, customer: Customer, outcome: Received) -> None:
    st.title("We have your case", anchor=False)
    st.html(markup.status("A person will read it and answer. Keep the number in case you want to ask about it."))
    st.html(markup.receipt(outcome.number, visit.draft.subject.strip(), customer))
    if outcome.articles:
        st.header("These articles may help at once", anchor=False)
        st.html(markup.links(outcome.articles))
    else:
        st.write("We found no help article about it.")
    if st.button("Report something else", type="primary"):
        _start_over(visit)
    _sign_out(visit)


def _send(visit: Visit, customer: Customer, *, is_different: bool = False) -> None:
    """Take the case in, once: a second click finds the outcome of the first."""
    subject, description = visit.draft.subject.strip(), visit.draft.description.strip()
    visit.closed, visit.mistakes = None, _mistakes(subject, description)
    if not visit.mistakes:
        case = Case(visit.draft.number, customer, subject, description)
        with st.spinner("Looking for open cases and articles …"):
            try:
                visit.outcome = _desk().submit(case, is_different=is_different)
            except DeskClosed as closed:
                visit.closed, visit.outcome = closed, None
    st.rerun()


def _mistakes(subject: str, description: str) -> tuple[str, ...]:
    checks = (
        (subject, "Write a subject: a few words that name the problem."),
        (description, "Write a description: what you did, and what happened."),
    )
    return tuple(sentence for value, sentence in checks if not value)


def _start_over(visit: Visit) -> None:
    visit.draft, visit.outcome, visit.closed, visit.mistakes = Draft(), None, None, ()
    st.rerun()


def _sign_out(visit: Visit) -> None:
    if st.button("Sign out", type="tertiary"):
        visit.customer = None
        _start_over(visit)


if __name__ == "__main__":
    main()
