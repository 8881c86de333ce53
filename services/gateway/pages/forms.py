"""Posted forms, read within a size; amounts of money are read in `amounts`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from services.gateway.body import read_body
from services.gateway.errors import Failure, Turned, unsupported_media

FORM_MAX: Final = 16 * 1024
FIELDS_MAX: Final = 250
CARD_FIELDS: Final = ("card_number", "card_exp", "card_cvc")
_WHOLE: Final = re.compile(r"[0-9]{1,6}")
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Form = Mapping[str, str]


async def read_form(request: web.Request, limit: int = FORM_MAX) -> Form:
    """The fields of a posted form, of a field sent twice the last one. Turns away all else.

    `limit` is in bytes as sent: a character may take twelve of them.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise Turned(unsupported_media("A form has to be sent as a form."))
    raw = await read_body(request, limit)
    try:
        return fields_of(raw.decode())
    except ValueError:
        raise Turned(Failure(400, "INVALID_VALUE", "The form cannot be read.")) from None


def fields_of(text: str) -> Form:
    """Fields by name, trimmed, newlines as one character. Raises ValueError for what is no form."""
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    return {name: tidied(value) for name, value in pairs}


def tidied(value: str) -> str:
    """A field's value as we read it: no unseen characters, one kind of newline, no outer spaces."""
    return _UNSEEN.sub("", value.replace("\r\n", "\n").replace("\r", "\n")).strip()


def shown_again(form: Form) -> dict[str, str]:
    """What a re-rendered form may hold: never anything of the card's secrets, never a token."""
    hidden = (*CARD_FIELDS, "form_token", "resolution_context")
    return {name: value for name, value in form.items() if name not in hidden}


def whole_number(text: str) -> int | None:
    """A typed count, from 0 up to six digits."""
    return int(text) if _WHOLE.fullmatch(text) else None
