from __future__ import annotations

import gc
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from destination_milvus.errors import BadRecord, TransientError
from destination_milvus.fields import TEXT_HASH
from destination_milvus.flow.commit import Committed, Committer
from destination_milvus.model import Change, Delete, Document, RecordKey, StoredRow, Upsert
from unit_tests.fakes import BarChunker, CountingEmbedder, FakeStore, Fault, texts_of, vector_of

KEYS = [RecordKey("s", f"s_{number}") for number in range(4)]


def upsert(
    key: RecordKey, text: str, *, generation: int = 1, lookup: bool = True, vector: array[float] | None = None
) -> Upsert:
    return Upsert(key, generation, Document(text, "", {"status": "new"}, 0, vector), lookup=lookup)


def committer(store: FakeStore, embedder: CountingEmbedder, *, skip: bool = False) -> Committer:
    return Committer(store, embedder, BarChunker(), "shape", skip_bad_records=skip)  # type: ignore[arg-type]


def commit(store: FakeStore, *changes: Change, embedder: CountingEmbedder | None = None) -> Committed:
    return committer(store, embedder or CountingEmbedder()).commit(changes)


def stored_texts(store: FakeStore) -> dict[RecordKey, list[str]]:
    return {key: list(texts_of(rows)) for key, rows in store.records().items()}


def test_a_commit_stores_deletes_and_counts() -> None:
    store = FakeStore()
    assert commit(store, upsert(KEYS[0], "a|b"), upsert(KEYS[1], "b|c|b"), upsert(KEYS[2], "")) == Committed(
        written=2, chunks=5, embedded=3
    )
    assert stored_texts(store) == {KEYS[0]: ["a", "b"], KEYS[1]: ["b", "c", "b"]}
    answer = commit(store, upsert(KEYS[0], "a|b"), Delete(KEYS[1]), Delete(KEYS[3]), upsert(KEYS[2], "x|a"))
    assert answer == Committed(written=1, removed=1, unchanged=1, chunks=2, embedded=2)
    assert stored_texts(store) == {KEYS[0]: ["a", "b"], KEYS[2]: ["x", "a"]}


def test_an_identical_batch_embeds_nothing_and_writes_nothing() -> None:
    store, embedder = FakeStore(), CountingEmbedder()
    changes = [upsert(KEYS[0], "a|b|c"), upsert(KEYS[1], "c")]
    commit(store, *changes, embedder=embedder)
    paid, writes = len(embedder.texts), store.writes
    assert commit(store, *changes, embedder=embedder) == Committed(unchanged=2)
    assert (len(embedder.texts), store.writes) == (paid, writes)


def test_the_embedding_model_is_asked_only_for_what_is_new() -> None:
    store, embedder = FakeStore(), CountingEmbedder()
    commit(store, upsert(KEYS[0], "a|b|c"))
    commit(store, upsert(KEYS[0], "c|x|a"), embedder=embedder)
    assert embedder.texts == ["x"]


def test_nothing_is_written_before_every_embedding_of_the_batch_exists() -> None:
    store = FakeStore()
    commit(store, upsert(KEYS[0], "a|b"))
    before, writes = dict(store.entities), store.writes

    def fails(_: Sequence[str]) -> None:
        raise TransientError("The endpoint is away.")

    with pytest.raises(TransientError):
        commit(store, upsert(KEYS[0], "c"), Delete(KEYS[1]), embedder=CountingEmbedder(before=fails))
    assert (store.entities, store.writes) == (before, writes)


def test_append_looks_up_nothing_and_keeps_every_record() -> None:
    store = FakeStore()
    commit(store, upsert(KEYS[0], "a|b", lookup=False), upsert(KEYS[1], "a|b", lookup=False))
    assert stored_texts(store) == {KEYS[0]: ["a", "b"], KEYS[1]: ["a", "b"]}
    assert store.writes == 2, "rows 1 …, heads: nothing is announced"


def test_a_record_with_a_vector_of_its_own_is_one_row_and_costs_nothing_even_without_text() -> None:
    store, embedder = FakeStore(), CountingEmbedder()
    brought = vector_of("brought")
    changes = [upsert(KEYS[0], "a|b", vector=brought), upsert(KEYS[1], "", vector=brought)]
    assert commit(store, *changes, embedder=embedder) == Committed(written=2, chunks=2)
    assert embedder.texts == []
    assert stored_texts(store) == {KEYS[0]: ["a|b"], KEYS[1]: [""]}
    assert all(row["vector"] == brought for row in store.entities.values())


def test_the_vector_of_a_record_counts_in_what_is_equal() -> None:
    """Equal texts with other vectors are other chunks: neither may take the other's."""
    store = FakeStore()
    one, other = vector_of("one"), vector_of("other")
    commit(store, upsert(KEYS[0], "a", vector=one), upsert(KEYS[1], "a", vector=other))
    rows = [rows[0] for rows in store.records().values()]
    assert {row[TEXT_HASH] for row in rows} == {row[TEXT_HASH] for row in rows if row["vector"] in (one, other)}
    assert [row["vector"] for row in rows] == [one, other]
    assert commit(store, upsert(KEYS[0], "a", vector=other)).written == 1


def test_a_text_too_long_for_milvus_is_shortened_beside_a_vector() -> None:
    store = FakeStore()
    commit(store, upsert(KEYS[0], "字" * 30_000, vector=vector_of("v")))
    (text,) = stored_texts(store)[KEYS[0]]
    assert len(text.encode()) == 65_535


def test_a_refused_text_ends_the_commit_with_nothing_written() -> None:
    store = FakeStore()
    commit(store, upsert(KEYS[0], "old"))
    embedder = CountingEmbedder(refused=frozenset({"no"}))
    with pytest.raises(BadRecord, match='Stream "s", record "s_0": the model refuses it') as caught:
        committer(store, embedder).commit([upsert(KEYS[0], "a|no"), upsert(KEYS[1], "b")])
    assert "no" not in caught.value.message.replace("cannot", "").split()
    assert stored_texts(store) == {KEYS[0]: ["old"]}


def test_where_bad_records_are_skipped_the_others_go_in_and_the_old_version_stays() -> None:
    store = FakeStore()
    commit(store, upsert(KEYS[0], "old"), upsert(KEYS[3], "d"))
    embedder = CountingEmbedder(refused=frozenset({"no", "never"}))
    changes: list[Change] = [
        upsert(KEYS[0], "no|a|never"),
        upsert(KEYS[1], "b"),
        upsert(KEYS[2], "c|no"),
        Delete(KEYS[3]),
    ]
    answer = committer(store, embedder, skip=True).commit(changes)
    assert stored_texts(store) == {KEYS[0]: ["old"], KEYS[1]: ["b"]}
    assert (answer.written, answer.removed, answer.chunks) == (1, 1, 1)
    assert sorted(error.key or "" for error in answer.bad) == ["s_0", "s_2"], "one a record, not one a chunk"


def test_bad_records_of_two_streams_with_one_record_id_are_two() -> None:
    """`a` + `b_1` and `a_b` + `1` have the same id."""
    store, embedder = FakeStore(), CountingEmbedder(refused=frozenset({"no"}))
    changes = [upsert(RecordKey(stream, "a_b_1"), "no") for stream in ("a", "a_b")]
    answer = committer(store, embedder, skip=True).commit(changes)
    assert [error.identifier for error in answer.bad] == ["a", "a_b"]


@pytest.mark.parametrize("applied", [0, -1], ids=["before", "after"])
def test_an_error_of_the_store_comes_through_and_the_same_commit_heals_it(applied: int) -> None:
    store = FakeStore(faults=[Fault(3, applied, TransientError("away"))])
    changes = [upsert(KEYS[0], "a|b")]
    with pytest.raises(TransientError):
        commit(store, *changes)
    assert commit(store, *changes).written == 1
    assert stored_texts(store) == {KEYS[0]: ["a", "b"]}


def test_an_empty_batch_commits_to_nothing() -> None:
    assert commit(FakeStore()) == Committed()


class CountingStore(FakeStore):
    """Counts the stored rows that are alive whenever some are read, those that it gives included."""

    most = 0

    def read_rows(self, counts: Mapping[RecordKey, int]) -> dict[RecordKey, dict[int, StoredRow]]:
        """As `VectorStore.rows`."""
        gc.collect()
        alive = sum(isinstance(thing, StoredRow) for thing in gc.get_objects())
        stored = super().read_rows(counts)
        self.most = max(self.most, alive + sum(map(len, stored.values())))
        return stored


def test_however_much_is_stored_of_the_records_of_a_batch_few_rows_are_held_at_once() -> None:
    """Records that were once long: their rows are read in portions, and the outcome is that of one."""
    store = CountingStore()
    many = [RecordKey("s", f"s_{number}") for number in range(20)]
    long = "|".join(f"piece {number}" for number in range(50))
    commit(store, *(upsert(key, f"{key.record_id}|{long}") for key in many))
    changes: list[Change] = [upsert(key, "piece 7|new") for key in many[:15]]
    changes += [upsert(key, "") for key in many[15:18]]
    changes += [Delete(many[18]), upsert(many[19], f"{many[19].record_id}|{long}")]
    embedder = CountingEmbedder()
    bounded = replace(committer(store, embedder), max_stored_rows=120)
    assert bounded.commit(changes) == Committed(written=15, removed=4, unchanged=1, chunks=30, embedded=1)
    assert store.most <= 120
    assert embedder.texts == ["new"], "what is stored is taken over, and what a portion had embedded is not paid again"
    expected = {key: ["piece 7", "new"] for key in many[:15]}
    assert stored_texts(store) == {**expected, many[19]: [many[19].record_id, *long.split("|")]}


def test_a_record_with_more_rows_than_a_portion_is_one_of_its_own() -> None:
    store = CountingStore()
    commit(store, *(upsert(key, "a|b|c|d|e") for key in KEYS))
    bounded = replace(committer(store, CountingEmbedder()), max_stored_rows=3)
    assert bounded.commit([upsert(key, "x") for key in KEYS]).written == 4
    assert store.most == 5
