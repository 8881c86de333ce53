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
from shared.errors import invalid

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
    is_blank = not value.strip() or (field.type == "checkbox" and value == "false")
    if field.is_required and is_blank:
        param = f"custom_field_values.{field.key}"
        raise invalid(param, f"'{field.label}' is required.", "CUSTOM_FIELD_REQUIRED")
    if not value.strip():
        return ""
    if (wrong := _what_is_wrong(field, value)) is not None:
        raise invalid(f"custom_field_values.{field.key}", wrong, "CUSTOM_FIELD_INVALID")
    return value


def _what_is_wrong(field: CustomField, value: str) -> str | None:
    match field.type:
        case "text" | "textarea":
            most = field.max_length or (TEXT_MAX if field.type == "text" else TEXTAREA_MAX)
            return f"At most {most} characters." if len(value) > most else None
        case "dropdown":
            return None if value in field.options else "Choose one of the options."
        case "checkbox":
            return None if value in {"true", "false"} else "A checkbox is 'true' or 'false'."
        case _:
            assert_never(field.type)


def fingerprint(payment_link_id: str, choices: Choices) -> bytes:
    """32 bytes that are the same for the same choices, however they were spelled."""
    chosen = choices.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    canonical = orjson.dumps([payment_link_id, chosen], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()
