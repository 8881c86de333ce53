"""`/docs`: the OpenAPI document as a page. No script, and nothing from any other host."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from services.gateway.api.openapi import JSON, TAGS, document
from services.gateway.api.operation import Operation
from services.gateway.gateway import GATEWAY

Json = dict[str, Any]
HERE: Final = Path(__file__).parent
ENUM_SHOWN: Final = 12


@dataclass(frozen=True)
class Piece:
    """A part of a type's text, which may lead to a schema."""

    text: str
    href: str = ""


@dataclass(frozen=True)
class Row:
    """A field of an object, or a parameter."""

    name: str
    type: list[Piece]
    is_required: bool
    notes: str = ""


@dataclass(frozen=True)
class Shown:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    title: str
    words: str
    parameters: list[Row]
    body: list[Row]
    reply: list[Piece]
    media: str
    command: str
    answer: str
    refusals: list[tuple[str, str]]


@dataclass(frozen=True)
class Group:
    """The operations of one resource."""

    name: str
    words: str
    operations: list[Shown] = field(default_factory=list)

    @property
    def title(self) -> str:
        """`payment-links` → `Payment links`."""
        return self.name.replace("-", " ").capitalize()


def serving(
    operations: Sequence[Operation],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of `/docs`; the page is written once."""
    kept: list[str] = []
    css = (HERE / "reference.css").read_text(encoding="utf-8")
    policy = _policy(css)

    async def serve(request: web.Request) -> web.Response:
        if not kept:
            gateway = request.app[GATEWAY]
            kept.append(page(document(operations, gateway.public_url, gateway.version), css))
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        answer = web.Response(text=kept[0], content_type="text/html", headers=headers)
        answer.enable_compression()
        return answer

    return serve


def page(api: Json, css: str) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    schemas = api["components"]["schemas"]
    return environment.get_template("reference.html").render(
        css=Markup(css),  # noqa: S704 our own file
        info=api["info"],
        server=api["servers"][0]["url"],
        groups=_groups(api),
        schemas=[
            (name, schema.get("description", ""), rows_of(schema))
            for name, schema in sorted(schemas.items())
        ],
    )


def prose(text: str) -> Markup:
    """Paragraphs, `code` and **bold**; everything else is text."""
    escaped = str(escape(text))
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escaped)
    parts = [part.strip() for part in escaped.split("\n\n") if part.strip()]
    return Markup("\n".join(f"<p>{part}</p>" for part in parts))  # noqa: S704 escaped above


def _policy(css: str) -> str:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _groups(api: Json) -> list[Group]:
    groups = {name: Group(name, words) for name, words in TAGS.items()}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].operations.append(_shown(api, method, path, operation))
    return list(groups.values())


def _shown(api: Json, method: str, path: str, operation: Json) -> Shown:
    status = next(code for code in operation["responses"] if code.startswith("2"))
    content = operation["responses"][status]["content"]
    media = content.get(JSON)
    body = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    return Shown(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        title=operation["summary"],
        words=operation["description"],
        parameters=[_parameter(one) for one in operation["parameters"] if one["in"] != "header"],
        body=rows_of(_resolved(api, body.get("schema", {}))),
        reply=type_of(media["schema"]["properties"]["data"]) if media else [],
        media=" or ".join(content),
        command=_curl(api["servers"][0]["url"], method, path, operation, body),
        answer=f"{status}\n{_pretty(media['example']) if media else next(iter(content))}",
        refusals=list(_refusals(api, operation)),
    )


def _refusals(api: Json, operation: Json) -> Iterator[tuple[str, str]]:
    for status, response in operation["responses"].items():
        if "$ref" in response:
            name = response["$ref"].rpartition("/")[2]
            yield status, api["components"]["responses"][name]["description"]


def _curl(server: str, method: str, path: str, operation: Json, body: Json) -> str:
    lines = [f"curl {server}{path}"]
    if method != "get":
        lines[0] = f"curl -X {method.upper()} {server}{path}"
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $FLINT_KEY"')
    if method != "get":
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if "example" in body:
        lines.append('-H "Content-Type: application/json"')
        lines.append(f"-d '{_pretty(body['example'])}'")
    return " \\\n  ".join(lines)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


# Schemas as text.


def rows_of(schema: Json) -> list[Row]:
    """The fields of an object schema: required ones first, whole objects last."""
    required = schema.get("required", [])
    rows = [
        (
            name not in required,
            "$ref" in shape,
            Row(name, type_of(shape), name in required, _notes(shape)),
        )
        for name, shape in schema.get("properties", {}).items()
    ]
    return [row for *_, row in sorted(rows, key=lambda one: one[:2])]


def _parameter(parameter: Json) -> Row:
    shape = parameter["schema"]
    words = [parameter.get("description", ""), _notes(shape)]
    notes = " ".join(word for word in words if word)
    return Row(parameter["name"], type_of(shape), parameter["required"], notes)


def _resolved(api: Json, schema: Json) -> Json:
    name = schema.get("$ref", "").rpartition("/")[2]
    resolved: Json = api["components"]["schemas"][name] if name else schema
    return resolved


def type_of(schema: Json) -> list[Piece]:
    """`array of LineItem`, `string or null`, with links to the schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [Piece(name, f"#schema-{name}")]
    if "anyOf" in schema:
        options = [type_of(one) for one in schema["anyOf"]]
        return [piece for option in options for piece in (Piece(" or "), *option)][1:]
    if schema.get("type") == "array":
        return [Piece("array of "), *type_of(schema.get("items", {}))]
    if isinstance(schema.get("additionalProperties"), dict):
        return [Piece("map of "), *type_of(schema["additionalProperties"])]
    return [Piece(schema.get("format") or schema.get("type", "any"))]


def _notes(schema: Json) -> str:
    """The bounds of a value in words."""
    if "anyOf" in schema:
        notes = [_notes(one) for one in schema["anyOf"]]
        return " ".join(note for note in notes if note)
    words = [schema.get("description", ""), _enum(schema), *_bounds(schema)]
    if "default" in schema:
        words.append(f"Default {json.dumps(schema['default'])}.")
    return " ".join(word for word in words if word)


def _enum(schema: Json) -> str:
    values = schema.get("enum", [])
    if len(values) > ENUM_SHOWN:
        return f"One of {len(values)} codes."
    return f"One of {', '.join(f'`{value}`' for value in values)}." if values else ""


def _bounds(schema: Json) -> Iterator[str]:
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ):
        if high in schema:
            bottom = f"{schema[low]} to " if schema.get(low) else "up to "
            yield f"{bottom}{schema[high]}{unit}.".capitalize()
