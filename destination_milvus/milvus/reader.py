"""Opening a collection to read it: found, of the right model, loaded; then queries and searches.

The connector itself and an application go the same way in:

    with open_reader(config, embedder) as reader:
        [vector] = embedder.embed(["the printer is on fire"])
        for hit in reader.search(vector, filter=equals(STREAM, "tickets"), fields=["subject"], limit=5):
            print(hit.score, hit.entity["subject"])

Reads are strong, each has one timeout, and nothing is tried again: somebody is waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from destination_milvus.collection import Collection
from destination_milvus.config.indexing import Indexing
from destination_milvus.config.models import Config
from destination_milvus.errors import CollectionMissing, ConfigError, ModelMismatch, option
from destination_milvus.milvus.address import described, is_absent
from destination_milvus.milvus.calls import CALL_TIMEOUT
from destination_milvus.milvus.connection import CONNECT_TIMEOUT, connect, held
from destination_milvus.milvus.description import MODEL_PROPERTY, collection_of
from destination_milvus.milvus.errors import is_collection_missing, translated
from destination_milvus.milvus.existing import schema_problems
from destination_milvus.milvus.filters import all_of, not_in
from destination_milvus.model import Embedder, Json, Vector

if TYPE_CHECKING:
    from pymilvus import MilvusClient

T = TypeVar("T")

WINDOW = 16_384
"""Milvus: the farthest row that a page, or a search, can reach."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): a hit counts 1 / (constant + its rank)."""

    vector_weight: int = 1
    """How many times the vector's ranking counts, against once for that of the words."""
    constant: int = 60
    """The smaller, the more the first ranks count."""
    candidates: int | None = None
    """Rows of each ranking that are fused; None for as many as are returned."""


DEFAULT_FUSION = Fusion()


@dataclass(frozen=True, slots=True)
class Hit:
    """One row that a search found."""

    entity: Mapping[str, Json]
    """The fields that were asked for."""
    score: float
    """What Milvus calls its distance: for COSINE, IP, words and both the larger the nearer, for L2 the smaller."""


@dataclass(frozen=True, slots=True)
class Index:
    """What a field is indexed by, in Milvus' words."""

    field: str
    type: str
    metric: str
    """Empty for fields that are no vectors."""


class Reader:
    """A collection, open for reading. Safe to use from several threads."""

    def __init__(
        self, client: MilvusClient, indexing: Indexing, collection: Collection, *, timeout: float = CONNECT_TIMEOUT
    ) -> None:
        self.collection = collection
        self._client = client
        self._indexing = indexing
        self._timeout = timeout
        self._options: dict[str, Any] = {"consistency_level": "Strong", "timeout": timeout}

    def load(self) -> None:
        """Load the collection, which a search needs; at once where it is. `open_reader` has done so.

        Raises:
            DestinationError: Milvus cannot, or not in time.
        """
        self._answer(lambda: self._client.load_collection(self.collection.name, timeout=self._timeout))

    def query(
        self,
        filter: str,  # noqa: A002 - Milvus' word
        fields: Sequence[str],
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Mapping[str, Json]]:
        """The rows that a filter finds; of more than `limit` any so many, after `offset` others.

        Pages by `offset` neither repeat nor leave out a row, as long as nothing is written meanwhile.

        Raises:
            DestinationError: Milvus cannot answer, or refuses the filter, or `limit` + `offset` is above `WINDOW`.
        """
        limits = {} if limit is None else {"limit": limit, "offset": offset}
        return self._answer(
            lambda: self._client.query(
                self.collection.name, filter=filter, output_fields=list(fields), **limits, **self._options
            )
        )

    def count(self, filter: str = "") -> int:  # noqa: A002
        """How many rows a filter finds. Errors as for `query`."""
        return int(self.query(filter, ["count(*)"])[0]["count(*)"])

    def distinct(self, field: str, *, filter: str = "", limit: int = 100) -> list[str | int]:  # noqa: A002
        """The values that a field has among the rows that a filter finds: of more than `limit` any so many, sorted.

        Milvus cannot group. Each request asks for rows with none of the values found so far, so that there are about
        as many requests as values, however many rows there are. Errors as for `query`.
        """
        found: set[str | int] = set()
        while len(found) < limit:
            others = all_of(filter, not_in(field, found)) if found else filter
            values = {row.get(field) for row in self.query(others, [field], limit=limit)}
            new = {value for value in values if isinstance(value, (str, int))} - found
            if not new:
                break
            found |= new
        return sorted(found, key=lambda value: (isinstance(value, str), value))[:limit]

    def indexes(self) -> list[Index]:
        """What the collection's fields are indexed by. Errors as for `query`."""
        name, client = self.collection.name, self._client
        found = self._answer(lambda: [client.describe_index(name, index) for index in client.list_indexes(name)])
        keys = ("field_name", "index_type", "metric_type")
        return [Index(*(str(index.get(key, "")) for key in keys)) for index in found]

    def search(self, vector: Vector, *, filter: str = "", fields: Sequence[str] = (), limit: int = 10) -> list[Hit]:  # noqa: A002
        """The rows nearest to a vector, nearest first.

        Args:
            vector: of the collection's model; `collection.dimensions` numbers.
            filter: in Milvus' language, as `milvus.filters` writes it; empty for all rows.
            fields: to return of each row.
            limit: most rows; a record may have several.

        Raises:
            DestinationError: Milvus cannot answer, or refuses the filter.
        """
        return self._search([list(vector)], self.collection.vector_field, filter, fields, limit)

    def search_words(
        self,
        words: str,
        *,
        filter: str = "",  # noqa: A002
        fields: Sequence[str] = (),
        limit: int = 10,
        language: str = "",
    ) -> list[Hit]:
        """The rows that match words best (BM25), best first. Arguments and errors as for `search`.

        Args:
            words: a query as somebody writes it: Milvus cuts it as it cut the texts.
            filter: as for `search`.
            fields: as for `search`.
            limit: as for `search`.
            language: of the words, where the collection's analyzer is chosen by a field (`collection.analyzer_field`):
                a value of that field, or a language of `full_text_analyzer.languages`; the default analyzer if empty.
                Where one analyzer serves all rows, it serves these words too.

        Raises:
            ConfigError: the collection has no full-text search.
        """
        return self._search([words], self._full_text_field, filter, fields, limit, self._analyzed(language))

    def search_both(
        self,
        vector: Vector,
        words: str,
        *,
        filter: str = "",  # noqa: A002
        fields: Sequence[str] = (),
        limit: int = 10,
        fusion: Fusion = DEFAULT_FUSION,
        language: str = "",
    ) -> list[Hit]:
        """The rows that are best by vector and by words together, best first: the two rankings, fused.

        Arguments as for `search_words`, and `fusion`: how much each ranking counts. Errors as for `search_words`.
        """
        from pymilvus import AnnSearchRequest, RRFRanker  # noqa: PLC0415 - slow, and here after connecting

        def ranking(data: Json, field: str, parameters: Mapping[str, str]) -> AnnSearchRequest:
            return AnnSearchRequest([data], field, dict(parameters), fusion.candidates or limit, expr=filter)

        by_vector = ranking(list(vector), self.collection.vector_field, {})
        by_words = ranking(words, self._full_text_field, self._analyzed(language))
        [answer] = self._answer(
            lambda: self._client.hybrid_search(
                self.collection.name,
                reqs=[*[by_vector] * fusion.vector_weight, by_words],
                ranker=RRFRanker(fusion.constant),
                limit=limit,
                output_fields=list(fields),
                **self._options,
            )
        )
        return _hits(answer)

    def _search(
        self,
        data: list[Json],
        field: str,
        condition: str,
        fields: Sequence[str],
        limit: int,
        parameters: Mapping[str, str] | None = None,
    ) -> list[Hit]:
        [answer] = self._answer(
            lambda: self._client.search(
                self.collection.name,
                data=data,
                anns_field=field,
                filter=condition,
                limit=limit,
                output_fields=list(fields),
                search_params=dict(parameters or {}),
                **self._options,
            )
        )
        return _hits(answer)

    def _analyzed(self, language: str) -> dict[str, str]:
        """Parameters of a search for words of a language."""
        return {"analyzer_name": language} if language and self.collection.analyzer_field is not None else {}

    @property
    def _full_text_field(self) -> str:
        if self.collection.full_text_field is None:
            raise ConfigError(
                f'The collection "{self.collection.name}" has no full-text search: sync into a new collection with '
                "indexing.full_text_search."
            )
        return self.collection.full_text_field

    def _answer(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            raise translated(error, self._indexing) from error


def _hits(answer: Sequence[Mapping[str, Json]]) -> list[Hit]:
    return [Hit(raw["entity"], float(raw["distance"])) for raw in answer]


@contextmanager
def open_reader(config: Config, embedder: Embedder | None, *, timeout: float = CONNECT_TIMEOUT) -> Iterator[Reader]:
    """The configured collection, open for reading; afterwards Milvus Lite is let go of for other processes.

    Args:
        config: the destination's own.
        embedder: makes the vectors to search by; its model must be the collection's. None for who searches by none.
        timeout: seconds for each call.

    Raises:
        CollectionMissing: there is no such collection.
        ModelMismatch: its vectors are of another model.
        DestinationError: it cannot be reached or used.
    """
    indexing = config.indexing
    if is_absent(indexing):
        raise _missing(indexing)
    with held(indexing), closing(connect(indexing, timeout=timeout)) as client:
        collection = find_collection(client, config)
        if collection is None:
            raise _missing(indexing)
        if embedder is not None:
            require_model(client, config, collection, embedder)
        reader = Reader(client, indexing, collection, timeout=timeout)
        reader.load()
        yield reader


def _missing(indexing: Indexing) -> CollectionMissing:
    return CollectionMissing(
        f'{described(indexing.host)} has no collection "{indexing.collection}" ({option("indexing.collection")}): sync '
        "into it first."
    )


def find_collection(client: MilvusClient, config: Config) -> Collection | None:
    """The configured collection; None where it does not exist yet.

    Raises:
        ConfigError: it exists and cannot be used; every reason is named.
    """
    indexing = config.indexing
    description = _description(client, indexing)
    if description is None:
        return None
    problems = list(schema_problems(description, config))
    if problems:
        raise ConfigError(
            f'The collection "{indexing.collection}" exists but cannot be used: {"; ".join(problems)}. '
            "Name another collection, or adapt the configuration."
        )
    is_ours = MODEL_PROPERTY in (description.get("properties") or {})
    return collection_of(description, config, metric_type=_metric(client, indexing, is_ours=is_ours))


def _description(client: MilvusClient, indexing: Indexing) -> Mapping[str, Any] | None:
    try:
        description: Mapping[str, Any] = client.describe_collection(indexing.collection, timeout=CONNECT_TIMEOUT)
    except Exception as error:
        if not is_collection_missing(error):
            raise translated(error, indexing) from error
    else:
        return description
    try:
        # a server answers the same where the database does not exist; this call tells
        client.list_collections(timeout=CONNECT_TIMEOUT)
    except Exception as error:
        raise translated(error, indexing) from error
    return None


def _metric(client: MilvusClient, indexing: Indexing, *, is_ours: bool) -> str:
    try:
        names = client.list_indexes(indexing.collection, indexing.vector_field)
        index = client.describe_index(indexing.collection, names[0], timeout=CONNECT_TIMEOUT) if names else None
    except Exception as error:
        raise translated(error, indexing) from error
    if not index and is_ours:
        return ""
    if not index:
        raise ConfigError(
            f'The vector field "{indexing.vector_field}" of the collection "{indexing.collection}" has no index, and '
            "Milvus cannot search without one: create it."
        )
    return str(index.get("metric_type", ""))


def require_model(client: MilvusClient, config: Config, collection: Collection, embedder: Embedder) -> None:
    """Refuse to mix the vectors of two models, or of two lengths, in one collection.

    Raises:
        ModelMismatch: they would mix.
    """
    name, stored, configured = collection.name, collection.embedding_model, embedder.identity
    if stored is not None and stored != configured:
        raise ModelMismatch(
            f'The collection "{name}" holds vectors of the model {stored}, and the configuration asks for '
            f"{configured}. Vectors of two models cannot be compared: choose that model in {option('embedding')}, or "
            "name another collection."
        )
    if collection.dimensions != embedder.dimensions:
        raise ModelMismatch(
            f'The vectors of the collection "{name}" have {collection.dimensions} dimensions, and those of '
            f"{configured} have {embedder.dimensions}: choose the model that filled the collection in "
            f"{option('embedding')}, or name another collection."
        )
    if stored is None and not config.embedding.names_model and not _is_empty(client, config, collection):
        raise ModelMismatch(
            f'The collection "{name}" holds vectors of a model that is not recorded, and the configuration names '
            f"none. Set {option('embedding.model')} to the model that filled it (Airbyte's own connector uses "
            "text-embedding-ada-002), or name another collection. What that connector filled with Cohere is of a model "
            "that Cohere has retired: name another collection, and sync everything into it."
        )


def _is_empty(client: MilvusClient, config: Config, collection: Collection) -> bool:
    reader = Reader(client, config.indexing, collection, timeout=CALL_TIMEOUT)
    reader.load()
    return reader.count() == 0
