"""Bodies: read within a time and a size, and parsed so strictly that two readers cannot disagree.

Refused beside what JSON itself refuses: a key given twice, NaN, lone surrogates, U+0000, a depth
over 32. Python's own parser is used because it shows repeated keys; pydantic validates afterwards.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from services.gateway.errors import Turned, param_of, too_large, too_slow, unsupported_media
from shared.errors import Refusal, invalid

BODY_MAX: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
DEPTH_MAX: Final = 32

Path = tuple[int | str, ...]


async def read_body(request: web.Request, limit: int = BODY_MAX) -> bytes:
    """The whole body, or the failure of one that is too large, too slow or compressed."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise Turned(unsupported_media("A compressed request body is not accepted."))
    if (request.content_length or 0) > limit:
        raise Turned(too_large(limit))
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                chunks += chunk
                if len(chunks) > limit:
                    raise Turned(too_large(limit))
    except TimeoutError:
        raise Turned(too_slow(BODY_SECONDS)) from None
    except (BadHttpMessage, web.RequestPayloadError):
        raise _broken("The request body ended early.") from None
    return bytes(chunks)


def check_json_type(request: web.Request) -> None:
    """415 unless the body says that it is JSON, in UTF-8."""
    charset = (request.charset or "utf-8").lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        raise Turned(unsupported_media("The Content-Type has to be application/json."))


def parse(raw: bytes) -> Any:
    """The JSON value, or a 400 that names the place where it is wrong."""
    suspect = _Suspect()
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=suspect.object_of,
            parse_constant=suspect.constant,
        )
    except (ValueError, RecursionError):
        raise _broken("The request body is not valid JSON.") from None
    if suspect.is_found or b"\\u" in raw or raw.count(b"{") + raw.count(b"[") > DEPTH_MAX:
        _inspect(value)
    return value


class _Constant:
    """NaN or Infinity, which JSON does not have."""


class _Repeated(dict[str, Any]):
    """An object that has a key twice."""

    name = ""


class _Suspect:
    """The parser's hooks. They do not know where they are, so they only leave marks."""

    def __init__(self) -> None:
        self.is_found = False

    def constant(self, _: str) -> _Constant:
        self.is_found = True
        return _Constant()

    def object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self.is_found = True
        repeated = _Repeated(made)
        names = [name for name, _ in pairs]
        repeated.name = next(name for name in names if names.count(name) > 1)
        return repeated


def _inspect(value: Any) -> None:
    for path, part in _walk(value):
        param = param_of(path) or None
        if len(path) >= DEPTH_MAX and isinstance(part, dict | list):
            raise _broken(f"The request body is nested deeper than {DEPTH_MAX} levels.", param)
        if isinstance(part, _Repeated):
            param = param_of((*path, part.name))
            raise _broken(f"The '{param}' field is given twice.", param)
        if isinstance(part, _Constant):
            raise _broken(f"The '{param}' field is not a finite number.", param)
        _inspect_text(path, part)


def _inspect_text(path: Path, part: Any) -> None:
    texts = [part] if isinstance(part, str) else list(part) if isinstance(part, dict) else []
    for text in texts:
        if "\0" in text:
            raise invalid(param_of(path), "A text may not contain the character U+0000.")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise _broken("A text holds half of a surrogate pair.", param_of(path) or None)


def _walk(value: Any) -> Iterator[tuple[Path, Any]]:
    """Every value with its path; children of what is too deep are never reached."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, part = stack.pop()
        yield path, part
        if isinstance(part, dict):
            stack += [((*path, name), child) for name, child in part.items()]
        elif isinstance(part, list):
            stack += [((*path, index), child) for index, child in enumerate(part)]


def _broken(message: str, param: str | None = None) -> Refusal:
    return Refusal("invalid", "INVALID_JSON", message, param=param)
