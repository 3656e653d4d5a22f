"""Which pages of GNOME's help are documents and queries, on pages made for it; what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.quality import languages
from benchmarks.quality.languages import ENGLISH, LANGUAGES, Page, pages

PAGE = """<page xmlns="http://projectmallard.org/1.0/" type="{kind}" id="p">
<info><desc>{description}</desc><credit><p>Nobody reads this.</p></credit></info>
<title>{title}</title><p>{first}</p><section><title>More</title><p>{second}</p></section></page>"""


@pytest.fixture
def help_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is laid out as Debian's package, with empty languages."""
    monkeypatch.setattr(languages, "WORK", tmp_path)
    monkeypatch.setattr(languages, "INSTALLED", tmp_path)
    folder = tmp_path / "packages" / languages.PACKAGE / languages.HELP
    for code in LANGUAGES:
        (folder / code / "gnome-help").mkdir(parents=True)
    return folder


def put(folder: Path, code: str, name: str, description: str, *lines: str, kind: str = "topic") -> None:
    title, first, second = lines
    page = PAGE.format(kind=kind, description=description, title=title, first=first, second=second)
    (folder / code / "gnome-help" / f"{name}.page").write_text(page, encoding="utf-8")


ENGLISH_LINES = ("Set an alarm", "Open the clock and choose a time.", "Press the button to stop it.")


def test_a_document_is_a_page_without_its_description(help_folder: Path) -> None:
    put(help_folder, ENGLISH, "alarm", "Wake up in time.", *ENGLISH_LINES)
    put(help_folder, ENGLISH, "clock", "All about clocks.", *ENGLISH_LINES, kind="guide")
    body = "Set an alarm\n\nOpen the clock and choose a time.\n\nMore\n\nPress the button to stop it."
    assert pages()[ENGLISH] == [Page("alarm", "Wake up in time.", body)]


def test_what_is_not_translated_is_no_document_and_no_query(help_folder: Path) -> None:
    put(help_folder, ENGLISH, "alarm", "Wake up in time.", *ENGLISH_LINES)
    put(help_folder, ENGLISH, "radio", "Hear the news.", "Radio", "Turn the knob to the left.", "Then wait.")
    put(help_folder, "de", "alarm", "Wake up in time.", "Wecker stellen", "Die Uhr öffnen und eine Zeit wählen.", "x")
    put(help_folder, "de", "radio", "Nachrichten hören.", "Radio", "Turn the knob to the left.", "Dann warten.")
    [alarm] = pages()["de"]
    assert (alarm.name, alarm.description) == ("alarm", "")
    assert alarm.body == "Wecker stellen\n\nDie Uhr öffnen und eine Zeit wählen.\n\nx"


def test_a_description_of_two_pages_asks_for_neither(help_folder: Path) -> None:
    for name in ("one", "two"):
        lines = (f"時計 {name}", "時計を開いて、時刻を選んでください。", "終わりです。")
        put(help_folder, "ja", name, "時計を使う", *lines)
    assert [page.description for page in pages()["ja"]] == ["", ""]


def test_where_the_pages_are_missing_it_says_what_to_install(help_folder: Path) -> None:
    (help_folder / "zh_CN" / "gnome-help").rmdir()
    with pytest.raises(SystemExit, match=r"apt-get install gnome-user-docs.*packages/gnome-user-docs"):
        pages()
