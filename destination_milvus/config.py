"""The configuration: parsed once, here, and passed on as these models.

Every configuration of `airbyte/destination-milvus` 0.0.x validates unchanged; what is new is optional. `specification`
turns the models into the JSON schema that Airbyte draws its form from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema

from destination_milvus.errors import ConfigError
from destination_milvus.model import Json

FIELD_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"
"""Milvus' rule for names of collections and fields: enforced by the server, not by Milvus Lite."""

MAX_CHUNK_SIZE = 8191
"""Tokens: OpenAI's embedding models read 8,192, and the existing connector's limit is one less."""

SPARSE_FIELD = "sparse"
"""Where Milvus keeps the words of the text for BM25; the name that LangChain's and Milvus' own examples have."""

MIN_SECRET_LINE = 8
"""Characters from which a line of a secret is one by itself; those of a key in PEM format have 64."""

INDEX_TYPE_PATTERN = r"^[A-Z0-9_]+$"

_PATTERNS = {
    FIELD_NAME_PATTERN: "may hold letters of ASCII, digits and underscores only, must not begin with a digit, and must "
    "have 1 to 255 characters",
    INDEX_TYPE_PATTERN: "may hold capital letters, digits and underscores only",
}
"""What the patterns ask for, in words."""


class _Model(BaseModel):
    # Unknown keys are ignored: configurations written for the existing connector may carry some.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_set(cls, raw: Any) -> Any:  # noqa: ANN401 - a validator sees raw input
        return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, dict) else raw


def _secret(title: str, description: str, order: int, *, optional: bool = False, **extra: Any) -> Any:  # noqa: ANN401
    schema = {"airbyte_secret": True, "order": order, **extra}
    default: dict[str, Any] = {"default": SecretStr("")} if optional else {}
    return Field(title=title, description=description, json_schema_extra=schema, **default)


def _order(order: int, **extra: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"order": order, **extra}


# --- embedding --------------------------------------------------------------------------------------------------------


class OpenAIEmbedding(_Model):
    """Use OpenAI's embedding models."""

    model_config = ConfigDict(title="OpenAI")

    mode: Literal["openai"] = Field(default="openai", title="Mode", json_schema_extra=_order(0))
    openai_key: SecretStr = _secret("OpenAI API key", "API key of your OpenAI account.", 1)
    model: str | None = Field(
        default=None,
        title="Model",
        description="Embedding model; text-embedding-3-small if not set. A collection holds vectors of one model only.",
        examples=["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"],
        json_schema_extra=_order(2),
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=32768,
        title="Dimensions",
        description="Shorten the vectors of models that can (text-embedding-3-*); the model's own length if not set.",
        json_schema_extra=_order(3),
    )
    base_url: str | None = Field(
        default=None,
        title="Base URL",
        description="Address of a proxy or gateway that speaks OpenAI's API; OpenAI itself if not set.",
        examples=["https://gateway.example.com/v1"],
        json_schema_extra=_order(4),
    )


class AzureOpenAIEmbedding(_Model):
    """Use an embedding model deployed on Azure OpenAI."""

    model_config = ConfigDict(title="Azure OpenAI")

    mode: Literal["azure_openai"] = Field(default="azure_openai", title="Mode", json_schema_extra=_order(0))
    openai_key: SecretStr = _secret("Azure OpenAI API key", "API key of your Azure OpenAI resource.", 1)
    api_base: str = Field(
        title="Resource base URL",
        description="Base URL of your Azure OpenAI resource.",
        examples=["https://your-resource-name.openai.azure.com"],
        json_schema_extra=_order(2),
    )
    deployment: str = Field(
        title="Deployment",
        description="Name of the deployment of the embedding model.",
        examples=["your-deployment-name"],
        json_schema_extra=_order(3),
    )
    model: str | None = Field(
        default=None,
        title="Model",
        description="Model that the deployment runs; text-embedding-3-small if not set.",
        examples=["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"],
        json_schema_extra=_order(4),
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=32768,
        title="Dimensions",
        description="Shorten the vectors of models that can (text-embedding-3-*); the model's own length if not set.",
        json_schema_extra=_order(5),
    )


class OpenAICompatibleEmbedding(_Model):
    """Use any service that speaks OpenAI's embedding API."""

    model_config = ConfigDict(title="OpenAI-compatible")

    mode: Literal["openai_compatible"] = Field(default="openai_compatible", title="Mode", json_schema_extra=_order(0))
    api_key: SecretStr = _secret("API key", "Left empty where the service wants none.", 1, optional=True)
    base_url: str = Field(
        title="Base URL",
        description="Base URL of the service, with its version path.",
        examples=["https://your-service.example.com/v1"],
        json_schema_extra=_order(2),
    )
    model_name: str = Field(
        default="text-embedding-ada-002",
        title="Model name",
        description="Name of the model, as the service knows it.",
        examples=["text-embedding-ada-002", "bge-m3"],
        json_schema_extra=_order(3),
    )
    dimensions: int = Field(
        ge=1,
        le=32768,
        title="Embedding dimensions",
        description="Length of the vectors that the model returns.",
        examples=[1536, 384],
        json_schema_extra=_order(4),
    )


class CohereEmbedding(_Model):
    """Use Cohere's embedding models."""

    model_config = ConfigDict(title="Cohere")

    mode: Literal["cohere"] = Field(default="cohere", title="Mode", json_schema_extra=_order(0))
    cohere_key: SecretStr = _secret("Cohere API key", "API key of your Cohere account.", 1)
    model: str | None = Field(
        default=None,
        title="Model",
        description="Embedding model; embed-multilingual-v3.0 if not set.",
        examples=["embed-multilingual-v3.0", "embed-english-v3.0", "embed-v4.0"],
        json_schema_extra=_order(2),
    )


class LocalEmbedding(_Model):
    """Use the bundled all-MiniLM-L6-v2 model: no key, no network, 384 dimensions."""

    model_config = ConfigDict(title="Local")

    mode: Literal["local"] = Field(default="local", title="Mode", json_schema_extra=_order(0))


class FromFieldEmbedding(_Model):
    """Use vectors that the records already carry; each record becomes one entity."""

    model_config = ConfigDict(title="From field")

    mode: Literal["from_field"] = Field(default="from_field", title="Mode", json_schema_extra=_order(0))
    field_name: str = Field(
        title="Field name",
        description="Field of the record that holds the vector, as a dotted path.",
        examples=["embedding", "vectors.body"],
        min_length=1,
        json_schema_extra=_order(1),
    )
    dimensions: int = Field(
        ge=1,
        le=32768,
        title="Dimensions",
        description="Length of the vectors.",
        examples=[1536],
        json_schema_extra=_order(2),
    )


class FakeEmbedding(_Model):
    """Use made-up vectors, equal for equal texts: for trying out the pipeline only."""

    model_config = ConfigDict(title="Fake")

    mode: Literal["fake"] = Field(default="fake", title="Mode", json_schema_extra=_order(0))


Embedding = Annotated[
    OpenAIEmbedding
    | AzureOpenAIEmbedding
    | OpenAICompatibleEmbedding
    | CohereEmbedding
    | LocalEmbedding
    | FromFieldEmbedding
    | FakeEmbedding,
    Field(discriminator="mode"),
]

# --- processing -------------------------------------------------------------------------------------------------------


def _separator_text(value: str) -> str:
    try:
        separator = json.loads(value)
    except ValueError:
        separator = None
    if not isinstance(separator, str):
        raise ValueError(  # noqa: TRY004 - pydantic reports ValueError
            f'separators are JSON strings, written with their quotes, as in "\\n": {value} is not one'
        )
    return separator


class SeparatorSplitter(_Model):
    """Split by a list of separators: the first that is near the limit wins."""

    model_config = ConfigDict(title="By separator")

    mode: Literal["separator"] = Field(default="separator", title="Mode", json_schema_extra=_order(0))
    separators: list[str] = Field(
        default=['"\\n\\n"', '"\\n"', '" "', '""'],
        title="Separators",
        description=(
            "Separators to split at, the most important first, each written as a JSON string: "
            'for example "\\n" with its quotes for a line break.'
        ),
        json_schema_extra=_order(1),
    )
    keep_separator: bool = Field(
        default=False,
        title="Keep separator",
        description="Whether the separator stays in the text of the chunks.",
        json_schema_extra=_order(2),
    )

    @field_validator("separators")
    @classmethod
    def _are_json_strings(cls, separators: list[str]) -> list[str]:
        for separator in separators:
            _separator_text(separator)
        return separators

    @property
    def separator_texts(self) -> tuple[str, ...]:
        """The separators themselves, without their JSON quotes."""
        return tuple(_separator_text(separator) for separator in self.separators)


class MarkdownSplitter(_Model):
    """Split at Markdown headings."""

    model_config = ConfigDict(title="By Markdown heading")

    mode: Literal["markdown"] = Field(default="markdown", title="Mode", json_schema_extra=_order(0))
    split_level: int = Field(
        default=1,
        ge=1,
        le=6,
        title="Split level",
        description="Level of headings to split at: 1 splits at top-level headings only.",
        json_schema_extra=_order(1),
    )


Language = Literal[
    "cpp", "go", "java", "js", "php", "proto", "python", "rst",
    "ruby", "rust", "scala", "swift", "markdown", "latex", "html", "sol",
]  # fmt: skip


class CodeSplitter(_Model):
    """Split at the blocks of a programming language."""

    model_config = ConfigDict(title="By programming language")

    mode: Literal["code"] = Field(default="code", title="Mode", json_schema_extra=_order(0))
    language: Language = Field(
        title="Language",
        description="Language of the text: its classes, functions and blocks are kept together.",
        json_schema_extra=_order(1),
    )


TextSplitter = Annotated[SeparatorSplitter | MarkdownSplitter | CodeSplitter, Field(discriminator="mode")]


class FieldNameMapping(_Model):
    """Another name for a field of the record."""

    from_field: str = Field(title="From field name", description="Name in the source.", json_schema_extra=_order(0))
    to_field: str = Field(title="To field name", description="Name in Milvus.", json_schema_extra=_order(1))


class Processing(_Model):
    """How records become chunks."""

    chunk_size: int = Field(
        ge=1,
        le=MAX_CHUNK_SIZE,
        title="Chunk size",
        description="Most tokens (cl100k) of a chunk. 1,000 suits most models; the local one reads some 200 of them.",
        examples=[1000, 200],
        json_schema_extra=_order(0),
    )
    chunk_overlap: int = Field(
        default=0,
        ge=0,
        title="Chunk overlap",
        description="Tokens that neighbouring chunks share, so that a sentence at a border is found. Below chunk size.",
        json_schema_extra=_order(1),
    )
    text_fields: list[str] = Field(
        default=[],
        title="Text fields to embed",
        description=(
            "Fields whose text is embedded, as dotted paths; * stands for any name or list item, as in "
            "users.*.name. All fields if empty."
        ),
        examples=[["body", "title", "description", "subject"], ["users.*.name"]],
        json_schema_extra=_order(2, always_show=True),
    )
    metadata_fields: list[str] = Field(
        default=[],
        title="Fields to store as metadata",
        description="Fields that can be filtered by and returned, as dotted paths; * as above. All fields if empty.",
        examples=[["id", "status", "organization_id", "html_url"]],
        json_schema_extra=_order(3, always_show=True),
    )
    text_splitter: TextSplitter = Field(
        default=SeparatorSplitter(),
        title="Text splitter",
        description="Where texts longer than a chunk are cut.",
        json_schema_extra=_order(4, type="object"),
    )
    field_name_mappings: list[FieldNameMapping] = Field(
        default=[],
        title="Field name mappings",
        description="Fields to rename on the way into Milvus.",
        json_schema_extra=_order(5),
    )
    include_field_names: bool = Field(
        default=True,
        title="Include field names",
        description='Whether the embedded text says which field a text is from, as in "title: …".',
        json_schema_extra=_order(6),
    )
    html_fields: list[str] = Field(
        default=[],
        title="HTML fields",
        description="Text fields to convert from HTML to Markdown before they are split, as dotted paths.",
        examples=[["body"]],
        json_schema_extra=_order(7),
    )
    context_fields: list[str] = Field(
        default=[],
        title="Context fields",
        description="Fields repeated on top of every chunk, such as a title; they count in the chunk size.",
        examples=[["title", "subject"]],
        json_schema_extra=_order(8),
    )

    def stored_name(self, path: str) -> str:
        """Name in Milvus of a field or path; the first mapping of it counts."""
        return next((mapping.to_field for mapping in self.field_name_mappings if mapping.from_field == path), path)

    @property
    def sources(self) -> dict[str, list[str]]:
        """Paths in the records, by the name in Milvus that they are mapped to."""
        sources: dict[str, list[str]] = {}
        for mapping in self.field_name_mappings:
            if self.stored_name(mapping.from_field) == mapping.to_field:
                sources.setdefault(mapping.to_field, []).append(mapping.from_field)
        return sources

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Processing:
        if self.chunk_overlap >= self.chunk_size:
            raise ValueError(f"chunk_overlap ({self.chunk_overlap}) must be below chunk_size ({self.chunk_size})")
        return self


# --- indexing ---------------------------------------------------------------------------------------------------------


class TokenAuth(_Model):
    """Authenticate with an API key or a `user:password` token."""

    model_config = ConfigDict(title="API token")

    mode: Literal["token"] = Field(default="token", title="Mode", json_schema_extra=_order(0))
    token: SecretStr = _secret("API token", "API token of the Milvus instance or of Zilliz Cloud.", 1)


class PasswordAuth(_Model):
    """Authenticate with username and password."""

    model_config = ConfigDict(title="Username/password")

    mode: Literal["username_password"] = Field(default="username_password", title="Mode", json_schema_extra=_order(0))
    username: str = Field(title="Username", description="Name of the Milvus user.", json_schema_extra=_order(1))
    password: SecretStr = _secret("Password", "Password of the Milvus user.", 2)


class NoAuth(_Model):
    """Connect without authentication: for Milvus Lite and tests on your own machine."""

    model_config = ConfigDict(title="No auth")

    mode: Literal["no_auth"] = Field(default="no_auth", title="Mode", json_schema_extra=_order(0))


Auth = Annotated[TokenAuth | PasswordAuth | NoAuth, Field(discriminator="mode")]


class Tls(_Model):
    """Certificates for the connection to Milvus, each in PEM format."""

    ca_certificate: str = Field(
        default="",
        title="CA certificate",
        description="Authority that signed the server's certificate; the system's authorities if empty.",
        json_schema_extra=_order(0, multiline=True),
    )
    client_certificate: str = Field(
        default="",
        title="Client certificate",
        description="For mutual TLS.",
        json_schema_extra=_order(1, multiline=True),
    )
    client_key: SecretStr = _secret(
        "Client key", "Private key of the client certificate.", 2, optional=True, multiline=True
    )
    server_name: str = Field(
        default="",
        title="Server name",
        description="Name on the server's certificate, where it differs from the host.",
        json_schema_extra=_order(3),
    )

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Tls:
        if bool(self.client_certificate) != bool(self.client_key.get_secret_value()):
            raise ValueError("client_certificate and client_key belong together: set both or neither")
        return self


class Indexing(_Model):
    """Where and how the vectors are stored."""

    host: str = Field(
        min_length=1,
        title="Public endpoint",
        description=(
            "Address of the Milvus server, or for Milvus Lite the path of a local database, which ends in .db."
        ),
        examples=["https://my-instance.zone.zillizcloud.com", "http://milvus.internal:19530", "./milvus.db"],
        json_schema_extra=_order(1),
    )
    collection: str = Field(
        pattern=FIELD_NAME_PATTERN,
        title="Collection name",
        description="Collection to load data into; created at the first sync when it is missing.",
        examples=["zendesk"],
        json_schema_extra=_order(3),
    )
    auth: Auth = Field(
        title="Authentication",
        description="How to authenticate with Milvus.",
        json_schema_extra=_order(2, type="object"),
    )
    db: str = Field(
        default="",
        title="Database name",
        description="Database of the collection; the default one if empty.",
        json_schema_extra=_order(4),
    )
    vector_field: str = Field(
        default="vector",
        pattern=FIELD_NAME_PATTERN,
        title="Vector field",
        description="Field that holds the vector.",
        json_schema_extra=_order(5),
    )
    text_field: str = Field(
        default="text",
        pattern=FIELD_NAME_PATTERN,
        title="Text field",
        description="Field that holds the embedded text.",
        json_schema_extra=_order(6),
    )
    metric_type: Literal["COSINE", "L2", "IP"] = Field(
        default="COSINE",
        title="Metric type",
        description="How vectors are compared, for a collection that the connector creates.",
        json_schema_extra=_order(7),
    )
    index_type: str = Field(
        default="AUTOINDEX",
        pattern=INDEX_TYPE_PATTERN,
        title="Index type",
        description="Index of the vector field, for a collection that the connector creates.",
        examples=["AUTOINDEX", "HNSW", "FLAT", "IVF_FLAT"],
        json_schema_extra=_order(8),
    )
    index_params: dict[str, Any] = Field(
        default={},
        title="Index parameters",
        description="Parameters of the index type.",
        examples=[{"M": 16, "efConstruction": 200}],
        json_schema_extra=_order(9),
    )
    tls: Tls | None = Field(
        default=None,
        title="TLS",
        description="Certificates, where the system's authorities are not enough.",
        json_schema_extra=_order(10),
    )

    indexed_metadata_fields: list[Annotated[str, Field(pattern=FIELD_NAME_PATTERN)]] = Field(
        default=[],
        title="Indexed metadata fields",
        description=(
            "Metadata fields that applications filter on, by their names in Milvus: each becomes a column with an "
            "index, of the type in the stream's schema, in a collection that the connector creates."
        ),
        examples=[["status", "organization_id"]],
        json_schema_extra=_order(12),
    )
    partition_key: str = Field(
        default="none",
        min_length=1,
        title="Partition key",
        description=(
            "What a collection that the connector creates is partitioned by: none, stream, namespace, or the name of "
            "a metadata field. A search that names one value then reads a part of the collection."
        ),
        examples=["none", "stream", "namespace", "organization_id"],
        json_schema_extra=_order(13),
    )
    full_text_search: bool = Field(
        default=False,
        title="Full-text search",
        description=(
            "Index the words of the text (BM25) beside the vector, for hybrid search, in a collection that the "
            "connector creates. Needs Milvus 2.5 or newer, or Milvus Lite."
        ),
        json_schema_extra=_order(11),
    )

    @property
    def partition_field(self) -> str | None:
        """The metadata field that the collection is partitioned by; None for none, or where it is something else."""
        return None if self.partition_key in {"none", "stream", "namespace"} else self.partition_key

    @model_validator(mode="after")
    def _fields_differ(self) -> Indexing:
        if self.vector_field == self.text_field:
            raise ValueError(f'vector_field and text_field are both "{self.vector_field}": they must differ')
        if self.full_text_search and SPARSE_FIELD in {self.vector_field, self.text_field}:
            raise ValueError(
                f'full_text_search keeps the words of the text in the field "{SPARSE_FIELD}": give vector_field and '
                "text_field other names"
            )
        return self

    @model_validator(mode="after")
    def _metadata_is_indexed(self) -> Indexing:
        own = {"pk", SPARSE_FIELD, self.vector_field, self.text_field}
        for option, names in (
            ("indexed_metadata_fields", self.indexed_metadata_fields),
            ("partition_key", [self.partition_key]),
        ):
            for name in names:
                if name in own or name.startswith("_ab_"):
                    raise ValueError(
                        f'{option} names "{name}", which is a field of the collection itself: name a metadata field'
                    )
        return self


# --- advanced ---------------------------------------------------------------------------------------------------------


class Advanced(_Model):
    """Limits and policies."""

    bad_records: Literal["fail", "skip"] = Field(
        default="fail",
        title="Bad records",
        description="What a record that cannot be stored does: end the sync, or be skipped and named in the log.",
        json_schema_extra=_order(0),
    )
    concurrency: int = Field(
        default=8,
        ge=1,
        le=64,
        title="Concurrency",
        description="Batches in flight at once, each with one embedding request.",
        json_schema_extra=_order(1),
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        title="Requests per minute",
        description="Most embedding requests in a minute; as many as the endpoint takes if not set.",
        json_schema_extra=_order(2),
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        title="Tokens per minute",
        description="Most tokens sent to the embedding endpoint in a minute; as many as it takes if not set.",
        json_schema_extra=_order(3),
    )


class Config(_Model):
    """Configuration of the Milvus destination."""

    embedding: Embedding = Field(
        title="Embedding",
        description="How texts become vectors.",
        json_schema_extra={"group": "embedding", "type": "object", "order": 1},
    )
    processing: Processing = Field(title="Processing", json_schema_extra={"group": "processing", "order": 0})
    indexing: Indexing = Field(title="Indexing", json_schema_extra={"group": "indexing", "order": 2})
    omit_raw_text: bool = Field(
        default=False,
        title="Do not store raw text",
        description="Whether to leave the text out of Milvus and store only vector and metadata.",
        json_schema_extra={"group": "advanced", "order": 3},
    )
    advanced: Advanced = Field(
        default_factory=Advanced,  # not a default: the form's would hold nulls, which its own schema refuses
        title="Advanced",
        json_schema_extra={"group": "advanced", "order": 4},
    )

    @model_validator(mode="after")
    def _options_agree(self) -> Config:
        if self.indexing.full_text_search and self.omit_raw_text:
            raise ValueError(
                "indexing.full_text_search searches the stored text, which omit_raw_text leaves out: switch one of the "
                "two off"
            )
        stored = set(map(self.processing.stored_name, self.processing.metadata_fields))
        wanted = list(self.indexing.indexed_metadata_fields)
        if self.indexing.partition_field is not None:
            wanted.append(self.indexing.partition_field)
        for name in wanted:
            if stored and name not in stored:
                raise ValueError(
                    f'indexing asks for the metadata field "{name}", which processing.metadata_fields leaves out: add '
                    "it there, or take it out of indexing.indexed_metadata_fields and indexing.partition_key"
                )
        return self


GROUPS = [
    {"id": "processing", "title": "Processing"},
    {"id": "embedding", "title": "Embedding"},
    {"id": "indexing", "title": "Indexing"},
    {"id": "advanced", "title": "Advanced"},
]


def parse(raw: Mapping[str, Any]) -> Config:
    """The configuration as models.

    Raises:
        ConfigError: names every option that is wrong, and why; values are not repeated.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors(include_url=False, include_input=False))
        raise ConfigError(f"The configuration is not valid: {problems}.") from None


_MESSAGES = {
    "missing": "is missing",
    "union_tag_not_found": "is missing",
    "union_tag_invalid": "must be one of {expected_tags}",
    "literal_error": "must be {expected}",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""What pydantic's kinds of errors are to somebody who fills in a form."""


def _problem(detail: Mapping[str, Any]) -> str:
    location = [str(part) for part in detail["loc"]]
    # behind each of these pydantic puts the tag of the chosen option, which is no part of the user's path
    path = ".".join(
        part
        for before, part in zip(["", *location], location, strict=False)
        if before not in {"embedding", "text_splitter", "auth"}
    )
    kind, context = str(detail["type"]), detail.get("ctx", {})
    if kind.startswith("union_tag"):
        path += ".mode"
    if kind in _MESSAGES:
        return f"{path or 'it'} {_MESSAGES[kind].format(**context)}"
    if kind == "string_pattern_mismatch":
        return f"{path} {_PATTERNS[context['pattern']]}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def specification() -> dict[str, Any]:
    """JSON schema (draft 7) of the configuration, references inlined, as Airbyte's form wants it."""
    schema = Config.model_json_schema(schema_generator=GenerateJsonSchema)
    definitions = schema.pop("$defs")
    inlined = _inline(schema, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **inlined,
        "title": "Milvus Destination Config",
        "groups": GROUPS,
    }


def secrets_in(raw: Json) -> list[str]:
    """Everything that stands where the specification has a secret, the longest first, for the log to leave out.

    Of a configuration that may be wrong: a list or an object in the place of a key still holds the key. A key of
    several lines is quoted line by line. Milvus' default password stays: to blot out its name would give it away.
    """
    found = set(_scalars_below(raw, _secret_names(specification()), secret=False))
    lines = {line for secret in found for line in secret.splitlines() if len(line) >= MIN_SECRET_LINE}
    return sorted({text.strip() for text in found | lines} - {"", "Milvus"}, key=len, reverse=True)


def _secret_names(node: Json) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_secret_names, node))
    if not isinstance(node, dict):
        return set()
    here = {name for name, value in node.items() if isinstance(value, dict) and value.get("airbyte_secret") is True}
    return here.union(*map(_secret_names, node.values()))


def _scalars_below(node: Json, names: set[str], *, secret: bool) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _scalars_below(value, names, secret=secret or name in names)
    elif isinstance(node, list):
        for value in node:
            yield from _scalars_below(value, names, secret=secret)
    elif secret and node is not None and not isinstance(node, bool):
        yield str(node)


def _inline(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - walks any JSON
    """References replaced by what they name; pydantic's nullable unions and discriminators by what the form knows."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        named = _inline(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
        return {**named, **{key: _inline(value, definitions) for key, value in node.items() if key != "$ref"}}
    if any(option == {"type": "null"} for option in node.get("anyOf", [])):
        (present,) = (option for option in node["anyOf"] if option != {"type": "null"})
        rest = {key: value for key, value in node.items() if key not in {"anyOf", "default"}}
        return _inline({**present, **rest}, definitions)
    cleaned = {key: _inline(value, definitions) for key, value in node.items() if key != "discriminator"}
    if "const" in cleaned and cleaned.get("title") == "Mode":
        cleaned["enum"] = [cleaned["const"]]
    if "const" in cleaned.get("properties", {}).get("mode", {}):
        cleaned["required"] = ["mode", *cleaned.get("required", [])]
    if cleaned.get("format") == "password":
        del cleaned["format"]
        cleaned.pop("writeOnly", None)
    return cleaned
