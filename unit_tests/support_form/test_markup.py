"""What goes into the page as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from support_form import markup
from support_form.customers import Customer
from support_form.search import Article, Ticket

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("<>&\"'"), max_size=40)


class _Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.tags.append(tag)


def tags(html: str) -> list[str]:
    """The elements of a piece of HTML."""
    return _Reader(html).tags


@given(text=TEXT)
def test_no_text_becomes_markup(text: str) -> None:
    """Subjects, titles, addresses and names make the same elements whatever they hold."""
    customer, plain = Customer(text, text, 1), Customer("Name", "Name", 1)
    pairs = (
        (markup.known([Ticket(1, text, text, 0.1)]), markup.known([Ticket(1, "Subject", "new", 0.1)])),
        (markup.links([Article(text, text, 0.1)]), markup.links([Article("Title", "https://help.example", 0.1)])),
        (markup.receipt(1, text, customer), markup.receipt(1, "Subject", plain)),
        (markup.brand(text, customer), markup.brand("Company", plain)),
        (markup.trouble(text, text), markup.trouble("Headline", "Detail")),
        (markup.mistakes([text]), markup.mistakes(["A mistake"])),
        (markup.status(text), markup.status("A sentence")),
    )
    for hostile, harmless in pairs:
        assert tags(hostile) == tags(harmless)


def test_alerts_and_outcomes_are_announced() -> None:
    """Screen readers hear of trouble at once, and of what became of the case."""
    assert 'role="alert"' in markup.trouble("Headline", "Detail")
    assert 'role="alert"' in markup.mistakes(["A mistake"])
    assert 'role="status"' in markup.status("A sentence")


def test_a_ticket_without_a_subject_still_has_a_name() -> None:
    """Its number is there, and words in place of the subject."""
    card = markup.known([Ticket(12, "", "hold", 0.1)])
    assert "#12" in card
    assert "On hold" in card
    assert "Without a subject" in card
