"""Amounts as people type them, read to the minor unit or not at all; never through a float.

A text that two people would read as two sums is refused, not guessed at. Which mark groups digits
is the locale's word: "1,200" is twelve hundred to English readers and no amount of dollars to
German ones. Digits of any script count; a group is a whole one ("1 234", never "12 34").
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel.numbers import format_decimal, get_currency_symbol, get_decimal_symbol, get_group_symbol

from shared.money import AMOUNT_MAX, Money, card_step, exponent, money

OTHER: Final = "other"  # the chip beside the suggestions; the amount is in a field of its own
GROUPS: Final = re.compile(r"\d{1,3}([ .,])(?:\d{2,3}\1)*\d{3}", re.ASCII)
LAST_GROUP: Final = 3
DIGITS_MAX: Final = 14
_CANONICAL: Final = re.compile(r"\d{1,12}(?:\.(\d{1,4}))?", re.ASCII)
_SPACES: Final = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}\N{ARABIC THOUSANDS SEPARATOR}\\s]")
_DIRECTIONS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ARABIC_POINT: Final = "\N{ARABIC DECIMAL SEPARATOR}"


def typed_money(text: str, currency: str, locale: str) -> Money | None:
    """What a buyer typed ("12", "12.5", "12,50", "1 234,50 €") as money; None for no amount."""
    plain = _plain(text, currency, locale)
    mark = _decimal_mark(plain, currency, locale)
    if mark is None or len(plain) > 2 * DIGITS_MAX:
        return None
    whole, _, decimals = plain.rpartition(mark) if mark else (plain, "", "")
    return _money(_ungrouped(whole), decimals, currency)


def exact_money(text: str, currency: str) -> Money | None:
    """An amount as our own pages and addresses spell it: "12.50", in every locale."""
    found = _CANONICAL.fullmatch(text)
    return _money(text.partition(".")[0], found[1] or "", currency) if found else None


def written(amount_minor: int, currency: str, locale: str) -> str:
    """An amount as a field holds it: the locale's own mark, no groups, every decimal."""
    digits = exponent(currency)
    pattern = "0." + "0" * digits if digits else "0"
    amount = Decimal(amount_minor).scaleb(-digits)
    return str(format_decimal(amount, pattern, locale=locale, group_separator=False))


def such_as(currency: str, locale: str) -> str:
    """ "such as 12.50": an example for whoever typed something else."""
    return f"such as {written(1250 * card_step(currency), currency, locale)}"


@lru_cache(maxsize=1024)
def group_mark(locale: str) -> str:
    """What may stand between groups of digits beside a space: "." or ",", or neither."""
    mark = str(get_group_symbol(locale))
    return mark if mark in {".", ","} and mark != get_decimal_symbol(locale) else ""


def _plain(text: str, currency: str, locale: str) -> str:
    """Only digits 0 to 9, marks and single spaces are left of what can be read."""
    plain = _DIRECTIONS.sub("", text).strip()
    for sign in (currency, get_currency_symbol(currency, locale), _narrow(currency)):
        bare = _DIRECTIONS.sub("", sign)
        plain = plain.removeprefix(bare).removesuffix(bare).strip()
    plain = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in plain)
    return _SPACES.sub(" ", plain)


@lru_cache(maxsize=1024)
def _narrow(currency: str) -> str:
    return str(get_currency_symbol(currency, "en"))


def _decimal_mark(plain: str, currency: str, locale: str) -> str | None:
    """The mark before the decimals, "" when there are none; None: nobody can tell."""
    if _ARABIC_POINT in plain:
        return _ARABIC_POINT
    mark = max(".,", key=plain.rfind)
    if plain.count(mark) != 1:
        return ""  # No mark, or one between several groups.
    is_alone = not {".", ","} <= set(plain)
    looks_like_a_group = len(plain) - plain.index(mark) - 1 == LAST_GROUP
    if not (is_alone and looks_like_a_group and mark == group_mark(locale)):
        return mark
    # Where an amount has three decimals, "1.200" from a German reader may be either.
    return None if exponent(currency) >= LAST_GROUP else ""


def _ungrouped(whole: str) -> str | None:
    """The digits of "1 234" or "1,23,456"; None for groups that are none."""
    if not whole or whole.isdecimal():
        return whole
    found = GROUPS.fullmatch(whole)
    return whole.replace(found[1], "") if found else None


def _money(whole: str | None, decimals: str, currency: str) -> Money | None:
    digits = exponent(currency)
    if whole is None or len(decimals) > digits or not (whole or decimals):
        return None
    if (decimals and not decimals.isdecimal()) or len(whole) > DIGITS_MAX:
        return None
    minor = int(whole + decimals.ljust(digits, "0"))
    return money(minor, currency) if minor <= AMOUNT_MAX else None
