"""The option `indexing`: where Milvus is, and what the collection looks like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, model_validator

from destination_milvus.config.analyzer import ByFieldAnalyzer, FullTextAnalyzer, StandardAnalyzer
from destination_milvus.config.base import FIELD_NAME_PATTERN, Model, order, secret
from destination_milvus.fields import PRIMARY_KEY, SPARSE_FIELD

INDEX_TYPE_PATTERN = r"^[A-Z0-9_]+$"


class TokenAuth(Model):
    """Authenticate with an API key or a `user:password` token."""

    model_config = ConfigDict(title="API token")

    mode: Literal["token"] = Field(default="token", title="Mode", json_schema_extra=order(0))
    token: SecretStr = secret("API token", "API token of the Milvus instance or of Zilliz Cloud.", 1)


class PasswordAuth(Model):
    """Authenticate with username and password."""

    model_config = ConfigDict(title="Username/password")

    mode: Literal["username_password"] = Field(default="username_password", title="Mode", json_schema_extra=order(0))
    username: str = Field(title="Username", description="Name of the Milvus user.", json_schema_extra=order(1))
    password: SecretStr = secret("Password", "Password of the Milvus user.", 2)


class NoAuth(Model):
    """Connect without authentication: for Milvus Lite and tests on your own machine."""

    model_config = ConfigDict(title="No auth")

    mode: Literal["no_auth"] = Field(default="no_auth", title="Mode", json_schema_extra=order(0))


Auth = Annotated[TokenAuth | PasswordAuth | NoAuth, Field(discriminator="mode")]


class Tls(Model):
    """Certificates for the connection to Milvus, each in PEM format."""

    ca_certificate: str = Field(
        default="",
        title="CA certificate",
        description="Authority that signed the server's certificate; the system's authorities if empty.",
        json_schema_extra=order(0, multiline=True),
    )
    client_certificate: str = Field(
        default="",
        title="Client certificate",
        description="For mutual TLS.",
        json_schema_extra=order(1, multiline=True),
    )
    client_key: SecretStr = secret(
        "Client key", "Private key of the client certificate.", 2, optional=True, multiline=True
    )
    server_name: str = Field(
        default="",
        title="Server name",
        description="Name on the server's certificate, where it differs from the host.",
        json_schema_extra=order(3),
    )

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Tls:
        if bool(self.client_certificate) != bool(self.client_key.get_secret_value()):
            raise ValueError("client_certificate and client_key belong together: set both or neither")
        return self


class Indexing(Model):
    """Where and how the vectors are stored."""

    host: str = Field(
        min_length=1,
        title="Public endpoint",
        description=(
            "Address of the Milvus server, or for Milvus Lite the path of a local database, which ends in .db."
        ),
        examples=["https://my-instance.zone.zillizcloud.com", "http://milvus.internal:19530", "./milvus.db"],
        json_schema_extra=order(1),
    )
    collection: str = Field(
        pattern=FIELD_NAME_PATTERN,
        title="Collection name",
        description="Collection to load data into; created at the first sync when it is missing.",
        examples=["zendesk"],
        json_schema_extra=order(3),
    )
    auth: Auth = Field(
        title="Authentication",
        description="How to authenticate with Milvus.",
        json_schema_extra=order(2, type="object"),
    )
    db: str = Field(
        default="",
        title="Database name",
        description="Database of the collection; the default one if empty.",
        json_schema_extra=order(4),
    )
    vector_field: str = Field(
        default="vector",
        pattern=FIELD_NAME_PATTERN,
        title="Vector field",
        description="Field that holds the vector.",
        json_schema_extra=order(5),
    )
    text_field: str = Field(
        default="text",
        pattern=FIELD_NAME_PATTERN,
        title="Text field",
        description="Field that holds the embedded text.",
        json_schema_extra=order(6),
    )
    metric_type: Literal["COSINE", "L2", "IP"] = Field(
        default="COSINE",
        title="Metric type",
        description="How vectors are compared, for a collection that the connector creates.",
        json_schema_extra=order(7),
    )
    index_type: str = Field(
        default="AUTOINDEX",
        pattern=INDEX_TYPE_PATTERN,
        title="Index type",
        description="Index of the vector field, for a collection that the connector creates.",
        examples=["AUTOINDEX", "HNSW", "FLAT", "IVF_FLAT"],
        json_schema_extra=order(8),
    )
    index_params: dict[str, Any] = Field(
        default={},
        title="Index parameters",
        description="Parameters of the index type.",
        examples=[{"M": 16, "efConstruction": 200}],
        json_schema_extra=order(9),
    )
    tls: Tls | None = Field(
        default=None,
        title="TLS",
        description="Certificates, where the system's authorities are not enough.",
        json_schema_extra=order(10),
    )

    indexed_metadata_fields: list[Annotated[str, Field(pattern=FIELD_NAME_PATTERN)]] = Field(
        default=[],
        title="Indexed metadata fields",
        description=(
            "Metadata fields that applications filter on, by their names in Milvus: each becomes a column with an "
            "index, of the type in the stream's schema, in a collection that the connector creates."
        ),
        examples=[["status", "organization_id"]],
        json_schema_extra=order(12),
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
        json_schema_extra=order(13),
    )
    full_text_search: bool = Field(
        default=False,
        title="Full-text search",
        description=(
            "Index the words of the text (BM25) beside the vector, for hybrid search, in a collection that the "
            "connector creates. Needs Milvus 2.5 or newer, or Milvus Lite."
        ),
        json_schema_extra=order(11),
    )
    full_text_analyzer: FullTextAnalyzer = Field(
        default=StandardAnalyzer(),
        title="Full-text analyzer",
        description="How full-text search finds the words of a text, in a collection that the connector creates.",
        json_schema_extra=order(14, type="object"),
    )

    @property
    def analyzer_field(self) -> str | None:
        """The metadata field that says how the words of a record are found; None where it is the same for all."""
        analyzer = self.full_text_analyzer
        return analyzer.field if isinstance(analyzer, ByFieldAnalyzer) else None

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
    def _words_are_indexed(self) -> Indexing:
        if not self.full_text_search and not isinstance(self.full_text_analyzer, StandardAnalyzer):
            raise ValueError(
                "full_text_analyzer says how full-text search finds words, and full_text_search is off: switch it on, "
                "or take full_text_analyzer out"
            )
        return self

    @model_validator(mode="after")
    def _metadata_is_indexed(self) -> Indexing:
        own = {PRIMARY_KEY, SPARSE_FIELD, self.vector_field, self.text_field}
        for option, names in (
            ("indexed_metadata_fields", self.indexed_metadata_fields),
            ("partition_key", [self.partition_key]),
            ("full_text_analyzer.field", [self.analyzer_field] if self.analyzer_field else []),
        ):
            for name in names:
                if name in own or name.startswith("_ab_"):
                    raise ValueError(
                        f'{option} names "{name}", which is a field of the collection itself: name a metadata field'
                    )
        return self
