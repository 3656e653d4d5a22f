"""The option `indexing.full_text_analyzer`: how the words of a text are found. One class a choice."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from destination_milvus.config.base import FIELD_NAME_PATTERN, Model, order

Language: TypeAlias = Literal[
    "arabic", "chinese", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "japanese", "korean", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip
"""What Milvus has a stemmer or a dictionary for: tantivy-binding/src/analyzer in its sources, the same from 2.5 on."""


class StandardAnalyzer(Model):
    """Find words of letters and digits, in lower case, in any language that puts spaces between them."""

    model_config = ConfigDict(title="Standard")

    mode: Literal["standard"] = Field(default="standard", title="Mode", json_schema_extra=order(0))


class LanguageAnalyzer(Model):
    """Find words as one language makes them: by its endings, or by a dictionary where it writes without spaces."""

    model_config = ConfigDict(title="One language")

    mode: Literal["language"] = Field(default="language", title="Mode", json_schema_extra=order(0))
    language: Language = Field(
        title="Language",
        description=(
            "Language of the texts. Milvus 2.5 or newer; Japanese and Korean 2.6 or newer; Milvus Lite knows Chinese "
            "alone."
        ),
        examples=["german", "chinese"],
        json_schema_extra=order(1),
    )


class IcuAnalyzer(Model):
    """Find words by the rules of Unicode, in texts of several languages, those without spaces among them."""

    model_config = ConfigDict(title="Any script (ICU)")

    mode: Literal["icu"] = Field(default="icu", title="Mode", json_schema_extra=order(0))


class ByFieldAnalyzer(Model):
    """Find words in the language that a metadata field names, record by record."""

    model_config = ConfigDict(title="By a field")

    mode: Literal["by_field"] = Field(default="by_field", title="Mode", json_schema_extra=order(0))
    field: str = Field(
        pattern=FIELD_NAME_PATTERN,
        title="Field",
        description=(
            "Metadata field that says which language a record is written in, by its name in Milvus; it becomes a "
            "column. Milvus 2.5.11 or newer."
        ),
        examples=["locale"],
        json_schema_extra=order(1),
    )
    languages: dict[str, Language] = Field(
        min_length=1,
        title="Languages",
        description="Language by the value of the field.",
        examples=[{"de": "german", "en-us": "english", "zh-cn": "chinese"}],
        json_schema_extra=order(2),
    )
    default: Literal[Language, "standard", "icu"] = Field(
        default="standard",
        title="Default",
        description=(
            "How words are found in records without the field, or with another value: standard, icu, or a language."
        ),
        json_schema_extra=order(3),
    )

    @model_validator(mode="after")
    def _names_are_clear(self) -> ByFieldAnalyzer:
        for value, language in self.languages.items():
            if value == "default" or (value in self.languages.values() and value != language):
                raise ValueError(
                    f'languages has the value "{value}", which is the name of an analyzer itself: leave it out, or map '
                    "it to that language"
                )
        return self


class CustomAnalyzer(Model):
    """Find words as Milvus' analyzer parameters say."""

    model_config = ConfigDict(title="Custom")

    mode: Literal["custom"] = Field(default="custom", title="Mode", json_schema_extra=order(0))
    params: dict[str, Any] = Field(
        min_length=1,
        title="Parameters",
        description="Milvus' analyzer parameters: a type, or a tokenizer and filters.",
        examples=[{"tokenizer": "standard", "filter": ["lowercase", "asciifolding"]}],
        json_schema_extra=order(1),
    )


FullTextAnalyzer = Annotated[
    StandardAnalyzer | LanguageAnalyzer | IcuAnalyzer | ByFieldAnalyzer | CustomAnalyzer, Field(discriminator="mode")
]
