"""The scalar types of the public contract: text, ids, urls, metadata, addresses.

Every bound is part of the type, so that validation and OpenAPI can never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from shared.errors import invalid
from shared.ids import ULID_PATTERN

# Controls never belong in a text; NUL is refused by PostgreSQL itself. Tab and newlines may stay.
NO_CONTROLS: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
# A key names a form's field, whose newlines browsers rewrite and whose ends people cannot see.
KEY: Final = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$"
_URL_TAIL: Final = r"(:[0-9]{1,5})?([/?#][!-\[\]-~]*)?$"
_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
HTTPS_URL: Final = rf"^https://{_HOST}{_URL_TAIL}"
# http is for a developer's own machine only; nothing else (javascript:, data:, //host) passes.
MERCHANT_URL: Final = rf"^(https://{_HOST}|http://(localhost|127\.0\.0\.1)){_URL_TAIL}"


def text(max_length: int, min_length: int = 0) -> StringConstraints:
    """Bounds of a text, in code points; control characters are refused."""
    return StringConstraints(
        strict=True, min_length=min_length, max_length=max_length, pattern=NO_CONTROLS
    )


def key(max_length: int) -> StringConstraints:
    """Bounds of a name within a resource, in code points: one line, no spaces at its ends."""
    return StringConstraints(strict=True, min_length=1, max_length=max_length, pattern=KEY)


def url(pattern: str) -> StringConstraints:
    """An absolute URL that matches the one pattern which is also its documentation."""
    return StringConstraints(strict=True, max_length=2048, pattern=pattern)


def id_of(prefix: str) -> StringConstraints:
    """The shape of one kind of id."""
    return StringConstraints(strict=True, pattern=rf"^{prefix}_{ULID_PATTERN}$")


Name = Annotated[str, text(250, 1)]
Description = Annotated[str, text(2_000)]
Note = Annotated[str, text(1_000)]
ShortText = Annotated[str, text(255)]
ImageUrl = Annotated[str, url(HTTPS_URL)]
PageUrl = Annotated[str, url(MERCHANT_URL)]
Email = Annotated[
    str,
    StringConstraints(
        strict=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
    ),
]
Phone = Annotated[str, StringConstraints(strict=True, pattern=r"^\+?[0-9 ().-]{4,32}$")]
HexColor = Annotated[str, StringConstraints(strict=True, pattern=r"^#[0-9A-Fa-f]{6}$")]
SLUG_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$"


def _slug(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(SLUG_PATTERN, value):
        raise ValueError("A slug is 3 to 64 of a-z, 0-9 and '-', not beginning or ending with '-'.")
    return value


Slug = Annotated[str, StringConstraints(strict=True, pattern=SLUG_PATTERN), BeforeValidator(_slug)]
MetadataKey = Annotated[str, text(40, 1)]
MetadataValue = Annotated[str, text(500)]
METADATA_MAX: Final = 50
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=METADATA_MAX)]
MetadataPatch = Annotated[dict[MetadataKey, MetadataValue | None], Field(max_length=METADATA_MAX)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=999_999)]
ChosenQuantity = Annotated[int, Field(strict=True, ge=0, le=999_999)]
ModeEnvironment = Literal["test", "live"]
Source = Literal["virtual_terminal", "payment_link", "checkout", "api", "pos", "subscription"]
CardBrand = Literal["visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay"]

PaymentLinkId = Annotated[str, id_of("pl")]
CheckoutSessionId = Annotated[str, id_of("cs")]
OrderId = Annotated[str, id_of("ord")]
PaymentIntentId = Annotated[str, id_of("pi")]
PlanId = Annotated[str, id_of("plan")]
CustomerId = Annotated[str, id_of("cus")]
ItemId = Annotated[str, id_of("item")]


def _moment(value: Any) -> Any:
    """RFC 3339 with its offset, in UTC; numbers and bare dates are not times."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        value = datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("A time looks like '2026-11-24T06:00:00Z' (RFC 3339).")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("The time is outside the years 1 to 9999.") from None


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds cut to milliseconds and a `Z`: one spelling everywhere."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime,
    BeforeValidator(_moment),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]


class Strict(BaseModel):
    """A request or a part of one: an unknown field is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(BaseModel):
    """What the API shows. Arrays and maps are never null; an unset scalar is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Address(Strict):
    """A postal address; `country` is ISO 3166-1 alpha-2."""

    line1: Annotated[str, text(200, 1)]
    line2: Annotated[str, text(200)] | None = None
    city: Annotated[str, text(120)]
    state: Annotated[str, text(120)] = ""
    postal_code: Annotated[str, text(20)]
    country: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{2}$")]


M = TypeVar("M", bound=BaseModel)


def merge(old: M, patch: BaseModel) -> M:
    """PATCH semantics: given fields replace, `null` clears, the rest stays as it was."""
    kept = {name: getattr(old, name) for name in old.model_fields_set}
    for name in patch.model_fields_set:
        kept[name] = getattr(patch, name)
    return type(old)(**{name: value for name, value in kept.items() if value is not None})


def merged_metadata(old: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    """Given keys replace, `None` removes one; INVALID_VALUE when more than 50 would remain."""
    merged = {key: value for key, value in {**old, **patch}.items() if value is not None}
    if len(merged) > METADATA_MAX:
        raise invalid("metadata", f"At most {METADATA_MAX} keys.")
    return merged
