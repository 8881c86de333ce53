"""What can be wrong with a link's numbers, each written into the books by hand."""

from __future__ import annotations

from typing import Final

from tests.faults.breaches import Breach


def _numbers(found: str, plant: str) -> Breach:
    return Breach("a link's numbers are not those of its facts", found, {"gateway": plant})


def _of(link: str, measure: str) -> str:
    return f"WHERE payment_link_id = '{{{link}}}' AND measure = '{measure}'"


NUMBERS: Final = (
    _numbers("{tea} sale", f"UPDATE link_counts SET count = count + 1 {_of('tea', 'sale')}"),
    _numbers(
        "{tea} sale",
        f"UPDATE link_counts SET amount_minor = amount_minor + 1 {_of('tea', 'sale')}",
    ),
    _numbers("{pot} resolve", f"UPDATE link_counts SET count = 0 {_of('pot', 'resolve')}"),
    _numbers("{tea} attempt", f"DELETE FROM link_counts {_of('tea', 'attempt')}"),
    _numbers(
        "{gala} view",
        "INSERT INTO link_counts SELECT merchant_id, payment_link_id, day, 'view', '', 1, 0"
        f" FROM link_counts {_of('gala', 'resolve')}",
    ),
)
