"""One operation of the API as a fact, and the one wrapper that serves all of them.

The wrapper does, in this order: key, scope, rate limit, path, query, body, Idempotency-Key; then
the handler; then the envelope. OpenAPI is generated from the same facts, so the two cannot differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from services.gateway import body as bodies
from services.gateway.accounts import domain as keys
from services.gateway.api import idempotency, lists
from services.gateway.api.idempotency import Once
from services.gateway.api.lists import ListParams, QueryParams, ReadParams
from services.gateway.door import MERCHANT_ID, REQUEST_ID, TRACEPARENT, json_answer
from services.gateway.errors import Turned, of_problem
from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pictures.easel import Picture, shown
from shared.contracts.base import Command, Context, Query
from shared.contracts.lists import Page
from shared.contracts.types import SLUG_PATTERN, Strict
from shared.errors import Refusal, not_found
from shared.ids import ULID_PATTERN, minted_at
from shared.telemetry.scope import about_session

R = TypeVar("R")
Method = Literal["GET", "POST", "PATCH", "DELETE"]

# A path parameter bears the id's name; its shape and what it stands for follow from that.
PATH_IDS: Final[Mapping[str, tuple[str, str]]] = {
    "payment_link_id": ("pl", "payment link"),
    "checkout_session_id": ("cs", "checkout session"),
    "order_id": ("ord", "order"),
    "plan_id": ("plan", "subscription plan"),
}
PATH_WORDS: Final[Mapping[str, tuple[str, str]]] = {"slug": (SLUG_PATTERN, "slug")}
# Services hear of each other's new resources by events: a look may come a moment too early.
FRESH_SECONDS: Final = 3.0
AGAIN: Final = "private, no-cache"  # kept by whoever asked, and asked for again by its ETag
_PARAMETER: Final = re.compile(r"{(\w+)}")


class NoParams(Strict):
    """The body of an action: empty, or `{}`."""


@dataclass(frozen=True, slots=True)
class With:
    """An answer's `data`, and what stands beside it in the envelope."""

    data: Any
    beside: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """A picture as an answer, and the file name it is saved under."""

    picture: Picture
    name: str


@dataclass(slots=True)
class ApiCall:
    """One request, let in and understood."""

    gateway: Gateway
    context: Context
    path: str
    ids: dict[str, str]
    query: Any
    body: Any
    once: Once | None = None
    is_replayed: bool = False

    async def ask(self, command: Command[R]) -> R:
        """Ask a service. A write happens once under the client's key, if there is one."""
        caller = self.gateway.caller
        if self.once is None or isinstance(command, Query):
            return (await caller.call(command, context=self.context)).value
        answer = await caller.call(
            command,
            context=self.context,
            message_id=self.once.message_id,
            body_hash=self.once.body_hash,
            is_keyed=True,
        )
        self.is_replayed |= answer.is_replayed
        return answer.value

    async def ask_fresh(self, command: Command[R], identifier: str) -> R:
        """Ask about what may still be on its way: an id minted moments ago is waited for."""

        async def look() -> R | None:
            try:
                return await self.ask(command)
            except Refusal as refusal:
                if refusal.kind != "not_found":
                    raise
                return None

        found = None
        if self.is_fresh(identifier):
            found = await self.gateway.hub.until(identifier, look, seconds=FRESH_SECONDS)
        return await self.ask(command) if found is None else found

    def is_fresh(self, identifier: str, within_seconds: float = FRESH_SECONDS) -> bool:
        """Whether it was minted lately."""
        try:
            age_seconds = (self.gateway.clock() - minted_at(identifier)).total_seconds()
        except (ValueError, OverflowError):  # A ULID may be of the year 10889, a datetime not.
            return False
        return 0 <= age_seconds < within_seconds

    def page(self) -> dict[str, Any]:
        """The query string as the fields of a list query."""
        cursor = lists.cursor_of(
            self.query,
            secret_key=self.gateway.secret_key,
            context=self.context,
            path=self.path,
        )
        return {**self.query.filters(), "page_size": self.query.page_size, "after": cursor}


Handler = Callable[[ApiCall], Awaitable[Any]]


@dataclass(frozen=True)
class Operation:
    """What one route is: the whole of it, as data.

    `scope` empty: no key is asked for. `reply` is the type of `data` (of one row, in a list);
    `beside` are further members of the envelope; `codes` are the refusals worth naming. With
    `media` it answers with a picture of one of these types, in no envelope.
    """

    method: Method
    path: str
    id: str
    summary: str
    handler: Handler
    reply: Any = None
    scope: str = ""
    status: int = 200
    body: type[BaseModel] | None = None
    is_body_optional: bool = False
    query: type[QueryParams] | None = None
    media: tuple[str, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    codes: tuple[str, ...] = ()
    example: Any = None
    reply_example: Any = None

    @property
    def is_write(self) -> bool:
        """Whether it changes anything, and so honours an Idempotency-Key."""
        return self.method != "GET"

    @property
    def is_list(self) -> bool:
        """Whether it answers with pages."""
        return self.query is not None and issubclass(self.query, ListParams)

    @property
    def query_params(self) -> type[QueryParams]:
        """What its query string may say."""
        return self.query or (QueryParams if self.is_write else ReadParams)

    @property
    def path_ids(self) -> list[str]:
        """The names of its path parameters."""
        return _PARAMETER.findall(self.path)

    @cached_property
    def body_adapter(self) -> TypeAdapter[Any]:
        """The codec of its body."""
        assert self.body is not None, f"{self.id} takes no body"
        return TypeAdapter(self.body)

    @cached_property
    def reply_adapter(self) -> TypeAdapter[Any]:
        """The codec of its `data`."""
        return TypeAdapter(list[self.reply] if self.is_list else self.reply)  # type: ignore[name-defined]

    @cached_property
    def beside_adapters(self) -> dict[str, TypeAdapter[Any]]:
        """The codecs of what stands beside `data`."""
        return {name: TypeAdapter(kind) for name, kind in self.beside.items()}


def served(operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The aiohttp handler of an operation."""

    async def serve(request: web.Request) -> web.Response:
        call = await _understand(operation, request)
        value = await operation.handler(call)
        if isinstance(value, Named):
            return shown(request, value.picture, AGAIN, value.name)
        return json_answer(_envelope(operation, call, value, request[REQUEST_ID]), operation.status)

    return serve


async def _understand(operation: Operation, request: web.Request) -> ApiCall:
    gateway = request.app[GATEWAY]
    context = await _let_in(operation, request, gateway)
    ids = _path_ids(operation, request)
    query = lists.read_query(operation.query_params, request.query)
    given, body = await _body(operation, request)
    call = ApiCall(gateway, context, request.path, ids, query, body)
    if operation.is_write:
        key = idempotency.key_of(request.headers.get(idempotency.HEADER))
        scope = (context.merchant_id, context.mode, operation.method, request.path)
        call.once = idempotency.once(key, *scope, body=given) if key is not None else None
    return call


async def _let_in(operation: Operation, request: web.Request, gateway: Gateway) -> Context:
    """Who asks, checked and counted. Limits come before everything that costs."""
    traceparent = request[TRACEPARENT]
    if not operation.scope:
        _count(gateway.buyer_limit.take(gateway.client_address(request)))
        return Context(request_id=request[REQUEST_ID], traceparent=traceparent)
    key = await gateway.accounts.key_of(request.headers, gateway.clock())
    request[MERCHANT_ID] = key.merchant_id
    _count(gateway.key_limit.take(key.api_key_id))
    keys.permit(key, operation.scope)
    return Context(key.merchant_id, key.mode_environment, request[REQUEST_ID], traceparent)


def _count(wait_seconds: float) -> None:
    if wait_seconds > 0:
        raise Refusal(
            "rate_limited",
            "RATE_LIMIT_EXCEEDED",
            "Too many requests in a short time.",
            next_actions=("Wait as long as Retry-After says, then send it again.",),
            retryable=True,
            retry_after_seconds=math.ceil(wait_seconds),
        )


def _path_ids(operation: Operation, request: web.Request) -> dict[str, str]:
    ids = {name: request.match_info[name] for name in operation.path_ids}
    for name, value in ids.items():
        pattern, noun = path_shape(name)
        if not re.fullmatch(pattern, value):  # Malformed and unknown ids look the same.
            raise not_found(noun, name)
    about_session(ids.get("checkout_session_id", ""))
    return ids


def path_shape(name: str) -> tuple[str, str]:
    """The pattern of a path parameter, and the noun of what it names."""
    if name in PATH_WORDS:
        return PATH_WORDS[name]
    prefix, noun = PATH_IDS[name]
    return rf"^{prefix}_{ULID_PATTERN}$", noun


async def _body(operation: Operation, request: web.Request) -> tuple[Any, Any]:
    """The body as JSON and validated; an action's empty body is `{}`."""
    if operation.body is None:
        return {}, None
    raw = await bodies.read_body(request)
    if not raw and operation.is_body_optional:
        return {}, operation.body()
    bodies.check_json_type(request)
    given = bodies.parse(raw)
    return given, validated(operation.body_adapter, raw)


def validated(adapter: TypeAdapter[Any], raw: bytes) -> Any:
    """The typed body. JSON's own types are taken strictly: "1" is no number, "yes" no boolean."""
    try:
        return adapter.validate_json(raw, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    # The contracts' times are texts, which strict pydantic would rather have as datetimes.
    real = [one for one in problems if not _is_good_time(one)]
    if real:
        raise Turned(of_problem(real[0]))
    return adapter.validate_json(raw)


def _is_good_time(problem: Mapping[str, Any]) -> bool:
    given = problem["input"]
    return problem["type"] == "datetime_type" and isinstance(given, str) and lists.is_time(given)


def _envelope(operation: Operation, call: ApiCall, value: Any, request_id: str) -> bytes:
    """`data` first, then what stands beside it. The JSON of `data` is written once, as bytes."""
    beside: dict[str, Any] = {}
    if isinstance(value, With):
        for name, part in value.beside.items():
            beside[name] = operation.beside_adapters[name].dump_python(
                part, mode="json", exclude_none=True
            )
        value = value.data
    if isinstance(value, Page):
        beside["next_page_token"] = lists.token_of(
            value.next,
            call.query,
            secret_key=call.gateway.secret_key,
            context=call.context,
            path=call.path,
        )
        value = value.rows
    if call.is_replayed:
        beside["meta"] = {"idempotency_replayed": True}
    data = operation.reply_adapter.dump_json(value, exclude_none=True)
    rest = orjson.dumps({**beside, "request_id": request_id})
    return b'{"data":' + data + b"," + rest[1:]
