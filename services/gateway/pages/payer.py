"""What a buyer types beside the card: checked as the contract does, told in a buyer's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from services.gateway.pages.forms import CARD_FIELDS, Form
from shared.contracts.sessions import CheckoutSession, Payer
from shared.contracts.types import Address, Email, Phone

T = TypeVar("T")
Errors = dict[str, str]
NAME_MAX: Final = 250
_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)
_PHONE: Final[TypeAdapter[str]] = TypeAdapter(Phone)
_ADDRESS_WORDS: Final[Mapping[str, str]] = {
    "country": "Choose a country.",
    "line1": "Enter the address.",
    "postal_code": "Enter the postal code.",
    "city": "Enter the city.",
}
_CARD_WORDS: Final[Mapping[str, str]] = {
    "card_number": "Enter the card number.",
    "card_exp": "Enter the expiry date.",
    "card_cvc": "Enter the security code.",
}
# A refusal's `param` → the form's field, and what to say there.
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "email": ("email", "Enter your email address."),
    "phone_number": ("phone", "Enter your phone number."),
    "billing_address": ("billing.line1", "Enter the billing address."),
    "shipping_address": ("shipping.line1", "Enter the shipping address."),
    "has_accepted_terms": ("accept_terms", "Accept the terms to go on."),
    "payment_source_token": ("card_number", "Enter the card number."),
}


def read_payer(form: Form, session: CheckoutSession) -> tuple[Payer, Errors]:
    """The buyer, and what is wrong by field name; only what this page asks for is read."""
    errors: Errors = {}
    asked = session.customer
    email = _checked(_EMAIL, form, "email", bool(asked.require_email), errors)
    phone = None
    if asked.require_phone:
        phone = _checked(_PHONE, form, "phone", True, errors)
    shipping = _address(form, "shipping", errors) if asked.require_shipping_address else None
    billing = _address(form, "billing", errors) if asked.require_billing_address else None
    if session.legal.requires_terms_of_service and not has_accepted(form):
        errors["accept_terms"] = "Accept the terms to go on."
    name = form.get("card_name") or form.get("shipping.name") or ""
    payer = Payer.model_construct(
        name=name[:NAME_MAX] or None,
        email=email,
        phone_number=phone,
        billing_address=billing,
        shipping_address=shipping,
    )
    return payer, errors


def has_accepted(form: Form) -> bool:
    """Whether the box under the terms is ticked."""
    return bool(form.get("accept_terms"))


def missing_of_card(form: Form) -> Errors:
    """The card's fields that are empty; what is in them only the provider can tell."""
    return {name: _CARD_WORDS[name] for name in CARD_FIELDS if not form.get(name)}


def refused_field(param: str | None) -> Errors:
    """The 'required' of sessions beside the field it is about; empty when it is none of ours."""
    field, words = _REFUSED.get(param or "", ("", ""))
    return {field: words} if field else {}


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "email": ("Enter your email address.", "This does not look like an email address."),
    "phone": ("Enter your phone number.", "Use digits only, such as +1 555 0100."),
}


def _checked(
    shape: TypeAdapter[T], form: Form, name: str, is_required: bool, errors: Errors
) -> T | None:
    missing, wrong = _WORDS[name]
    text = form.get(name, "")
    if not text:
        if is_required:
            errors[name] = missing
        return None
    try:
        return shape.validate_python(text)
    except ValidationError:
        errors[name] = wrong
        return None


def _address(form: Form, kind: str, errors: Errors) -> Address | None:
    parts: dict[str, Any] = {name: form.get(f"{kind}.{name}", "") for name in Address.model_fields}
    missing = {f"{kind}.{name}": words for name, words in _ADDRESS_WORDS.items() if not parts[name]}
    errors.update(missing)
    if missing:
        return None
    try:
        return Address(**{**parts, "line2": parts["line2"] or None})
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            errors[f"{kind}.{one['loc'][0]}"] = "This is too long, or not what belongs here."
        return None
