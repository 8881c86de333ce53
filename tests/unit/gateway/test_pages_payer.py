"""What a buyer types beside the card: read as the page asks for it, named where it is wrong."""

from __future__ import annotations

import pytest

from services.gateway.pages.payer import missing_of_card, read_payer
from shared.contracts.sessions import CheckoutSession
from tests.builders_pages import a_session


def asking(**asked: bool) -> CheckoutSession:
    return a_session(
        customer={f"require_{name}": wanted for name, wanted in asked.items()},
        legal={"requires_terms_of_service": True} if asked else {},
    )


def test_only_what_the_page_asks_for_is_read():
    form = {"email": "ada@example.com", "phone": "+1 555 0100", "billing.line1": "1 Main St"}

    payer, errors = read_payer(form, a_session())

    assert errors == {}
    assert payer.email == "ada@example.com"
    assert payer.phone_number is None
    assert payer.billing_address is None


def test_everything_that_is_missing_is_named_at_once():
    session = asking(email=True, phone=True, billing_address=True, shipping_address=True)

    _, errors = read_payer({}, session)

    assert set(errors) == {
        "email",
        "phone",
        "accept_terms",
        *(
            f"{kind}.{part}"
            for kind in ("billing", "shipping")
            for part in ("country", "line1", "postal_code", "city")
        ),
    }


def test_a_whole_form_is_a_payer():
    address = {"country": "CH", "line1": "Weg 1", "postal_code": "8000", "city": "Zürich"}
    form = {f"billing.{name}": value for name, value in address.items()}
    form |= {"email": "ada@example.com", "card_name": "Ada", "accept_terms": "true"}

    payer, errors = read_payer(form, asking(email=True, billing_address=True))

    assert errors == {}
    assert payer.name == "Ada"
    assert payer.billing_address is not None
    assert payer.billing_address.city == "Zürich"


@pytest.mark.parametrize(
    "name, value",
    [
        ("email", "ada@example"),
        ("email", "a b@example.com"),
        ("billing.country", "Switzerland"),
        ("billing.line1", "x" * 201),
    ],
)
def test_a_value_that_cannot_be_is_said_beside_its_field(name: str, value: str):
    form = {
        "email": "ada@example.com",
        "billing.country": "CH",
        "billing.line1": "Weg 1",
        "billing.postal_code": "8000",
        "billing.city": "Zürich",
        "accept_terms": "true",
    }

    _, errors = read_payer(form | {name: value}, asking(email=True, billing_address=True))

    assert set(errors) == {name}


def test_an_empty_card_is_named_field_by_field():
    assert set(missing_of_card({})) == {"card_number", "card_exp", "card_cvc"}
    assert set(missing_of_card({"card_number": "4", "card_exp": "1", "card_cvc": "1"})) == set()
