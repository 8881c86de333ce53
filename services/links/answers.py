"""What buyers answer to a link's questions, and the fingerprint of all they chose. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import orjson

from shared.answers import problem_with
from shared.contracts.link_requests import CustomField
from shared.contracts.links import Choices
from shared.errors import invalid


def answered(fields: Sequence[CustomField], values: Mapping[str, str]) -> dict[str, str]:
    """The accepted answers, in the order of the questions; empty ones are left out.

    Raises the refusal of the first answer that is none, with `custom_field_values.{key}`.
    """
    known = {field.key for field in fields}
    for key in values:
        if key not in known:
            raise invalid(f"custom_field_values.{key}", f"There is no question '{key}'.")
    answers = {field.key: _answer(field, values.get(field.key, "")) for field in fields}
    return {key: answer for key, answer in answers.items() if answer}


def _answer(field: CustomField, value: str) -> str:
    if (wrong := problem_with(field, value)) is not None:
        raise invalid(f"custom_field_values.{field.key}", wrong.message, wrong.code)
    return value if value.strip() else ""


def fingerprint(payment_link_id: str, choices: Choices) -> bytes:
    """32 bytes that are the same for the same choices, however they were spelled."""
    chosen = choices.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    canonical = orjson.dumps([payment_link_id, chosen], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()
