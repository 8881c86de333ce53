"""What can be wrong with the plans that links offer, each written into the books by hand."""

from __future__ import annotations

from typing import Final

from tests.faults.breaches import Breach


def _copy(plant: str) -> Breach:
    return Breach("a link's copy of a plan is not the plan", "{plan}", {"links": plant})


PLANS: Final = (
    _copy("UPDATE plans SET version = version - 1"),
    _copy("UPDATE plans SET content = jsonb_set(content, '{{name}}', '\"Another\"')"),
    _copy("UPDATE plans SET content = jsonb_set(content, '{{status}}', '\"archived\"')"),
    _copy("DELETE FROM plans"),
)
