"""What is wrong with the answer to a custom field, said the same by links and by the buyers' page.

Pure. Links decides with it; the page asks it first, to name everything that is wrong at once.
Lengths count code points, as people do; bytes and UTF-16 units are nobody's business here.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, assert_never

from shared.contracts.link_requests import CustomField

TEXT_MAX: Final = 255
TEXTAREA_MAX: Final = 1_000


class Problem(NamedTuple):
    """A code of the API, and a sentence for the buyer."""

    code: Literal["CUSTOM_FIELD_REQUIRED", "CUSTOM_FIELD_INVALID"]
    message: str


def is_blank(field: CustomField, value: str) -> bool:
    """Whether nothing was answered: an unticked box is no answer either."""
    return not value.strip() or (field.type == "checkbox" and value == "false")


def problem_with(field: CustomField, value: str) -> Problem | None:
    """Why the field cannot be answered like this, or None."""
    if field.is_required and is_blank(field, value):
        return Problem("CUSTOM_FIELD_REQUIRED", f"{field.label} is required.")
    if not value.strip():
        return None
    message = _complaint(field, value)
    return Problem("CUSTOM_FIELD_INVALID", f"{field.label}: {message}") if message else None


def _complaint(field: CustomField, value: str) -> str | None:
    match field.type:
        case "text":
            if "\n" in value or "\r" in value:
                return "one line only."
            return _too_long(value, field.max_length or TEXT_MAX)
        case "textarea":
            return _too_long(value, field.max_length or TEXTAREA_MAX)
        case "dropdown":
            return None if value in field.options else "choose one of the options."
        case "checkbox":
            return None if value in {"true", "false"} else "a checkbox is 'true' or 'false'."
        case _:
            assert_never(field.type)


def _too_long(value: str, most: int) -> str | None:
    return f"at most {most} characters, not {len(value)}." if len(value) > most else None
