"""The schemas of bodies and answers, all made together so that they share their parts.

Requests are described as they are validated, answers as they are written: an unset optional
field is absent from an answer, never null, and an answer may gain fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from services.gateway.api.operation import Operation

Json = dict[str, Any]
Shape = tuple[str, JsonSchemaMode]
Input = tuple[str, JsonSchemaMode, TypeAdapter[Any]]
REF: Final = "#/components/schemas/{model}"


class Schemas(GenerateJsonSchema):
    """pydantic's schemas, with answers as `exclude_none` writes them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """An answer never says null."""
        if self.mode == "serialization":
            return self.generate_inner(schema["schema"])
        return super().nullable_schema(schema)

    def field_is_required(self, field: Any, total: bool) -> bool:
        """In an answer everything is there, except what is None."""
        if self.mode == "serialization":
            inner = field["schema"]
            return not (inner["type"] == "default" and inner.get("default", ...) is None)
        return super().field_is_required(field, total)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A default is a matter of requests; null and empty ones say nothing."""
        default = schema.get("default")
        if self.mode == "serialization" or isinstance(default, BaseModel) or not default:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """pydantic only says what keys of the right form hold; ours may have no other keys."""
        made = super().dict_schema(schema)
        if len(made.get("patternProperties", {})) == 1:
            ((pattern, values),) = made.pop("patternProperties").items()
            made["propertyNames"] = {**made.get("propertyNames", {}), "pattern": pattern}
            made["additionalProperties"] = values
        return made

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        """Our one serializer writes times; its return type alone would only say `string`."""
        made = super().ser_schema(schema)
        return {**made, "format": "date-time"} if made == {"type": "string"} else made


def schemas_of(operations: Sequence[Operation]) -> tuple[dict[Shape, Json], Json]:
    """The schema of every body and answer, and the components they refer to."""
    inputs: list[Input] = []
    for operation in operations:
        if operation.body is not None:
            inputs.append((f"{operation.id}.body", "validation", operation.body_adapter))
        if not operation.media:
            inputs.append((f"{operation.id}.data", "serialization", operation.reply_adapter))
        for name, adapter in operation.beside_adapters.items():
            inputs.append((f"{operation.id}.{name}", "serialization", adapter))
    return described(inputs)


def described(inputs: Sequence[Input]) -> tuple[dict[Shape, Json], Json]:
    """The schema of each, and the components they share."""
    shapes, rest = TypeAdapter.json_schemas(
        inputs, ref_template=REF, schema_generator=Schemas, by_alias=False
    )
    made: dict[Shape, Json] = tidied(shapes)
    components: Json = tidied(rest.get("$defs", {}))
    plain = {_plain(name): _open(name, schema) for name, schema in components.items()}
    assert len(plain) == len(components), "two components would have one name"
    return made, plain


def _plain(name: str) -> str:
    """`Theme-Output` is what everybody reads: `Theme`; what is sent is a `ThemeInput`."""
    return name.replace("-Output", "").replace("-Input", "Input")


def _open(name: str, schema: Json) -> Json:
    """An answer may gain fields, although the same object as a request may not have others."""
    if not name.endswith("-Output"):
        return schema
    return {word: value for word, value in schema.items() if word != "additionalProperties"}


def tidied(schema: Any) -> Any:
    """Without pydantic's titles, and with our names."""
    if isinstance(schema, list):
        return [tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: tidied(value) for name, value in schema.items() if not _is_title(name, value)}
    if isinstance(tidy.get("$ref"), str):
        tidy["$ref"] = _plain(tidy["$ref"])
    return tidy


def _is_title(name: Any, value: Any) -> bool:
    return name == "title" and isinstance(value, str)
