"""Fields as jobs.yaml declares them, and the JSON Schema that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
}
_HINTS = {"date": "As YYYY-MM-DD."}

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]


class FieldSpec(BaseModel):
    """One field to extract; a text in its place is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["text", "number", "integer", "boolean", "date", "object"] = Field(
        "text", description="What it is; an object has `fields` of its own."
    )
    description: str = Field("", description="What is meant, for the model.")
    choices: list[str] | None = Field(None, min_length=1, description="The texts that it may be.")
    many: bool = Field(False, description="A list of them.")
    required: bool = Field(False, description="Never null, not even where the text does not say it.")
    fields: dict[FieldName, Declared] | None = Field(
        None, min_length=1, description="The fields of an object."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.fields is not None) != (self.type == "object"):
            raise ValueError("an object has `fields`, and nothing else has")
        if self.choices is not None and self.type != "text":
            raise ValueError("only a text has `choices`")
        return self


def _read_short_form(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return {"description": value or ""}
    return value


Declared = Annotated[
    FieldSpec, BeforeValidator(_read_short_form, json_schema_input_type=FieldSpec | str | None)
]
"""A field, or its description alone."""

FieldSpec.model_rebuild()


def make_schema(fields: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """
    Make the schema of an object with these fields, none missing and no others; null where the text is silent.

    >>> make_schema({"price": FieldSpec(type="number", required=True)})["properties"]
    {'price': {'type': 'number'}}
    """
    return {
        "type": "object",
        "properties": {name: _describe(field) for name, field in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _describe(field: FieldSpec) -> dict[str, Any]:
    schema = _make_value(field)
    if field.many:  # an empty list says that there is none
        schema = {"type": "array", "items": schema}
    elif not field.required:
        schema = {"anyOf": [schema, {"type": "null"}]}
    said = " ".join(part for part in (field.description.strip(), _HINTS.get(field.type, "")) if part)
    return {**schema, "description": said} if said else schema


def _make_value(field: FieldSpec) -> dict[str, Any]:
    if field.fields is not None:
        return make_schema(field.fields)
    if field.choices is not None:
        return {"type": "string", "enum": field.choices}
    return dict(_TYPES[field.type])
