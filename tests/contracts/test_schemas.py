"""No message and no resource changes unseen: what is true now is what was agreed."""

from __future__ import annotations

import difflib
import itertools
from typing import Final

import pytest

from tests.contracts.write import FOLDER, golden

LINES_MAX: Final = 120
MADE: Final = golden()


@pytest.mark.parametrize("name", sorted({*MADE, *(found.name for found in FOLDER.glob("*.json"))}))
def test_the_contract_is_the_one_that_was_agreed(name: str):
    path = FOLDER / name
    agreed = path.read_text() if path.exists() else ""

    changed = drift(agreed, MADE.get(name, ""), name)

    assert not changed, (
        f"the contract differs from tests/contracts/schemas/{name}. Optional fields may be added; "
        f"nothing is renamed, retyped or removed. If it is meant: make schemas\n{changed}"
    )


def test_a_changed_field_is_one_line_of_the_difference():
    agreed = MADE["money.json"]
    retyped = agreed.replace('"maximum": 9999999999, "minimum": 0', '"maximum": 99, "minimum": 0')

    shown = drift(agreed, retyped, "money.json").splitlines()

    assert [line[0] for line in shown if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-",
        "+",
    ]


def drift(agreed: str, made: str, name: str) -> str:
    """Agreed and made side by side; empty where they are the same."""
    lines = difflib.unified_diff(
        agreed.splitlines(), made.splitlines(), f"agreed/{name}", f"now/{name}", lineterm=""
    )
    return "\n".join(itertools.islice(lines, LINES_MAX))
