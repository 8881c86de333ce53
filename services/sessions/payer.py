"""What a buyer has to fill in before a payment starts. Pure; the page's own checks repeat it."""

from __future__ import annotations

from shared.contracts.sessions import PaySession, SessionConfigs
from shared.errors import required


def refuse_incomplete(msg: PaySession, configs: SessionConfigs) -> None:
    """FIELD_REQUIRED for the first field that the merchant asks for and the buyer left empty."""
    asked, payer = configs.customer, msg.payer
    for is_required, param, value in (
        (asked.require_email, "email", payer.email),
        (asked.require_phone, "phone_number", payer.phone_number),
        (asked.require_billing_address, "billing_address", payer.billing_address),
        (asked.require_shipping_address, "shipping_address", payer.shipping_address),
    ):
        if is_required and value is None:
            raise required(param)
    if configs.legal.requires_terms_of_service and not msg.has_accepted_terms:
        raise required("has_accepted_terms")
    if msg.expected_amount_money.amount > 0 and msg.payment_source_token is None:
        raise required("payment_source_token")
