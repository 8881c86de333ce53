"""Logs are facts with names: JSON lines in production, readable in a terminal, never a secret.

Every line names its service and instance, and within a request or message its ids. Also what
libraries, the interpreter's warnings and a crash have to say comes as such lines.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final

import orjson
import structlog

from shared.failures import describe, frames
from shared.redaction import redact
from shared.telemetry.scope import add_ids

Line = MutableMapping[str, Any]
NOISY: Final = ("aio_pika", "aiormq")  # each reconnect is an ERROR there; ours says it once


def configure(*, level: str = "info", is_json: bool = True, service: str = "flint") -> None:
    """Set up structlog and quiet the libraries that shout about things that mean nothing.

    `service` names the process; within a message of a room the room's name stands instead.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = _render_json if is_json else structlog.dev.ConsoleRenderer()
    first: list[Any] = [_Names(service), add_ids]
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    last: list[Any] = [_explain_error, redact, renderer]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *first,
            structlog.processors.add_log_level,
            stamp,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_the_libraries([*first, structlog.stdlib.add_log_level, stamp], last)
    sys.excepthook = _crashed


def on_loop_error(_: Any, context: dict[str, Any]) -> None:
    """The event loop's own complaints; asyncio would print the error whole."""
    log = structlog.get_logger("flint.process")
    log.error("loop.error", reason=context["message"], exc_info=context.get("exception"))


def instance() -> str:
    """Which process of a service this is."""
    return f"{socket.gethostname()}-{os.getpid()}"


class _Names:
    """Whose line it is."""

    def __init__(self, service: str) -> None:
        self._names = {"service": service, "instance": instance()}

    def __call__(self, _: Any, __: str, line: Line) -> Line:
        for name, value in self._names.items():
            line.setdefault(name, value)
        return line


def _adopt_the_libraries(before: list[Any], last: list[Any]) -> None:
    """What libraries say goes the same way."""
    handler = logging.StreamHandler(sys.stderr)
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(capture=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def _explain_error(_: Any, __: str, line: Line) -> Line:
    """An error as what it is and where it happened: its own words may echo what was sent."""
    given = line.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["error"] = describe(error)
        line["frames"] = frames(error)
    return line


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last words of a process; those of a group are its members'."""
    del kind, trace
    log = structlog.get_logger("flint.process")
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    for one in inner:
        if isinstance(one, BaseExceptionGroup):
            _crashed(type(one), one, None)
        else:
            log.critical("process.crashed", exc_info=one)


def _render_json(_: Any, __: str, line: Line) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
