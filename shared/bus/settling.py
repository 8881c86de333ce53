"""What a delivery came to, in words: for the caller, for the dead letter and for the log."""

from __future__ import annotations

import time
from typing import Final

import structlog
from pydantic import ValidationError

from shared.bus.caller import WireReply
from shared.bus.fate import Fate
from shared.bus.transport import Settled
from shared.contracts.base import Envelope
from shared.db.pool import is_outage
from shared.db.pool import reason as database_reason
from shared.errors import DeadlineExceeded, Refusal

log: Final = structlog.get_logger("flint.bus")


def describe(error: BaseException) -> str:
    """Why, in one line without values: database errors echo rows, validation errors inputs."""
    if isinstance(error, Refusal):
        return f"refused: {error.code}"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"malformed: {'.'.join(str(part) for part in first['loc'])} {first['type']}"
    if hasattr(error, "sqlstate"):
        return database_reason(error)
    return f"{type(error).__name__}: {error}"[:500]


def wire_failure(error: Exception) -> WireReply:
    """The failure as the caller gets it."""
    if isinstance(error, Refusal):
        return WireReply(refusal=error.to_wire())
    is_silent = isinstance(error, DeadlineExceeded) or is_outage(error)
    return WireReply(failure="outage" if is_silent else "bug")


def is_silence(settled: Settled) -> bool:
    """Whether nobody could say: neither done nor refused nor a bug."""
    return settled.fate is not Fate.ACK and getattr(settled.reply, "failure", "") == "outage"


def note(room: str, envelope: Envelope, settled: Settled, started: float) -> None:
    """One line per message is enough to follow a checkout; only failures are loud."""
    say = log.warning if settled.fate in (Fate.BURY, Fate.RETRY) else log.debug
    say(
        "message.handled",
        room=room,
        topic=envelope.topic,
        message_id=envelope.id,
        request_id=envelope.context.request_id,
        fate=settled.fate.value,
        reason=settled.reason,
        handler=settled.handler,
        attempt=envelope.attempt,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
    )
