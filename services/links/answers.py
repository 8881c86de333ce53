"""What buyers answer to a link's questions, and the fingerprint of all they chose.

Pure. Lengths count code points, as people do; bytes are nobody's business here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, assert_never

import orjson

from shared.contracts.link_requests import CustomField
from shared.contracts.links import Choices
from shared.errors import Refusal, invalid

TEXT_MAX: Final = 255
TEXTAREA_MAX: Final = 1_000


def answered(fields: Sequence[CustomField], values: Mapping[str, str]) -> dict[str, str]:
    """The accepted answers, in the order of the questions; empty ones are left out."""
    known = {field.key for field in fields}
    for key in values:
        if key not in known:
            raise invalid(f"custom_field_values.{key}", f"There is no question '{key}'.")
    answers = {field.key: _answer(field, values.get(field.key, "")) for field in fields}
    return {key: answer for key, answer in answers.items() if answer}


def _answer(field: CustomField, value: str) -> str:
    if not value.strip():
        if field.is_required:
            raise _missing(field)
        return ""
    match field.type:
        case "text" | "textarea":
            most = field.max_length or (TEXT_MAX if field.type == "text" else TEXTAREA_MAX)
            if len(value) > most:
                raise _wrong(field, f"At most {most} characters.")
        case "dropdown":
            if value not in field.options:
                raise _wrong(field, "Choose one of the options.")
        case "checkbox":
            if value not in {"true", "false"}:
                raise _wrong(field, "A checkbox is 'true' or 'false'.")
            if field.is_required and value == "false":
                raise _missing(field)
        case _:
            assert_never(field.type)
    return value


def _missing(field: CustomField) -> Refusal:
    param = f"custom_field_values.{field.key}"
    return invalid(param, f"'{field.label}' is required.", "CUSTOM_FIELD_REQUIRED")


def _wrong(field: CustomField, message: str) -> Refusal:
    return invalid(f"custom_field_values.{field.key}", message, "CUSTOM_FIELD_INVALID")


def fingerprint(payment_link_id: str, choices: Choices) -> bytes:
    """32 bytes that are the same for the same choices, however they were spelled."""
    chosen = choices.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    canonical = orjson.dumps([payment_link_id, chosen], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()
