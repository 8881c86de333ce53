"""Messages: frozen sentences with an address.

An `Event` is a fact (`noun.past_participle`), a `Command` a request that is answered, a `Query`
a command that only reads, an `Effect` a command to a handler that touches the outside world.
One class per topic, declared once; defining a topic twice fails at import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.contracts.types import ModeEnvironment

TOPICS: Final[dict[str, type[Message]]] = {}
Reply = TypeVar("Reply")


class Message(BaseModel):
    """Anything that travels. Unknown fields are ignored: senders may be newer than we are."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic: ClassVar[str] = ""

    def __init_subclass__(cls, **_: Any) -> None:
        """Class arguments are read by `__pydantic_init_subclass__`, once the fields are known."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, topic: str = "", **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not topic:
            return
        assert topic not in TOPICS, f"the topic {topic!r} is declared twice"
        cls.topic = topic
        TOPICS[topic] = cls

    def to_json(self) -> bytes:
        """The body as bytes, unset optional fields left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


class Event(Message):
    """A fact. `subject` names the field that holds the id of the resource it is about."""

    subject: ClassVar[str] = ""
    public: ClassVar[bool] = True

    @classmethod
    def __pydantic_init_subclass__(
        cls, topic: str = "", *, subject: str = "", public: bool = True, **kwargs: Any
    ) -> None:
        super().__pydantic_init_subclass__(topic=topic, **kwargs)
        if topic:
            assert subject in cls.model_fields, f"{topic}: no field {subject!r} to be the subject"
            cls.subject = subject
            cls.public = public

    def subject_id(self) -> str:
        """The id of the resource this fact is about; its `sequence` counts per this id."""
        return str(getattr(self, self.subject))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """A fact's `previous`: the old value of each field that differs, None for one that was unset.

    That it changed just now is no news.
    """
    return {
        name: value
        for name, value in before.items()
        if name != "updated_at" and value != after[name]
    }


class Command(Message, Generic[Reply]):
    """A request to one service, answered with a `Reply`. Its id makes it happen once."""

    @classmethod
    def reply_type(cls) -> Any:
        """The declared reply class, for decoding the answer."""
        for base in cls.__mro__:
            args = getattr(base, "__pydantic_generic_metadata__", {}).get("args")
            if args:
                return args[0]
        raise TypeError(f"{cls.__name__} names no reply type")


class Query(Command[Reply], Generic[Reply]):
    """A command that only reads: no inbox, no transaction of its own."""


class Effect(Message):
    """A command to a world handler: one call outside, an idempotency key, an answer event."""


@dataclass(frozen=True, slots=True)
class Context:
    """For whom and because of what: travels with every message that a request causes."""

    merchant_id: str = ""
    mode: ModeEnvironment = "test"
    request_id: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message on its way. `id` stays over retries; each publish has its own beside it."""

    id: str
    topic: str
    body: bytes
    context: Context = field(default_factory=Context)
    source: str = ""  # the service that said it
    subject: str = ""  # events: the resource's id
    sequence: int = 0  # events: gapless per source and subject, from 1
    time: datetime | None = None
    attempt: int = 1  # deliveries so far, ours: the broker's count means other things by version
    keyed: bool = False  # the id comes from a client's Idempotency-Key
    body_hash: str = ""  # what that key was first used with
    deadline: float = 0.0  # unix seconds; 0: none

    def again(self) -> Envelope:
        """The next attempt of the same message."""
        return replace(self, attempt=self.attempt + 1)
