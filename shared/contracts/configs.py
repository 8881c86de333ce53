"""The hosted configs, the same on links and sessions (and stored, whoever uses them when)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.types import (
    Address,
    CustomerId,
    Email,
    HexColor,
    ImageUrl,
    Name,
    Note,
    PageUrl,
    Phone,
    ShortText,
    Strict,
    text,
)
from shared.money import Money

PaymentMethodType = Literal["card", "affirm", "link"]
DigitalWallet = Literal["apple_pay", "google_pay"]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
TipPercentage = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]


class Theme(Strict):
    """Colours, title and shape of the hosted page."""

    primary_color: HexColor | None = None
    accent_color: HexColor | None = None
    title: ShortText | None = None
    logo_url: ImageUrl | None = None
    font: Literal["system", "serif", "mono", "rounded"] | None = None
    radius: Literal["none", "small", "large"] | None = None
    color_scheme: Literal["auto", "light", "dark"] | None = None


class PaymentConfig(Strict):
    """How the buyer may pay."""

    allowed_payment_method_types: Annotated[list[PaymentMethodType], Field(max_length=10)] = []
    allowed_digital_wallets: Annotated[list[DigitalWallet], Field(max_length=10)] = []
    payment_note: Note | None = None
    external_reference_id: ShortText | None = None
    capture_method: Literal["automatic", "manual"] | None = None
    save_payment_method: bool | None = None


class TipConfig(Strict):
    """Which tips the checkout page offers."""

    is_enabled: bool | None = None
    tip_percentages: Annotated[list[TipPercentage], Field(max_length=10)] = []
    default_tip_percentage: TipPercentage | None = None
    is_custom_tip_enabled: bool | None = None
    is_smart_tips_enabled: bool | None = None
    smart_tip_amounts: Annotated[list[Money], Field(max_length=10)] = []
    default_smart_tip_amount: Money | None = None


class PrefilledCustomer(Strict):
    """What the page already knows of the buyer."""

    name: Name | None = None
    email: Email | None = None
    phone_number: Phone | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None


class CustomerConfig(Strict):
    """Which contact fields the page asks for."""

    customer_id: CustomerId | None = None
    external_reference_id: ShortText | None = None
    prefilled_customer_info: PrefilledCustomer | None = None
    enable_address_autocomplete: bool | None = None
    require_email: bool | None = None
    require_phone: bool | None = None
    require_billing_address: bool | None = None
    require_shipping_address: bool | None = None
    customer_note: Note | None = None


class TaxConfig(Strict):
    """Whether tax is added; the rates come from the merchant's settings."""

    is_enabled: bool | None = None


class LegalConfig(Strict):
    """Policies the page links to, and whether terms have to be accepted."""

    terms_of_service_url: PageUrl | None = None
    requires_terms_of_service: bool | None = None
    refund_policy_url: PageUrl | None = None
    shipping_policy_url: PageUrl | None = None
    contract_url: PageUrl | None = None
    privacy_policy_url: PageUrl | None = None


class ExpirationConfig(Strict):
    """How long a session lives (seconds) and where an expired one points."""

    expiration_seconds: Annotated[int, Field(strict=True, ge=60, le=86_400)] | None = None
    expiration_url: PageUrl | None = None


class Redirects(Strict):
    """Where the buyer goes next; `{CHECKOUT_SESSION_ID}` and `{ORDER_ID}` are filled in."""

    success_redirect_url: PageUrl | None = None
    cancel_redirect_url: PageUrl | None = None
    on_load_redirect_url: PageUrl | None = None


class CouponConfig(Strict):
    """Whether the page takes coupon codes, and which apply by themselves."""

    is_enabled: bool | None = None
    auto_apply_coupon_codes: Annotated[list[Annotated[str, text(64, 1)]], Field(max_length=10)] = []


class CustomTextConfig(Strict):
    """The merchant's own words on the page."""

    checkout_button_text: Annotated[str, text(60)] | None = None
    order_summary_message: Note | None = None
    shipping_address_label: Annotated[str, text(120)] | None = None


class ValidationCallbacks(Strict):
    """Whom to ask before a charge (sessions only)."""

    validate_checkout_callback_url: PageUrl | None = None
    validate_checkout_routing_key: Annotated[str, text(255)] | None = None
    timeout_ms: Annotated[int, Field(strict=True, ge=500, le=10_000)] | None = None
    on_failure: Literal["reject", "allow"] | None = None


class HostedConfigs(Strict):
    """All hosted configs together, as a session freezes them."""

    theme: Theme = Theme()
    payments: PaymentConfig = PaymentConfig()
    tip: TipConfig = TipConfig()
    customer: CustomerConfig = CustomerConfig()
    tax: TaxConfig = TaxConfig()
    legal: LegalConfig = LegalConfig()
    expiration: ExpirationConfig = ExpirationConfig()
    redirects: Redirects = Redirects()
    coupon: CouponConfig = CouponConfig()
    custom_text: CustomTextConfig = CustomTextConfig()
