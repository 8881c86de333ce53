"""Logs are facts with names: JSON lines in production, readable in a terminal, never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final

import orjson
import structlog

MASK: Final = "[redacted]"
_SECRET_KEYS: Final = re.compile(
    r"card|cvc|pan$|token|secret|password|authorization|cookie|api_key|email|phone|address|dsn|_url$",
    re.IGNORECASE,
)
_SAFE_KEYS: Final = frozenset({"public_url", "token_bucket"})
_SECRETS: Final = re.compile(
    r"flint_(?:test|live)_[0-9a-f]{8,}|whsec_[A-Za-z0-9+/=]+|(?:Bearer|Basic) [A-Za-z0-9._~+/=-]+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|://[^/\s:@]+:[^@\s]+@"
    r"|DETAIL: [^\n]*"  # where PostgreSQL echoes a row's values
)
_CARD_LIKE: Final = 10**12  # the shortest card number has 13 digits
_DIGITS: Final = re.compile(r"\d(?:[ -]?\d){12,18}")


def configure(*, level: str = "info", is_json: bool = True) -> None:
    """Set up structlog and quiet the libraries that shout about things that mean nothing."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = _render_json if is_json else structlog.dev.ConsoleRenderer()
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    last: list[Any] = [structlog.processors.format_exc_info, redact, renderer]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    others = logging.StreamHandler(sys.stderr)  # what libraries say goes the same way
    before: list[Any] = [structlog.stdlib.add_log_level, stamp]
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[others])
    for noisy in ("aio_pika", "aiormq"):  # each reconnect is an ERROR there; ours says it once
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask by key and by shape: card numbers (Luhn), keys, e-mails, credentials in URLs."""
    event.update(_pairs(event))
    return event


def clean(text: str) -> str:
    """A text without secrets and without escapes that a terminal would obey."""
    text = _SECRETS.sub(MASK, text)
    if _DIGITS.search(text):
        text = _DIGITS.sub(lambda match: MASK if _is_luhn(match[0]) else match[0], text)
    return text.replace("\x1b", "\\x1b")


def _deep(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return dict(_pairs(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [_deep(one) for one in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < _CARD_LIKE:
        return value
    text = clean(str(value))  # bytes, errors, models: whatever they would be rendered as
    return value if isinstance(value, int) and text == str(value) else text


def _pairs(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, inner in list(value.items()):
        name = str(key)
        is_secret = name not in _SAFE_KEYS and _SECRET_KEYS.search(name)
        yield name, MASK if is_secret else _deep(inner)


def _is_luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
