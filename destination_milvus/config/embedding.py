"""The option `embedding`: which model makes the vectors, and how it is reached. One class a provider."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from destination_milvus.config.base import Model, order, secret


class Provider(Model):
    """What is asked of every provider."""

    @property
    def names_model(self) -> bool:
        """Whether it is said which model is meant, rather than left to a default that has changed."""
        return True

    @property
    def addresses(self) -> dict[str, str]:
        """Where texts are sent, by the name of the option that says so."""
        return {}


class OpenAIEmbedding(Provider):
    """Use OpenAI's embedding models."""

    model_config = ConfigDict(title="OpenAI")

    mode: Literal["openai"] = Field(default="openai", title="Mode", json_schema_extra=order(0))
    openai_key: SecretStr = secret("OpenAI API key", "API key of your OpenAI account.", 1)
    model: str | None = Field(
        default=None,
        title="Model",
        description="Embedding model; text-embedding-3-small if not set. A collection holds vectors of one model only.",
        examples=["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"],
        json_schema_extra=order(2),
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=32768,
        title="Dimensions",
        description="Shorten the vectors of models that can (text-embedding-3-*); the model's own length if not set.",
        json_schema_extra=order(3),
    )
    base_url: str | None = Field(
        default=None,
        title="Base URL",
        description="Address of a proxy or gateway that speaks OpenAI's API; OpenAI itself if not set.",
        examples=["https://gateway.example.com/v1"],
        json_schema_extra=order(4),
    )

    @property
    def names_model(self) -> bool:
        """As `Provider.names_model`."""
        return self.model is not None

    @property
    def addresses(self) -> dict[str, str]:
        """As `Provider.addresses`."""
        return {"base_url": self.base_url} if self.base_url else {}


class AzureOpenAIEmbedding(Provider):
    """Use an embedding model deployed on Azure OpenAI."""

    model_config = ConfigDict(title="Azure OpenAI")

    mode: Literal["azure_openai"] = Field(default="azure_openai", title="Mode", json_schema_extra=order(0))
    openai_key: SecretStr = secret("Azure OpenAI API key", "API key of your Azure OpenAI resource.", 1)
    api_base: str = Field(
        title="Resource base URL",
        description="Base URL of your Azure OpenAI resource.",
        examples=["https://your-resource-name.openai.azure.com"],
        json_schema_extra=order(2),
    )
    deployment: str = Field(
        title="Deployment",
        description="Name of the deployment of the embedding model.",
        examples=["your-deployment-name"],
        json_schema_extra=order(3),
    )
    model: str | None = Field(
        default=None,
        title="Model",
        description="Model that the deployment runs; text-embedding-3-small if not set.",
        examples=["text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"],
        json_schema_extra=order(4),
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=32768,
        title="Dimensions",
        description="Shorten the vectors of models that can (text-embedding-3-*); the model's own length if not set.",
        json_schema_extra=order(5),
    )

    @property
    def names_model(self) -> bool:
        """As `Provider.names_model`."""
        return self.model is not None

    @property
    def addresses(self) -> dict[str, str]:
        """As `Provider.addresses`."""
        return {"api_base": self.api_base}


class OpenAICompatibleEmbedding(Provider):
    """Use any service that speaks OpenAI's embedding API."""

    model_config = ConfigDict(title="OpenAI-compatible")

    mode: Literal["openai_compatible"] = Field(default="openai_compatible", title="Mode", json_schema_extra=order(0))
    api_key: SecretStr = secret("API key", "Left empty where the service wants none.", 1, optional=True)
    base_url: str = Field(
        title="Base URL",
        description="Base URL of the service, with its version path.",
        examples=["https://your-service.example.com/v1"],
        json_schema_extra=order(2),
    )
    model_name: str = Field(
        default="text-embedding-ada-002",
        title="Model name",
        description="Name of the model, as the service knows it.",
        examples=["text-embedding-ada-002", "bge-m3"],
        json_schema_extra=order(3),
    )
    dimensions: int = Field(
        ge=1,
        le=32768,
        title="Embedding dimensions",
        description="Length of the vectors that the model returns.",
        examples=[1536, 384],
        json_schema_extra=order(4),
    )

    @property
    def addresses(self) -> dict[str, str]:
        """As `Provider.addresses`."""
        return {"base_url": self.base_url}


class CohereEmbedding(Provider):
    """Use Cohere's embedding models."""

    model_config = ConfigDict(title="Cohere")

    mode: Literal["cohere"] = Field(default="cohere", title="Mode", json_schema_extra=order(0))
    cohere_key: SecretStr = secret("Cohere API key", "API key of your Cohere account.", 1)
    model: str | None = Field(
        default=None,
        title="Model",
        description="Embedding model; embed-multilingual-v3.0 if not set.",
        examples=["embed-multilingual-v3.0", "embed-english-v3.0", "embed-v4.0"],
        json_schema_extra=order(2),
    )

    @property
    def names_model(self) -> bool:
        """As `Provider.names_model`."""
        return self.model is not None


LocalModelName = Literal["all-MiniLM-L6-v2", "universal-sentence-encoder-multilingual"]

MINILM: LocalModelName = "all-MiniLM-L6-v2"
MULTILINGUAL: LocalModelName = "universal-sentence-encoder-multilingual"


class LocalEmbedding(Provider):
    """Use a bundled model: no key, no network."""

    model_config = ConfigDict(title="Local")

    mode: Literal["local"] = Field(default="local", title="Mode", json_schema_extra=order(0))
    model: LocalModelName = Field(
        default=MINILM,
        title="Model",
        description=(
            "all-MiniLM-L6-v2 for English (384 dimensions, reads some 200 tokens of a chunk), or "
            "universal-sentence-encoder-multilingual for 16 languages and searches across them (512 dimensions, reads "
            "chunks to their end). A collection holds vectors of one model only."
        ),
        json_schema_extra=order(1),
    )


class FromFieldEmbedding(Provider):
    """Use vectors that the records already carry; each record becomes one entity."""

    model_config = ConfigDict(title="From field")

    mode: Literal["from_field"] = Field(default="from_field", title="Mode", json_schema_extra=order(0))
    field_name: str = Field(
        title="Field name",
        description="Field of the record that holds the vector, as a dotted path.",
        examples=["embedding", "vectors.body"],
        min_length=1,
        json_schema_extra=order(1),
    )
    dimensions: int = Field(
        ge=1,
        le=32768,
        title="Dimensions",
        description="Length of the vectors.",
        examples=[1536],
        json_schema_extra=order(2),
    )


class FakeEmbedding(Provider):
    """Use made-up vectors, equal for equal texts: for trying out the pipeline only."""

    model_config = ConfigDict(title="Fake")

    mode: Literal["fake"] = Field(default="fake", title="Mode", json_schema_extra=order(0))


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
