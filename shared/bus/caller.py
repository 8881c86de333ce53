"""Asking a service and waiting for its answer, with a deadline. Timeout means unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from pydantic import TypeAdapter

from shared.contracts.base import Command, Context
from shared.errors import Refusal, Unavailable

R = TypeVar("R")
CALL_SECONDS: Final = 3.0


class RemoteBug(Exception):
    """The other side failed for a reason of its own: a bug there, not an outage, not a 'no'."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """A reply, and whether it is the kept answer of an earlier, identical request."""

    value: R
    is_replayed: bool = False


class Caller(Protocol):
    """The gateway's side of the bus; both transports implement it."""

    async def call(
        self,
        command: Command[R],
        *,
        context: Context,
        message_id: str | None = None,
        body_hash: str = "",
        is_keyed: bool = False,
        timeout_seconds: float = CALL_SECONDS,
    ) -> Answer[R]:
        """Ask and wait. Raises the handler's `Refusal`, `DeadlineExceeded` or `Unavailable`.

        `message_id` makes it happen once; `is_keyed` says that it came from a client's
        Idempotency-Key, so that another body under it (`body_hash`) is a conflict and a
        refusal is kept like any other answer.
        """
        ...


_ADAPTERS: Final[dict[type[Command[Any]], TypeAdapter[Any]]] = {}


def reply_adapter(command: type[Command[Any]]) -> TypeAdapter[Any]:
    """The (cached) codec of a command's declared reply type."""
    if command not in _ADAPTERS:
        _ADAPTERS[command] = TypeAdapter(command.reply_type())
    return _ADAPTERS[command]


@dataclass(frozen=True, slots=True)
class WireReply:
    """An answer on the wire: the value's JSON, a refusal, or that there is no answer."""

    value: bytes = b"null"
    refusal: dict[str, Any] | None = None
    failure: Literal["", "outage", "bug"] = ""
    is_replayed: bool = False

    def open(self, command: Command[R]) -> Answer[R]:
        """The typed answer; raises the refusal, outage or bug if it is one."""
        if self.refusal is not None:
            raise Refusal.from_wire(self.refusal)
        if self.failure == "outage":
            raise Unavailable(f"{command.topic} cannot be answered right now")
        if self.failure == "bug":
            raise RemoteBug(f"{command.topic} failed; its service's log says why")
        value: R = reply_adapter(type(command)).validate_json(self.value)
        return Answer(value, self.is_replayed)
