"""The three kinds of failure, named once: refusal, outage, bug.

A `Refusal` is an answer (never retried), `Unavailable` is an outage (retried, bounded), and
everything else is a bug (dead-lettered with its reason). `shared.bus.fate` decides on nothing
but these classes; `services.gateway` maps `Refusal.kind` to an HTTP status in one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal[
    "invalid",  # 400: the request itself is wrong
    "unauthenticated",  # 401
    "forbidden",  # 403: the key lacks a scope
    "not_found",  # 404: unknown, foreign and other-mode ids look the same
    "conflict",  # 409: the resource's state says no
    "unprocessable",  # 422: a business refusal, e.g. a declined card
    "rate_limited",  # 429
]


class Refusal(Exception):
    """A domain 'no' with a stable code, a sentence for people and the field it is about."""

    def __init__(
        self,
        kind: Kind,
        code: str,
        message: str,
        *,
        param: str | None = None,
        next_actions: tuple[str, ...] = (),
        retryable: bool = False,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.next_actions = next_actions
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds

    def to_wire(self) -> dict[str, Any]:
        """The refusal as it crosses the bus and rests in the inbox."""
        return {
            "kind": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "next_actions": list(self.next_actions),
            "retryable": self.retryable,
            "retry_after_seconds": self.retry_after_seconds,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Refusal:
        """The inverse of `to_wire`."""
        return cls(
            wire["kind"],
            wire["code"],
            wire["message"],
            param=wire["param"],
            next_actions=tuple(wire["next_actions"]),
            retryable=wire["retryable"],
            retry_after_seconds=wire["retry_after_seconds"],
        )


class Unavailable(Exception):
    """The world is silent (database, broker, provider): the outcome is unknown, ask again."""


class DeadlineExceeded(Unavailable):
    """No answer in time. The work may still happen: ask again with the same id, or read."""


def not_found(resource: str, param: str | None = None) -> Refusal:
    """One answer for unknown, foreign and other-mode ids, so that none can be told apart."""
    return Refusal("not_found", "RESOURCE_NOT_FOUND", f"No such {resource}.", param=param)


def required(param: str) -> Refusal:
    """The answer for a field that has to be there."""
    message = f"The '{param}' field is required."
    return Refusal("invalid", "FIELD_REQUIRED", message, param=param)


def invalid(param: str, message: str, code: str = "INVALID_VALUE") -> Refusal:
    """The answer for a field whose value cannot be accepted."""
    return Refusal("invalid", code, message, param=param)
