"""Lists: query strings into filters, and the signed token that leads to the next page.

A token belongs to one merchant, mode, list and set of filters; with any other it is refused, so
that nobody walks into rows of a query that was never asked. The page size may change on the way.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_origin

import orjson
from itsdangerous import BadData
from multidict import MultiMapping
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from services.gateway.signing import SecretKey, signed
from shared.contracts.base import Context
from shared.contracts.lists import Cursor, SortDirection
from shared.contracts.types import Time, text
from shared.errors import Refusal, invalid

RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})"
)
_SALT: Final = "flint.page-token"
_NOT_FILTERS: Final = frozenset({"page_size", "page_token", "read_mask"})


def _whole(given: Any) -> Any:
    if isinstance(given, str) and not re.fullmatch(r"-?[0-9]{1,18}", given):
        raise ValueError("It is a whole number.")
    return given


def _yes_or_no(given: Any) -> Any:
    if isinstance(given, str) and given not in ("true", "false"):
        raise ValueError("It is true or false.")
    return given


def is_time(given: str) -> bool:
    """Whether it is an RFC 3339 time that UTC can hold: pydantic also takes "1700000000"."""
    try:
        return bool(RFC3339.fullmatch(given)) and bool(
            datetime.fromisoformat(given.upper()).astimezone(UTC)
        )
    except (ValueError, OverflowError):
        return False


def _moment(given: Any) -> Any:
    if isinstance(given, str) and not is_time(given):
        raise ValueError("It is an RFC 3339 time, such as '2026-11-24T06:00:00Z'.")
    return given


QueryBool = Annotated[bool, BeforeValidator(_yes_or_no)]
QueryTime = Annotated[Time, BeforeValidator(_moment)]
Whole = Annotated[int, BeforeValidator(_whole)]
PageSize = Annotated[Whole, Field(ge=1, le=100)]
PageToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.=-]{1,2048}$")]


class QueryParams(BaseModel):
    """A query string; an unknown parameter is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReadParams(QueryParams):
    """What every read tolerates."""

    read_mask: Annotated[str | None, Field(description="Tolerated; answers are always whole.")] = (
        None
    )


class ListParams(ReadParams):
    """What every list understands. Time ranges are exclusive."""

    page_size: PageSize = 20
    page_token: Annotated[
        PageToken | None, Field(description="`next_page_token` of the page before.")
    ] = None
    sort_direction: SortDirection = "desc"
    created_after: QueryTime | None = None
    created_before: QueryTime | None = None
    updated_after: QueryTime | None = None
    updated_before: QueryTime | None = None
    query: Annotated[
        Annotated[str, text(250)] | None, Field(description="A part of a name, in any case.")
    ] = None

    def filters(self) -> dict[str, Any]:
        """Everything that decides which rows there are and in which order."""
        return self.model_dump(mode="json", exclude=set(_NOT_FILTERS), exclude_none=True)


def read_query(kind: type[QueryParams], given: MultiMapping[str]) -> QueryParams:
    """The validated query string; a parameter given twice is an error unless it is a list."""
    values: dict[str, Any] = {}
    for name in dict.fromkeys(given):
        all_given = given.getall(name)
        if _is_list(kind, name):
            values[name] = all_given
        elif len(all_given) > 1:
            raise invalid(name[:64], f"The '{name[:64]}' parameter is given twice.")
        else:
            values[name] = all_given[0]
    return kind.model_validate(values)


def _is_list(kind: type[QueryParams], name: str) -> bool:
    known = kind.model_fields.get(name)
    return known is not None and get_origin(known.annotation) is list


def token_of(
    cursor: Cursor | None, params: ListParams, *, secret_key: SecretKey, context: Context, path: str
) -> str:
    """The token of the page after this one; empty at the end."""
    if cursor is None:
        return ""
    body = [*cursor, _fingerprint(params, context, path)]
    return str(signed(secret_key, _SALT).dumps(body))


def cursor_of(
    params: ListParams, *, secret_key: SecretKey, context: Context, path: str
) -> Cursor | None:
    """Where the asked-for page begins; refuses a token that is not of this very list."""
    if params.page_token is None:
        return None
    try:
        body = signed(secret_key, _SALT).loads(params.page_token)
        sort_value, row_id, fingerprint = body
    except (BadData, ValueError, TypeError):
        raise _bad_token("The 'page_token' is not one of ours.") from None
    if fingerprint != _fingerprint(params, context, path):
        raise _bad_token("The 'page_token' belongs to a list with other filters.")
    return str(sort_value), str(row_id)


def _fingerprint(params: ListParams, context: Context, path: str) -> str:
    parts = [context.merchant_id, context.mode, path, params.filters()]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]


def _bad_token(message: str) -> Refusal:
    return invalid("page_token", message)
