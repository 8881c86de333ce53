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
from services.gateway.api.subscription_plans import SubscriptionPlanListParams
from shared.contracts import configs, link_requests, links, orders, payments, plans, sessions
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
            plans.SubscriptionPlanLineItem,
            plans.SubscriptionPlan,
            plans.SubscriptionPlanCreateParams,
            plans.SubscriptionPlanUpdateParams,
            SubscriptionPlanListParams,
            Money,
            Address,
        )
    },
}


@dataclass(frozen=True)
class Field:
    """One field as clients know it."""

    name: str
    type: str
    is_optional: bool


def _read() -> tuple[dict[str, list[Field]], dict[str, frozenset[str]]]:
    fields: dict[str, list[Field]] = {}
    enums: dict[str, frozenset[str]] = {}
    for line in EXPECTED.read_text().splitlines():
        if named := re.fullmatch(r"(\w+) = (.+)", line):
            enums[named[1]] = frozenset(named[2].split(" | "))
        elif shaped := re.fullmatch(r"(\w+): (.+)", line):
            fields[shaped[1]] = [_field(*one.split(" ")) for one in shaped[2].split(", ")]
    return fields, enums


def _field(name: str, kind: str) -> Field:
    return Field(name.rstrip("?"), kind, name.endswith("?"))


FIELDS, ENUMS = _read()
each_class = pytest.mark.parametrize("name", OURS)


def test_every_class_is_one_that_clients_know():
    assert set(FIELDS) == set(OURS)


@each_class
def test_every_field_is_there_and_of_its_type(name: str):
    properties = OURS[name].model_json_schema()["properties"]

    there = {
        field.name: type_of(properties[field.name], field.type)
        for field in FIELDS[name]
        if field.name in properties
    }

    assert there == {field.name: field.type for field in FIELDS[name]}


@each_class
def test_what_is_always_there_is_never_left_out_of_a_resource(name: str):
    if not issubclass(OURS[name], Resource):
        return
    ours = OURS[name].model_fields

    assert [
        field.name
        for field in FIELDS[name]
        if not field.is_optional
        and not ours[field.name].is_required()
        and ours[field.name].get_default(call_default_factory=True) is None
    ] == []


@each_class
def test_what_a_client_may_leave_out_is_never_asked_for(name: str):
    if issubclass(OURS[name], Resource):
        return
    ours = OURS[name].model_fields

    optional = [field.name for field in FIELDS[name] if field.is_optional]
    assert [field for field in optional if ours[field].is_required()] == []


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
        return name if _is_called(own, name) else own
    if schema["type"] == "array":
        return f"{type_of(schema['items'], name)}[]"
    if schema["type"] == "object":
        return "map" if _is_of_texts(schema) else "object"
    if schema["type"] == "string":
        return "time" if schema.get("format") == "date-time" else "string"
    return {"integer": "number", "number": "number", "boolean": "bool"}[schema["type"]]


def _values(schema: Json) -> list[str]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", []))


def _is_called(own: str, name: str) -> bool:
    """A change of balance is money that may be negative."""
    is_signed = (own, name) == (SignedMoney.__name__, "Money")
    return is_signed or (name in OURS and OURS[name].__name__ == own)


def _is_of_texts(schema: Json) -> bool:
    """In a PATCH, null takes a key away."""
    of_any_key = schema.get("additionalProperties")
    values = [of_any_key] if of_any_key else list(schema["patternProperties"].values())
    options = [option for value in values for option in value.get("anyOf", [value])]
    return {option["type"] for option in options} <= {"string", "null"}
