# ruff: noqa: RUF001 - texts in other scripts
"""Chunks hold their limits, lose nothing, and are cut where a reader would cut."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import tracemalloc
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any, get_args

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_text_splitters import RecursiveCharacterTextSplitter

from destination_milvus.config.processing import Language, Processing
from destination_milvus.documents import chunking
from destination_milvus.documents.chunking import Chunker
from destination_milvus.documents.scripts import SENTENCE_END, last_end
from destination_milvus.documents.tokenizer import count_tokens, encoding
from destination_milvus.fields import MAX_VARCHAR_BYTES
from destination_milvus.model import Document

# characters whose tokens and borders meet: letters that merge, digits that group by three, every kind of space,
# punctuation that swallows line breaks, characters of one to four bytes, a token's worth of spaces
ALPHABET = [
    *"aabe19 .,-='#`\n\n\t\r", "  ", "\n\n", "\r\n", " the", "ing", "2024", "tion ", "é", "ß ", "Привет ", "שלום",
    "\u00a0", "\u3000", "\u2028", "\x1c", "文", "字 ", "ア", "한국 ", "😀", "👨\u200d👩", "\u0301", "```\n", "\n# ",
    "<|endoftext|>", "x" * 40, " " * 90, "!!\n\n", "QUJDRA==", "'s", "'LL",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(ALPHABET), max_size=120).map("".join) | st.text(max_size=120)
WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]), min_size=1, max_size=300)
SIZES = st.integers(8, 60)
PROSE = "\n\n".join(
    " ".join(f"Sentence {part}.{number} tells what happened to printer number {number * part}." for number in range(9))
    for part in range(60)
)
SPLITTERS: list[dict[str, Any]] = [
    {"mode": "separator"},
    {"mode": "separator", "keep_separator": True},
    {"mode": "separator", "separators": ['"\\n"', '". "']},
    {"mode": "separator", "separators": ['""', '" "'], "keep_separator": True},
    {"mode": "markdown", "split_level": 3},
    {"mode": "code", "language": "python"},
    {"mode": "code", "language": "markdown"},
    {"mode": "code", "language": "latex"},
]


def document(text: str, context: str = "") -> Document:
    return Document(text=text, context=context, metadata={}, emitted_at=0)


def chunker(size: int, overlap: int = 0, **splitter: Any) -> Chunker:
    chosen = {"text_splitter": splitter} if splitter else {}
    return Chunker.configured(Processing.model_validate({"chunk_size": size, "chunk_overlap": overlap, **chosen}))


def without_space(text: str) -> str:
    return "".join(text.split())


# --- limits -----------------------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(TEXTS, TEXTS, SIZES, st.integers(0, 59), st.sampled_from(SPLITTERS))
@example("x" * 40 + " " * 90, "", 8, 7, {"mode": "separator"})
def test_every_chunk_holds_both_limits(
    text: str, context: str, size: int, overlap: int, splitter: dict[str, Any]
) -> None:
    chunks = chunker(size, overlap % size, **splitter).split(document(text, context))
    for chunk in chunks:
        assert count_tokens(chunk) <= size
        assert len(chunk.encode()) <= MAX_VARCHAR_BYTES
        assert chunk.strip()
        assert chunk[0].strip()


@settings(deadline=None)
@given(TEXTS, TEXTS, SIZES, st.integers(256, 400), st.sampled_from(SPLITTERS))
def test_chunks_fit_a_narrow_column_and_nothing_is_lost(
    text: str, context: str, size: int, room: int, splitter: dict[str, Any]
) -> None:
    """The column of a collection that somebody else made decides where it holds less than a chunk may have."""
    given_size = Processing.model_validate({"chunk_size": size * 20, "text_splitter": splitter})
    chunks = Chunker.configured(given_size, room).split(document(text * 5, context))
    assert all(len(chunk.encode()) <= room for chunk in chunks)
    assert Chunker.configured(given_size, MAX_VARCHAR_BYTES) == Chunker.configured(given_size)
    if splitter.get("mode") == "separator" and "separators" not in splitter and not context.strip():
        assert without_space("".join(chunks)) == without_space(text * 5)


@pytest.mark.parametrize("size", range(1, 8))
def test_below_eight_tokens_plain_text_still_holds_the_limit(size: int) -> None:
    for chunk in chunker(size).split(document("the cat sat on internationalization, 1234567")):
        assert count_tokens(chunk) <= size


def test_a_character_of_several_tokens_stays_whole() -> None:
    """There is no smaller text than one character: here the limit gives way, not the text."""
    assert chunker(1).split(document("𓀀𓀁", "context")) == ["𓀀", "𓀁"]


@settings(deadline=None)
@given(TEXTS, SIZES, st.sampled_from(SPLITTERS[:2] + SPLITTERS[4:]))
def test_without_overlap_nothing_but_whitespace_is_lost(text: str, size: int, splitter: dict[str, Any]) -> None:
    chunks = chunker(size, **splitter).split(document(text))
    assert without_space("".join(chunks)) == without_space(text)


@settings(deadline=None)
@given(TEXTS, SIZES, st.integers(0, 59), st.sampled_from(SPLITTERS[:2] + SPLITTERS[4:]))
def test_with_overlap_chunks_are_stretches_of_the_text_in_order(
    text: str, size: int, overlap: int, splitter: dict[str, Any]
) -> None:
    """Each chunk goes on beyond the one before, and no character between two is skipped but whitespace."""
    reached = {0}  # where the chunks so far may end: the same words may stand in several places
    for chunk in chunker(size, overlap % size, **splitter).split(document(text)):
        starts = [start for start in range(len(text)) if text.startswith(chunk, start)]
        reached = {
            start + len(chunk)
            for start in starts
            for done in reached
            if start + len(chunk) > done and not text[done:start].strip()
        }
    assert any(not text[done:].strip() for done in reached)


@settings(deadline=None)
@given(WORDS, SIZES, st.integers(0, 59), st.sampled_from([" ", "\n", "\n\n", ". ", ", "]))
def test_every_word_is_whole_in_some_chunk(words: list[str], size: int, overlap: int, between: str) -> None:
    numbered = [f"{word}{number}" for number, word in enumerate(words)]
    chunks = chunker(size, overlap % size).split(document(between.join(numbered)))
    found = [word for chunk in chunks for word in re.findall(r"\w+", chunk)]
    assert list(dict.fromkeys(found)) == numbered


# --- counting ---------------------------------------------------------------------------------------------------------


@settings(max_examples=500, deadline=None)
@given(TEXTS.filter(bool), st.integers(0, 200), st.integers(0, 200))
def test_a_stretch_of_a_block_is_counted_as_if_encoded_alone(text: str, first: int, second: int) -> None:
    """The count rests on borders of cl100k that hold in any text; here they meet the alphabet made to break them."""
    start, end = sorted((min(first, len(text)), min(second, len(text))))
    offsets = [len(text[:position].encode()) for position in (start, end)]
    block = chunking._Block(text.encode(), 0)
    assert block.count(*offsets) == count_tokens(text[start:end])


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS)
def test_a_context_adds_the_same_tokens_to_every_chunk(context: str, text: str) -> None:
    lead, body = context.strip() + "\n\n", text.strip()
    if body:
        assert count_tokens(lead + body) == count_tokens(lead) + count_tokens(body)


def test_text_of_few_bytes_is_not_counted_at_all() -> None:
    """Most tickets: a token has at least one byte, so the vocabulary is not even loaded."""
    program = (
        "import sys\n"
        "from destination_milvus.documents.chunking import Chunker\n"
        "from destination_milvus.model import Document\n"
        "document = Document(text=' Printer on fire ', context='HELP', metadata={}, emitted_at=0)\n"
        "assert Chunker(100).split(document) == ['HELP\\n\\nPrinter on fire']\n"
        "assert not {'tiktoken', 'langchain_text_splitters'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# --- where it is cut --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "\u3000\u00a0", "\x1c\x1f\u2028", " " * 300_000])
def test_text_of_whitespace_alone_has_no_chunks(text: str) -> None:
    assert chunker(10).split(document(text, "a context is no text")) == []


def test_text_that_fits_is_one_chunk_without_its_outer_whitespace() -> None:
    assert chunker(1000).split(document("\n  " + PROSE[:2000] + " \n")) == [PROSE[:2000].strip()]


def test_paragraphs_go_before_lines_and_lines_before_words() -> None:
    for chunk in chunker(200).split(document(PROSE)):
        assert chunk.startswith("Sentence")
    lines = PROSE.replace("\n\n", " ").replace(". ", ".\n")
    for chunk in chunker(100).split(document(lines)):
        assert chunk.startswith("Sentence")
        assert chunk.endswith(".")


def test_a_separator_in_the_lower_half_is_taken_where_none_is_above() -> None:
    text = "First line\n" + "x1" * 100
    only_lines = chunker(60, separators=['"\\n"'], mode="separator")
    assert only_lines.split(document(text))[0] == "First line"


def test_a_dropped_separator_is_in_no_chunk() -> None:
    text = "---".join(f"part {number} of some text" for number in range(30))
    chunks = chunker(40, mode="separator", separators=['"---"']).split(document(text))
    assert "---".join(chunks) == text
    assert all(chunk.startswith("part") for chunk in chunks)


def test_a_kept_separator_begins_the_next_chunk() -> None:
    """As langchain and so the existing connector keep it."""
    text = "".join(f"---part {number} of some text" for number in range(30))
    chunks = chunker(40, mode="separator", separators=['"---"'], keep_separator=True).split(document(text))
    assert "".join(chunks) == text
    assert all(chunk.startswith("---part") for chunk in chunks)


def test_the_empty_separator_cuts_anywhere() -> None:
    chunks = chunker(20, mode="separator", separators=['""']).split(document("word " * 100))
    assert all(count_tokens(chunk) == 20 for chunk in chunks[:-1])


def test_chunks_are_fuller_than_those_of_langchain() -> None:
    oracle = RecursiveCharacterTextSplitter(chunk_size=150, chunk_overlap=0, length_function=count_tokens)
    expected = oracle.split_text(PROSE)
    chunks = chunker(150).split(document(PROSE))
    assert without_space("".join(chunks)) == without_space("".join(expected))
    assert len(chunks) <= len(expected)


# --- scripts ----------------------------------------------------------------------------------------------------------

SENTENCES = {
    "Chinese": [
        "您可以在设置里更改密码。",
        "忘记密码了吗?请联系管理员!",
        "他说：“请稍等。”",
        "完成后，重新登录（可选）。",
        "版本 3.2 已发布！",
    ],
    "Japanese": [
        "設定でパスワードを変更できます。",
        "パスワードをお忘れですか？",
        "「少々お待ちください。」",
        "管理者に連絡してください！",
    ],
    "Korean": ["설정에서 암호를 바꿀 수 있습니다. ", "암호를 잊으셨나요? ", "관리자에게 문의하십시오. "],
    "Russian": ["Пароль можно изменить в настройках. ", "Забыли пароль? ", "Обратитесь к администратору (по почте.) "],
    "Arabic": ["يمكنك تغيير كلمة المرور في الإعدادات. ", "هل نسيت كلمة المرور؟ ", "اتصل بالمسؤول. "],
    "Hebrew": ["אפשר לשנות את הסיסמה בהגדרות. ", "שכחת את הסיסמה? ", "פנה אל המנהל. "],
    "Hindi": ["आप सेटिंग में पासवर्ड बदल सकते हैं। ", "क्या आप पासवर्ड भूल गए? ", "व्यवस्थापक से संपर्क करें। "],
    "Thai": ["คุณสามารถเปลี่ยนรหัสผ่านได้ในการตั้งค่า ", "ลืมรหัสผ่านใช่ไหม ", "โปรดติดต่อผู้ดูแลระบบ "],
}
"""Each has fewer than 40 tokens."""
CLUSTERS = [
    "é",
    "e\u0301",
    "ก็",
    "นี่",
    "กำ",
    "ष्ट्र",
    "नि",
    "각",
    "\u1112\u1161\u11ab",
    "👨\u200d👩\u200d👧\u200d👦",
    "👍🏽",
    "🇩🇪",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1\ufe0f\u20e3",
    "が",
    "か\u3099",
    "שָׁ",
    "بِّ",
    "文",
    "x",
]


@settings(deadline=None)
@given(st.sampled_from(list(SENTENCES)), st.data(), st.integers(100, 300), st.integers(0, 40))
def test_a_chunk_ends_at_a_sentence_in_scripts_of_many_kinds(
    language: str, data: st.DataObject, size: int, overlap: int
) -> None:
    """Without a line break, and without a space where the script has none: there is always an end in reach."""
    sentences = data.draw(st.lists(st.sampled_from(SENTENCES[language]), min_size=1, max_size=120))
    text = "".join(sentences)
    ends = {len(text[:position].rstrip()) for position in accumulate(map(len, sentences))}
    reached = {0}  # where the chunks so far may end: the same sentence may stand in several places
    for chunk in chunker(size, overlap).split(document(text)):
        assert count_tokens(chunk) <= size
        found = {start + len(chunk) for start in range(len(text)) if text.startswith(chunk, start)}
        reached = {end for end in found & ends for done in reached if not text[done : end - len(chunk)].strip()}
    assert len(text.rstrip()) in reached


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=150).map("".join), st.integers(30, 80), st.integers(0, 29)
)
@example("🇩🇪" * 60, 30, 0)
@example("🇩🇪" * 60, 31, 13)
def test_what_a_reader_sees_as_one_character_stays_whole(text: str, size: int, overlap: int) -> None:
    """Letters with their marks, families of emoji, flags: each has room in any of these chunks."""
    borders = {0, *accumulate(map(len, regex.findall(r"\X", text)))}
    reached = {0}  # where the chunks so far may end: the same characters may stand in several places
    for chunk in chunker(size, overlap).split(document(text)):
        assert count_tokens(chunk) <= size
        starts = [start for start in borders if text.startswith(chunk, start)]
        ends = {start + len(chunk) for start in starts for done in reached if start <= done < start + len(chunk)}
        reached = ends & borders
    assert len(text) in reached


def test_a_letter_with_more_marks_than_a_chunk_has_tokens_is_divided() -> None:
    """The limit holds: a service refuses what is longer."""
    text = "Z" + "\u0301\u0302" * 300 + " end"
    chunks = chunker(20).split(document(text))
    assert max(map(count_tokens, chunks)) <= 20
    assert without_space("".join(chunks)) == without_space(text)


def test_where_no_sentence_ends_a_clause_does() -> None:
    clause = "如果您的电脑在登录以后很长时间没有任何反应，"
    for chunk in chunker(100).split(document(clause * 30)):
        assert chunk.endswith("，")


def test_a_stop_keeps_its_quotes_and_brackets() -> None:
    for chunk in chunker(60).split(document("他说：“请稍等一下，我马上就回来（真的！）。”" * 30)):
        assert chunk.endswith("。”")


@pytest.mark.parametrize("text", ["и т. д. и т. п. ", "г. Москва, ул. Ленина, "])
def test_an_initial_is_no_end_of_a_sentence(text: str) -> None:
    assert last_end(SENTENCE_END, text.encode(), 0, 999) in {None, len("г. Москва, ул.".encode())}


def test_separators_go_before_marks_and_marks_before_words() -> None:
    text = "第一句话在这里结束了。第二句 话也是\n" * 20
    assert all(chunk.endswith("话也是") for chunk in chunker(60).split(document(text)))
    spaced = "第一句话在这里结束了。第二句 话也是这样的 哦" * 20
    assert all(chunk.endswith("。") for chunk in chunker(60).split(document(spaced))[:-1])
    custom = chunker(60, mode="separator", separators=['"哦"', '" "'], keep_separator=True)
    assert all(chunk.startswith("哦") for chunk in custom.split(document(spaced))[1:])


def test_who_asks_for_words_or_windows_alone_gets_them() -> None:
    text = "第一句话在这里结束了。第二句话也是这样结束的。" * 20
    for separators in (['""'], ['""', '" "']):
        chunks = chunker(40, mode="separator", separators=separators).split(document(text))
        assert min(map(count_tokens, chunks[:-1])) > 37


def test_latin_script_is_cut_as_ever() -> None:
    """Moved borders would have what is stored embedded again: these are the chunks of CHUNKER_VERSION 1."""
    german = PROSE.replace("printer", "Drücker für „Größe“").replace("tells", "dit: «é»")
    text = PROSE + "\n\n" + german.replace("\n\n", " ")
    digest = sha256()
    for size, overlap in ((50, 10), (200, 20), (1000, 50)):
        digest.update("\0".join(chunker(size, overlap).split(document(text))).encode())
    assert digest.hexdigest() == "f2c90b9d271d4143cd3cce7142c93d7e8aa6698dd3e24c0b899f3c7fb54ddef8"


# --- overlap ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "overlap"), [(100, 20), (100, 60), (50, 40), (1000, 50)])
def test_neighbours_share_the_overlap_from_a_word_on(size: int, overlap: int) -> None:
    words = " ".join(f"w{number}" for number in range(3000))
    chunks = chunker(size, overlap).split(document(words))
    for before, after in pairwise(chunks):
        shared = before[before.index(after.split(" ", 1)[0] + " ") :] if " " in after else ""
        assert after.startswith(shared)
        assert overlap - 4 <= count_tokens(shared) <= overlap + 1


def test_scripts_without_spaces_overlap_by_characters() -> None:
    text = "".join(chr(0x4E00 + number) for number in range(2000))
    for before, after in pairwise(chunker(100, 20).split(document(text))):
        shared = before[before.index(after[0]) :]
        assert after.startswith(shared)
        assert 15 <= count_tokens(shared) <= 24


def test_the_middle_of_a_blob_is_not_repeated() -> None:
    blob = "QUJDRA09xyz/" * 200
    assert "".join(chunker(100, 20).split(document(blob))) == blob


def test_an_overlap_that_leaves_no_room_is_left_out() -> None:
    """A single word of more tokens than the rest of the chunk must not stop the splitting."""
    text = "a b c d e f g " + "xqzj" * 30 + " h i j"
    chunks = chunker(10, 9).split(document(text))
    assert chunks[-1].endswith("h i j")
    assert len(chunks) < len(text)
    one, other = "9.\u0301", "👨\u200d👩"  # of four tokens and of seven
    assert chunker(8, 6).split(document(one + other)) == [one, other]


def test_a_cut_that_adds_tokens_is_moved_back_until_the_chunk_holds_its_limit() -> None:
    """Tokens meet across a border: cut there, both sides may have more than the whole had."""
    chunks = chunker(8, 7).split(document("한국 👨\u200d👩1!!\n\nア"))
    assert len(chunks) > 1
    assert max(map(count_tokens, chunks)) <= 8


# --- Markdown ---------------------------------------------------------------------------------------------------------


def section(level: int, name: str, words: int) -> str:
    return f"{'#' * level} {name}\n\n" + " ".join(["word"] * words)


def test_sections_are_cut_at_headings_and_packed_while_they_fit() -> None:
    """As the existing connector does: several sections share a chunk where its size fits them."""
    parts = [section(1, name, 30) for name in "ABCDEF"]
    chunks = chunker(80, mode="markdown").split(document("\n\n".join(parts)))
    assert chunks == ["\n\n".join(pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


def test_markdown_sections_are_packed_no_worse_than_by_the_existing_connector() -> None:
    parts = [section(1 + number % 2, f"Part {number}", 5 + number * 7 % 30) for number in range(40)]
    text = "\n\n".join(parts)
    oracle = RecursiveCharacterTextSplitter(
        chunk_size=100,
        chunk_overlap=0,
        length_function=count_tokens,
        separators=["(?:^|\n)# "],
        is_separator_regex=True,
        keep_separator=True,
    )
    chunks = chunker(100, mode="markdown").split(document(text))
    assert "\n\n".join(chunks) == text
    assert all(chunk.startswith("# Part") for chunk in chunks)
    assert len(chunks) <= len(oracle.split_text(text))


def test_higher_headings_go_first_and_deeper_ones_are_no_borders() -> None:
    text = "\n".join([section(2, "A", 20), section(1, "B", 20), section(2, "C", 20), section(3, "D", 60)])
    starts = [chunk.splitlines()[0] for chunk in chunker(90, mode="markdown", split_level=2).split(document(text))]
    assert starts[:2] == ["## A", "# B"]
    assert "### D" not in starts


@pytest.mark.parametrize("fence", ["```", "````", "~~~", "   ```python"])
def test_a_heading_in_fenced_code_is_no_heading(fence: str) -> None:
    """A shell comment is not a section."""
    inner = "``" if "~" in fence else "~~~"
    code = f"{fence}\n# comment\n{inner}\n# comment\n" + "run it\n" * 20 + fence.strip().rstrip("python") + "   \n"
    text = section(1, "A", 20) + "\n\n" + code + section(1, "B", 60)
    chunks = chunker(110, mode="markdown").split(document(text))
    assert [chunk.splitlines()[0] for chunk in chunks] == ["# A", "# B"]


def test_a_hashtag_or_inline_code_is_neither_heading_nor_fence() -> None:
    text = "#tag\n```inline```\n" + "word " * 30 + "\n# A\n" + "word " * 40
    assert chunker(60, mode="markdown").split(document(text))[1].startswith("# A")


def test_a_section_starts_without_the_end_of_the_one_before() -> None:
    parts = [section(1, name, 60) for name in "ABC"]
    assert chunker(80, 20, mode="markdown").split(document("\n\n".join(parts))) == parts


def test_a_section_that_is_too_long_is_cut_to_size_with_overlap() -> None:
    text = "# A\n\n" + " ".join(f"w{number}" for number in range(300))
    chunks = chunker(100, 20, mode="markdown").split(document(text))
    assert all(count_tokens(chunk) > 90 for chunk in chunks[:-1])
    assert all(after.split()[0] in before for before, after in pairwise(chunks))


# --- code -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", get_args(Language))
def test_every_language_of_the_configuration_splits(language: str) -> None:
    text = PROSE + "\n\n\\section{A}\n<div>a</div>\n=====\n***\n" + "$x$ " * 200
    chunks = chunker(100, 10, mode="code", language=language).split(document(text))
    assert max(map(count_tokens, chunks)) <= 100


def test_functions_stay_whole() -> None:
    functions = [f"def f{number}(value):\n" + f"    value += {number}\n" * 12 for number in range(20)]
    chunks = chunker(130, mode="code", language="python").split(document("\n".join(functions)))
    assert len(chunks) == 20
    assert all(chunk.startswith("def f") for chunk in chunks)


def test_separators_that_are_patterns_are_patterns() -> None:
    sections = [f"Title {number}\n=====\n" + "some text in a line\n" * 8 for number in range(10)]
    chunks = chunker(60, mode="code", language="rst").split(document("\n".join(sections)))
    assert any(chunk.startswith("=====") for chunk in chunks)


def test_langchain_is_imported_for_code_alone() -> None:
    program = (
        "import sys\n"
        "from destination_milvus.documents.chunking import Chunker\n"
        "from destination_milvus.config.processing import Processing\n"
        "for mode in ('separator', 'markdown'):\n"
        "    Chunker.configured(Processing.model_validate({'chunk_size': 9, 'text_splitter': {'mode': mode}}))\n"
        "assert 'langchain_text_splitters' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# --- context ----------------------------------------------------------------------------------------------------------


def test_the_context_is_on_top_of_every_chunk_and_counted() -> None:
    chunks = chunker(100, 10).split(document(PROSE, " Printers \n"))
    assert len(chunks) > 10
    assert all(chunk.startswith("Printers\n\n") for chunk in chunks)


@pytest.mark.parametrize("size", [8, 9, 20, 100, 1000])
@pytest.mark.parametrize("context", [PROSE, "x1y2" * 20_000, "😀" * 20_000, "\n# ".join("abcdefgh" * 200)])
def test_a_context_of_more_than_half_a_chunk_is_cut_to_half(size: int, context: str) -> None:
    chunks = chunker(size).split(document(PROSE[:3000], context))
    leads = {chunk.split("\n\n")[0] for chunk in chunks}
    assert len(leads) == 1
    assert context.startswith(leads.pop())
    assert max(map(count_tokens, chunks)) <= size


def test_without_room_for_a_context_there_is_none() -> None:
    assert chunker(1).split(document("cat", "context")) == ["cat"]
    assert chunker(2).split(document("cat", "context")) == ["cat"]


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "repeats"),
    [
        ("a", 5_000_000),
        ("😀", 1_250_000),
        ("文字處理", 100_000),
        ("QUJD/+9x", 60_000),
        ("-", 600_000),
        ("x" + " " * 9, 99_999),
    ],
)
def test_megabytes_without_a_word_are_split_within_the_limits(unit: str, repeats: int) -> None:
    text = unit * repeats
    chunks = chunker(1000, 50).split(document(text))
    sample = [*chunks[:20], *chunks[-20:]]
    assert max(map(count_tokens, sample)) <= 1000
    assert max(len(chunk.encode()) for chunk in chunks) <= MAX_VARCHAR_BYTES
    assert min(map(len, map(without_space, chunks))) > 0


def test_bytes_limit_where_tokens_do_not() -> None:
    """128 spaces are one token: 8,191 tokens would be a megabyte."""
    text = ("x" + " " * 127) * 3000
    chunks = chunker(8191).split(document(text, "c" * 40_000))
    assert max(len(chunk.encode()) for chunk in chunks) <= MAX_VARCHAR_BYTES
    assert without_space("".join(chunk.split("\n\n")[1] for chunk in chunks)) == without_space(text)


def test_blocks_leave_no_trace() -> None:
    """Text of several blocks is split as if it were encoded at once."""
    text = PROSE * 40
    assert len(text) > 2 * chunking._BLOCK_BYTES
    chunks = chunker(500).split(document(text))
    assert without_space("".join(chunks)) == without_space(text)
    assert min(map(count_tokens, chunks[:-1])) > 250


def test_memory_grows_with_the_text_alone() -> None:
    text = PROSE * 100
    encoding()
    tracemalloc.start()
    chunks = chunker(1000, 50).split(document(text))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(chunks) > 300
    assert peak < 4 * len(text) + 20_000_000


def test_time_grows_with_the_text_alone() -> None:
    """Four times the text in about four times the time: nothing is quadratic, whatever the mode."""
    for text in (PROSE, "#" * 30 + "\n```a\n", "x" * 3000):
        seconds = []
        for repeats in (len(PROSE) * 8 // len(text), len(PROSE) * 32 // len(text)):
            began = time.process_time()
            chunker(300, 30, mode="markdown", split_level=6).split(document(text * repeats))
            seconds.append(time.process_time() - began)
        assert seconds[1] < 12 * max(seconds[0], 0.02)
