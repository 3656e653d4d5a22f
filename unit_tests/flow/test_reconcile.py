from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from destination_milvus import digests
from destination_milvus.flow.reconcile import (
    Candidate,
    Triage,
    reconcile,
    rows_to_read,
    triage,
    without_refused,
)
from destination_milvus.model import (
    PENDING,
    Change,
    Chunk,
    Delete,
    Document,
    Head,
    Plan,
    RecordKey,
    RecordWrite,
    StoredRow,
    Upsert,
    metadata_json,
)
from unit_tests.fakes import vector_of

SHAPE = "shape"
MODEL = "model"
KEYS = [RecordKey("s", f"s_{number}") for number in range(3)]
METADATA: list[dict[str, object]] = [{}, {"status": "new"}, {"status": "solved", "vip": True}]


def hash_of(text: str) -> str:
    return digests.text_hash(text, MODEL)


def document(pieces: str, metadata: int = 0, context: str = "", emitted_at: int = 0) -> Document:
    return Document(pieces, context, METADATA[metadata], emitted_at)


def chunks_of(upsert: Upsert) -> tuple[Chunk, ...]:
    """One chunk a character."""
    return tuple(Chunk(number, text, hash_of(text)) for number, text in enumerate(upsert.document.text))


def stored_row(number: int, text: str, metadata: int = 0, fingerprint: str | None = None) -> StoredRow:
    if fingerprint is None:
        fingerprint = digests.row_fingerprint(hash_of(text), metadata_json(METADATA[metadata]), SHAPE)
    return StoredRow(number, hash_of(text), fingerprint, vector_of(text), {"text": text, **METADATA[metadata]})


def stored_version(pieces: str, metadata: int = 0, generation: int = 1) -> tuple[Head, dict[int, StoredRow]]:
    """A record as a commit leaves it."""
    fingerprint = digests.fingerprint(document(pieces, metadata), generation, SHAPE)
    rows = {number: stored_row(number, text, metadata) for number, text in enumerate(pieces)}
    rows[0] = replace(rows[0], fingerprint=fingerprint)
    return Head(fingerprint, len(pieces)), rows


def plan_of(
    changes: list[Change],
    heads: Mapping[RecordKey, Head],
    stored: Mapping[RecordKey, Mapping[int, StoredRow]],
) -> Plan:
    """The plan as `commit` makes it, from the rows that it asks for and no others."""
    sorted_changes = triage(changes, heads, SHAPE)
    chunked = [(candidate, chunks_of(candidate.upsert)) for candidate in sorted_changes.candidates]
    wanted = rows_to_read(chunked, sorted_changes.deletes, heads)
    read = {
        key: {number: row for number, row in stored.get(key, {}).items() if number < count}
        for key, count in wanted.items()
    }
    return reconcile(sorted_changes, chunked, heads, read, SHAPE)


pieces = st.text("abc", max_size=4)
upserts = st.builds(
    lambda key, pieces, metadata, generation, lookup: Upsert(
        key, generation, document(pieces, metadata), lookup=lookup
    ),
    st.sampled_from(KEYS),
    pieces,
    st.integers(0, 2),
    st.integers(1, 2),
    st.just(True),  # noqa: FBT003
)
changes = st.lists(upserts | st.builds(Delete, st.sampled_from(KEYS)), max_size=3, unique_by=lambda change: change.key)


@st.composite
def collections(
    draw: st.DrawFn,
) -> tuple[dict[RecordKey, Head], dict[RecordKey, dict[int, StoredRow]]]:
    """What any history may have left: complete versions, and interrupted ones with rows of several versions."""
    heads, stored = {}, {}
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        head, rows = stored_version(draw(pieces.filter(bool)), draw(st.integers(0, 2)), draw(st.integers(1, 2)))
        if draw(st.booleans()):
            head = Head(PENDING, head.chunks + draw(st.integers(0, 2)))
            rows[0] = replace(rows[0], fingerprint=PENDING)
            for number in range(1, head.chunks):
                text = draw(st.sampled_from(["", "a", "b", "c"]))
                rows.pop(number, None)
                if text:
                    rows[number] = stored_row(number, text, draw(st.integers(0, 2)))
        heads[key], stored[key] = head, rows
    return heads, stored


@settings(max_examples=250)
@given(changes, collections())
def test_a_plan_keeps_every_promise_about_embedding_and_announcing(
    changes: list[Change], collection: tuple[dict[RecordKey, Head], dict[RecordKey, dict[int, StoredRow]]]
) -> None:
    heads, stored = collection
    plan = plan_of(changes, heads, stored)
    for write in plan.writes:
        rows = stored.get(write.upsert.key, {})
        check_write(write, heads.get(write.upsert.key), rows, plan)
    for removal in plan.removals:
        head = heads[removal.key]
        assert removal.chunks == head.chunks
        marked = removal.announce is not None
        assert marked == (head.chunks > 1 and head.fingerprint != PENDING), "marked before its other rows go"
    touched = [write.upsert.key for write in plan.writes] + [removal.key for removal in plan.removals]
    assert len(touched) == len(set(touched))
    needed = {chunk.text_hash for write in plan.writes for chunk in write.chunks}
    assert needed <= plan.embed.keys() | plan.vectors.keys()
    assert plan.embed.keys() <= needed
    assert plan.embed.keys().isdisjoint(plan.vectors)
    assert all(hash_of(text) == text_hash for text_hash, text in plan.embed.items())
    asked = len([change for change in changes if isinstance(change, Upsert)])
    without_text = [change for change in changes if isinstance(change, Upsert) and not change.document.text]
    assert len(plan.writes) + plan.unchanged + len(without_text) == asked


def check_write(write: RecordWrite, head: Head | None, rows: Mapping[int, StoredRow], plan: Plan) -> None:
    texts = [chunk.text for chunk in write.chunks]
    for row in rows.values():
        assert row.text_hash not in plan.embed, "the text of a stored vector is never embedded"
    before = head.chunks if head is not None else 0
    assert not set(write.surplus) & write.unchanged
    assert set(write.surplus) == set(range(len(texts), before))
    for number in write.unchanged:
        assert 0 < number < len(texts), "the head is always written"
        assert rows[number].entity == {"text": texts[number], **write.upsert.document.metadata}
    written = set(range(1, len(texts))) - write.unchanged
    if written or write.surplus:
        pending_enough = head is not None and head.fingerprint == PENDING and head.chunks >= len(texts)
        assert (write.announce is not None) != pending_enough, "no other row changes behind a head that vouches"
    else:
        assert write.announce is None
    if write.announce is not None:
        assert write.announce == max(before, len(texts)), "the head knows of every row that may exist"


@given(pieces.filter(bool), st.integers(0, 2), st.integers(1, 2), st.integers(0, 9))
def test_a_record_that_did_not_change_asks_for_nothing(
    text: str, metadata: int, generation: int, emitted_at: int
) -> None:
    """Not even when the source emits it again at another time."""
    head, rows = stored_version(text, metadata, generation)
    change = Upsert(KEYS[0], generation, document(text, metadata, emitted_at=emitted_at))
    assert plan_of([change], {KEYS[0]: head}, {KEYS[0]: rows}) == Plan((), (), {}, {}, unchanged=1)


def test_a_fingerprint_that_a_change_brings_along_is_the_one_that_counts() -> None:
    """Of a record that is no known version: it is written with it, and found unchanged by it."""
    upsert = replace(Upsert(KEYS[0], 1, document("a")), fingerprint="~own")
    [candidate] = triage([upsert], {}, SHAPE).candidates
    assert candidate.fingerprint == "~own"
    assert triage([upsert], {KEYS[0]: Head("~own", 1)}, SHAPE).unchanged == 1


@given(pieces.filter(bool))
def test_an_unchanged_record_of_a_new_generation_costs_one_head_and_no_embedding(text: str) -> None:
    head, rows = stored_version(text)
    plan = plan_of([Upsert(KEYS[0], 2, document(text))], {KEYS[0]: head}, {KEYS[0]: rows})
    (write,) = plan.writes
    assert not plan.embed
    assert write.announce is None
    assert write.unchanged == frozenset(range(1, len(text)))


def test_a_change_of_metadata_writes_every_row_and_embeds_nothing() -> None:
    head, rows = stored_version("abc")
    plan = plan_of([Upsert(KEYS[0], 1, document("abc", metadata=1))], {KEYS[0]: head}, {KEYS[0]: rows})
    (write,) = plan.writes
    assert not plan.embed
    assert not write.unchanged
    assert write.announce == 3


def test_one_edited_chunk_embeds_one_text_and_leaves_the_others() -> None:
    head, rows = stored_version("abca")
    plan = plan_of([Upsert(KEYS[0], 1, document("abxa"))], {KEYS[0]: head}, {KEYS[0]: rows})
    assert plan.embed == {hash_of("x"): "x"}
    assert plan.writes[0].unchanged == {1, 3}


def test_equal_texts_of_several_records_are_embedded_once() -> None:
    plan = plan_of([Upsert(KEYS[0], 1, document("aab")), Upsert(KEYS[1], 1, document("ba"))], {}, {})
    assert list(plan.embed.values()) == ["a", "b"]


def test_another_shape_writes_the_record_anew() -> None:
    """A new model, chunk size or mapping of fields is a change of every record."""
    head, _ = stored_version("ab")
    change = Upsert(KEYS[0], 1, document("ab"))
    assert triage([change], {KEYS[0]: head}, SHAPE).unchanged == 1
    assert len(triage([change], {KEYS[0]: head}, "another shape").candidates) == 1


def test_rows_of_appended_records_are_neither_announced_nor_looked_for() -> None:
    plan = plan_of([Upsert(KEYS[0], 1, document("abc"), lookup=False)], {}, {})
    assert plan.writes[0].announce is None


def test_a_record_that_lost_its_text_is_removed_and_one_that_never_had_any_is_not_stored() -> None:
    head, rows = stored_version("ab")
    changes: list[Change] = [Upsert(KEYS[0], 1, document("")), Upsert(KEYS[1], 1, document(""))]
    plan = plan_of(changes, {KEYS[0]: head}, {KEYS[0]: rows})
    assert [(removal.key, removal.chunks, removal.announce) for removal in plan.removals] == [(KEYS[0], 2, rows[0])]
    assert not plan.writes


def test_the_rows_to_read_are_those_whose_vectors_or_heads_are_needed() -> None:
    heads = {KEYS[0]: Head("f", 4), KEYS[1]: Head("f", 4), KEYS[2]: Head("f", 1)}
    candidates = [Candidate(Upsert(key, 1, document(text)), "f") for key, text in ((KEYS[0], "a"), (KEYS[1], ""))]
    chunked = [(candidate, chunks_of(candidate.upsert)) for candidate in candidates]
    assert rows_to_read(chunked, [KEYS[2]], heads) == {KEYS[0]: 4, KEYS[1]: 1}
    assert rows_to_read([], [KEYS[0], RecordKey("s", "unknown")], heads) == {KEYS[0]: 1}


def test_a_vector_that_a_record_brought_along_is_taken_and_not_embedded() -> None:
    brought = vector_of("brought")
    upsert = Upsert(KEYS[0], 1, replace(document("a"), vector=brought))
    plan = plan_of([upsert], {}, {})
    assert not plan.embed
    assert plan.vectors == {hash_of("a"): brought}


def test_rows_without_a_text_hash_offer_no_vector() -> None:
    """Rows of the existing connector carry none, and nobody knows their model."""
    foreign = replace(stored_row(0, "a"), text_hash="")
    plan = plan_of([Upsert(KEYS[0], 1, document("a"))], {KEYS[0]: Head(PENDING, 1)}, {KEYS[0]: {0: foreign}})
    assert plan.embed == {hash_of("a"): "a"}


def test_without_leaves_out_the_records_of_refused_texts_and_nothing_else() -> None:
    head, rows = stored_version("c")
    changes: list[Change] = [
        Upsert(KEYS[0], 1, document("ab")),
        Upsert(KEYS[1], 1, document("bc")),
        Delete(KEYS[2]),
    ]
    plan = without_refused(plan_of(changes, {KEYS[2]: head}, {KEYS[2]: rows}), frozenset({hash_of("a")}))
    assert [write.upsert.key for write in plan.writes] == [KEYS[1]]
    assert [removal.key for removal in plan.removals] == [KEYS[2]]


def test_an_empty_batch_has_an_empty_plan() -> None:
    assert reconcile(Triage((), (), 0), [], {}, {}, SHAPE) == Plan((), (), {}, {}, 0)
