"""Views to HTML, amounts to text, and the headers every buyer page is sent with.

Jinja directly rather than a framework plug-in: it is one environment and one function.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, get_currency_symbol
from iso4217 import Currency
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from services.gateway.pages import amounts, theme
from services.gateway.pages.moments import DayStyle, format_moment, format_period, place_of_zone
from services.gateway.pages.views import Amount, Event, View
from services.gateway.pictures import qr

GATEWAY = Path(__file__).resolve().parent.parent
STATIC = GATEWAY / "static"

_HREF = re.compile(r"https?://[^\s\\]+|/(?![/\\])[^\s\\]*|[?#][^\s\\]*", re.IGNORECASE)
_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9_-]")
_TURNING = dict.fromkeys((0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


# ---- pages ---------------------------------------------------------------------------------------


def render(template: str, view: View, *, nonce: str, locale: str = "en") -> str:
    """The whole page. `nonce` must be the one given to `security_headers` of the same response."""
    look = theme.theme_from(view.brand.theme)
    return (
        _environment()
        .get_template(template)
        .render(
            view=view,
            theme=look,
            seller=look.title or view.brand.merchant_name,
            theme_css=theme.css_variables(look),
            nonce=nonce,
            locale=known_locale(locale),
        )
    )


def security_headers(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; "
            f"style-src 'self' 'nonce-{nonce}'; "
            "img-src 'self' data: https:; connect-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def known_locale(wanted: str) -> str:
    """A locale Babel has data for: the wanted one, else English. Never an error page."""
    try:
        return str(Locale.parse(wanted.replace("-", "_")))
    except (UnknownLocaleError, ValueError, TypeError):
        return "en"


# ---- amounts and times as the buyer's locale writes them -----------------------------------------


def exponent_of(currency: str) -> int:
    """ISO 4217's, because Babel's own differ for 13 currencies."""
    return Currency(currency).exponent or 0


@lru_cache(maxsize=4096)  # one price stands on a page five times, and on every buyer's page
def format_amount(
    amount_minor: int, currency: str, locale: str = "en", *, is_short: bool = False
) -> str:
    """`is_short` leaves the decimals away: "$10", for sums that have none."""
    exponent = exponent_of(currency)
    return format_currency(
        Decimal(amount_minor).scaleb(-exponent),
        currency,
        format=_pattern(currency, 0 if is_short else exponent, locale),
        locale=locale,
        currency_digits=False,
    )


def major_text(amount_minor: int, currency: str) -> str:
    """ "12.50": how a form field holds an amount, whatever the locale."""
    return f"{Decimal(amount_minor).scaleb(-exponent_of(currency)):f}"


@lru_cache(maxsize=1024)
def _pattern(currency: str, exponent: int, locale: str) -> str:
    decimals = "." + "0" * exponent if exponent else ""
    pattern = str(Locale.parse(locale).currency_formats["standard"].pattern)
    pattern = pattern.replace("0.00", "0" + decimals)
    # CLDR asks for a space between a lettered code and the digits; Babel does not put it.
    if get_currency_symbol(currency, locale)[-1:].isalpha():
        pattern = pattern.replace("¤#", "¤\N{NO-BREAK SPACE}#")
    return pattern


# ---- static files --------------------------------------------------------------------------------


class Asset(NamedTuple):
    version: str  # in the address, so that browsers may keep the file for ever
    integrity: str


def _asset_of(path: Path) -> Asset:
    body = path.read_bytes()
    sha384 = base64.b64encode(hashlib.sha384(body).digest()).decode()
    return Asset(hashlib.sha256(body).hexdigest()[:12], f"sha384-{sha384}")


ASSETS: Mapping[str, Asset] = MappingProxyType(
    {path.name: _asset_of(path) for path in sorted(STATIC.iterdir()) if path.is_file()}
)


def asset(name: str) -> str:
    return f"/static/{name}?v={ASSETS[name].version}"


def _integrity(name: str) -> str:
    return ASSETS[name].integrity


# ---- the environment -----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(GATEWAY / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.globals.update(
        asset=asset, integrity=_integrity, countries=_countries, group_mark=amounts.group_mark
    )
    env.filters.update(
        money=_money, moment=_moment, period=_period, zone_city=_zone_city, qr=_qr,
        major=_major, written=_written, exponent=_exponent,
        href=_href, image=theme.image_url, dom_id=dom_id, pair=_pair, bdi=_bdi, unturned=_unturned,
    )  # fmt: skip
    return env


@pass_context
def _money(context: Context, amount: Amount, among: Sequence[Amount] = ()) -> str:
    """Shorter among others, when none of them has decimals to show."""
    is_short = bool(among) and not any(one % 10 ** exponent_of(code) for one, code in among)
    return format_amount(*amount, locale=context["locale"], is_short=is_short)


@pass_context
def _moment(context: Context, moment: datetime, timezone: str, day: DayStyle = "full") -> str:
    return format_moment(moment, timezone, context["locale"], day=day)


@pass_context
def _written(context: Context, amount: Amount) -> str:
    return amounts.written(*amount, locale=context["locale"])


@pass_context
def _period(context: Context, event: Event) -> str:
    assert event.starts_at is not None, "the template looked"
    return format_period(event.starts_at, event.ends_at, event.timezone, context["locale"])


@pass_context
def _zone_city(context: Context, timezone: str) -> str:
    return place_of_zone(timezone, context["locale"])


def _qr(text: str, label: str) -> Markup:
    """Drawn by our own code, the label escaped there: the one markup that is not a template's."""
    return Markup(qr.inline(text, label))  # noqa: S704


def _major(amount: Amount) -> str:
    return major_text(*amount)


def _exponent(amount: Amount) -> int:
    return exponent_of(amount.currency)


def _pair(value: str) -> tuple[str, str]:
    return value, value


def _href(url: str) -> str:
    """Merchant-given targets: a page, never a script. Anything else leads nowhere."""
    return url if _HREF.fullmatch(url) else "#"


def dom_id(name: str) -> str:
    """The id of a form field: no two names share one, whatever letters a merchant's key is in."""
    root, dot, key = name.partition(".")
    escaped = _UNSAFE_IN_ID.sub(lambda found: f":{ord(found[0]):x}:", key)
    return f"f-{root}{'-' if dot else ''}{escaped}"


def _bdi(text: str) -> Markup:
    """A text of somebody else's: its direction, and whatever turns it, ends with it."""
    return Markup("<bdi>{}</bdi>").format(text)


def _unturned(text: str) -> str:
    """For places that take no element, such as a title: without the characters that turn text."""
    return text.translate(_TURNING)


@lru_cache(maxsize=32)
def _countries(locale: str) -> tuple[tuple[str, str], ...]:
    named = Locale.parse(locale).territories.items()
    real = ((code, name) for code, name in named if re.fullmatch(r"[A-Z]{2}", code))
    excluded = {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}
    return tuple(sorted((pair for pair in real if pair[0] not in excluded), key=lambda p: p[1]))
