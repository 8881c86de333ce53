"""Logs are facts with names: JSON lines in production, readable in a terminal, never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
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
)
_DIGITS: Final = re.compile(r"\d(?:[ -]?\d){12,18}")


def configure(*, level: str = "info", is_json: bool = True) -> None:
    """Set up structlog and quiet the libraries that shout about things that mean nothing."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = _render_json if is_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    for noisy in ("aio_pika", "aiormq"):  # each reconnect is an ERROR there; ours says it once
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask by key and by shape: card numbers (Luhn), keys, e-mails, credentials in URLs."""
    for key, value in event.items():
        if key not in _SAFE_KEYS and _SECRET_KEYS.search(key):
            event[key] = MASK
        elif isinstance(value, str):
            event[key] = clean(value)
        elif isinstance(value, dict | list | tuple):
            event[key] = _deep(value)
    return event


def clean(text: str) -> str:
    """A text without secrets and without line breaks that could forge another line."""
    text = _SECRETS.sub(MASK, text)
    if _DIGITS.search(text):
        text = _DIGITS.sub(lambda match: MASK if _is_luhn(match[0]) else match[0], text)
    return text.replace("\x1b", "\\x1b")


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_pairs(value))
    if isinstance(value, list | tuple):
        return [_deep(one) for one in value]
    return clean(value) if isinstance(value, str) else value


def _pairs(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = str(key)
        is_secret = name not in _SAFE_KEYS and _SECRET_KEYS.search(name)
        yield name, MASK if is_secret else _deep(inner)


def _is_luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
