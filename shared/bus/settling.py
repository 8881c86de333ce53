"""What a delivery came to, as its caller gets it."""

from __future__ import annotations

from shared.bus.caller import WireReply
from shared.bus.fate import Fate
from shared.bus.transport import Settled
from shared.db.pool import is_outage
from shared.errors import DeadlineExceeded, Refusal


def wire_failure(error: Exception) -> WireReply:
    """The failure as the caller gets it."""
    if isinstance(error, Refusal):
        return WireReply(refusal=error.to_wire())
    is_silent = isinstance(error, DeadlineExceeded) or is_outage(error)
    return WireReply(failure="outage" if is_silent else "bug")


def is_silence(settled: Settled) -> bool:
    """Whether nobody could say: neither done nor refused nor a bug."""
    return settled.fate is not Fate.ACK and getattr(settled.reply, "failure", "") == "outage"
