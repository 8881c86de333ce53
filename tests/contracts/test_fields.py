"""Everything that existing clients send is accepted, and everything that they read is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel

from services.gateway.api.checkout_sessions import CheckoutSessionListParams
from services.gateway.api.orders import OrderListParams
from services.gateway.api.payment_links import PaymentLinkListParams
from shared.contracts import configs, link_requests, links, orders, payments, sessions
from shared.contracts.types import Address, Resource
from shared.money import Money, SignedMoney

EXPECTED: Final = Path(__file__).with_name("fields.txt")
Json = dict[str, Any]

# What clients call it → our class; where both names are the same, the class alone.
OURS: Final[Mapping[str, type[BaseModel]]] = {
    "PaymentLinkEventConfig": link_requests.EventConfig,
    "PaymentLinkLineItem": link_requests.LinkLineItem,
    "PaymentLinkCustomField": link_requests.CustomField,
    "PrefilledCustomerInfo": configs.PrefilledCustomer,
    "CustomTextConfigInput": configs.CustomTextConfig,
    "QuickPayInput": sessions.QuickPay,
    **{
        kind.__name__: kind
        for kind in (
            links.PaymentLink,
            link_requests.PaymentLinkCreateParams,
            link_requests.PaymentLinkUpdateParams,
            link_requests.ReplaceLineItemsParams,
            link_requests.ReplaceCustomFieldsParams,
            PaymentLinkListParams,
            configs.Theme,
            configs.PaymentConfig,
            configs.TipConfig,
            configs.CustomTextConfig,
            configs.CustomerConfig,
            configs.LegalConfig,
            configs.ExpirationConfig,
            configs.TaxConfig,
            configs.ValidationCallbacks,
            configs.Redirects,
            configs.CouponConfig,
            sessions.CheckoutSession,
            sessions.CheckoutSessionCreateParams,
            sessions.CheckoutSessionUpdateParams,
            sessions.CloseCheckoutSessionParams,
            CheckoutSessionListParams,
            orders.AppliedDiscount,
            orders.CouponRef,
            orders.ManualDiscount,
            orders.DiscountInput,
            orders.Tip,
            orders.TipInput,
            orders.OrderLineItemInput,
            orders.OrderLineItem,
            orders.OrderActivity,
            orders.NetAmounts,
            orders.Order,
            orders.OrderCreateParams,
            orders.CloseOrderParams,
            orders.PayOrderParams,
            OrderListParams,
            payments.PaymentActivity,
            payments.PaymentIntent,
            Money,
            Address,
        )
    },
}


@dataclass(frozen=True)
class Field:
    """One field as clients know it."""

    owner: str
    name: str
    type: str
    is_optional: bool

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


def _read() -> tuple[list[Field], dict[str, frozenset[str]]]:
    fields: list[Field] = []
    enums: dict[str, frozenset[str]] = {}
    for line in EXPECTED.read_text().splitlines():
        if named := re.fullmatch(r"(\w+) = (.+)", line):
            enums[named[1]] = frozenset(named[2].split(" | "))
        elif shaped := re.fullmatch(r"(\w+): (.+)", line):
            for one in shaped[2].split(", "):
                name, kind = one.split(" ")
                fields.append(Field(shaped[1], name.rstrip("?"), kind, name.endswith("?")))
    return fields, enums


FIELDS, ENUMS = _read()
SCHEMAS: Final = {name: kind.model_json_schema() for name, kind in OURS.items()}
NAMES: Final = {kind.__name__: name for name, kind in OURS.items()} | {
    "CustomTextConfig": "CustomTextConfig",
    SignedMoney.__name__: "Money",
}


def test_every_class_is_one_that_clients_know():
    assert {field.owner for field in FIELDS} == set(OURS)


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_a_field_is_there_and_of_its_type(field: Field):
    properties = SCHEMAS[field.owner]["properties"]

    assert field.name in properties, "an optional field may be added: stored and echoed"
    assert type_of(properties[field.name], field.type) == field.type


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_what_may_be_absent_and_what_is_always_there(field: Field):
    ours = OURS[field.owner].model_fields[field.name]

    if issubclass(OURS[field.owner], Resource) and not field.is_optional:
        assert ours.is_required() or ours.get_default(call_default_factory=True) is not None
    if field.is_optional and not issubclass(OURS[field.owner], Resource):
        assert not ours.is_required()


def type_of(schema: Json, expected: str) -> str:
    """The type of a field in the words of the list."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    enum = frozenset(value for one in options for value in _values(one))
    name = expected.removesuffix("[]")
    if name in ENUMS and enum and not expected.endswith("[]"):
        return name if enum == ENUMS[name] else f"one of {sorted(enum)}"
    (schema,) = options
    if "$ref" in schema:
        own = schema["$ref"].rpartition("/")[2]
        return name if NAMES.get(own) == name or _is_same(own, name) else own
    if schema["type"] == "array":
        return f"{type_of(schema['items'], name)}[]"
    if schema["type"] == "object":
        return "map" if _is_of_texts(schema["additionalProperties"]) else "object"
    if schema["type"] == "string":
        return "time" if schema.get("format") == "date-time" else "string"
    return {"integer": "number", "number": "number", "boolean": "bool"}[schema["type"]]


def _values(schema: Json) -> list[str]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", []))


def _is_same(own: str, name: str) -> bool:
    """Two names of clients may be one class of ours."""
    return name in OURS and OURS[name].__name__ == own


def _is_of_texts(schema: Json) -> bool:
    """In a PATCH, null takes a key away."""
    options = schema.get("anyOf", [schema])
    return {one["type"] for one in options} <= {"string", "null"}
