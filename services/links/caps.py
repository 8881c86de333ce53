"""Caps: how many orders, seats and tickets of a tier may be sold, and what is left of each. Pure.

*Sold out* counts what is sold; a claim also counts what is held by buyers who are paying now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.links.template import Template, known
from shared.contracts.links import LinkWarning

USED_UP: Final = "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
SOLD_OUT: Final = "EVENT_SOLD_OUT"


@dataclass(frozen=True, slots=True)
class Count:
    """How many were sold, are held by buyers who are paying now, and came back by refunds."""

    sold: int = 0
    claimed: int = 0
    returned: int = 0

    @property
    def active(self) -> int:
        """Sold and not given back: what a cap is about."""
        return self.sold - self.returned

    def less(self, one: Count, *, pieces: int) -> Count:
        """As it was before so many pieces were counted as `one` is."""
        return Count(
            self.sold - one.sold * pieces,
            self.claimed - one.claimed * pieces,
            self.returned - one.returned * pieces,
        )


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many. `param` is the field of the link that says so."""

    param: str
    most: int
    count: Count

    @property
    def left(self) -> int:
        """What a buyer may still hope for: places that are held may come back."""
        return max(0, self.most - self.count.active)

    def has_room_for(self, wanted: int) -> bool:
        """Whether so many could be claimed now."""
        return self.count.active + self.count.claimed + wanted <= self.most


@dataclass(frozen=True, slots=True)
class Capacity:
    """All that bounds one link's sales. `tiers` has every line by its key, capped or not."""

    completions: Cap | None
    seats: Cap | None
    tiers: Mapping[str, Cap | None]

    @property
    def is_limited(self) -> bool:
        """Whether a buyer has to claim a place before being charged."""
        return any(True for _ in self._caps())

    @property
    def remaining_seats(self) -> int | None:
        """Of the event, or of its tiers if each has a cap; None where nothing bounds them."""
        caps = list(self.tiers.values())
        of_tiers = sum(cap.left for cap in caps if cap) if caps and all(caps) else None
        return _least(_left(self.seats), of_tiers)

    @property
    def remaining_quantity(self) -> int | None:
        """What is left to buy: seats, else completions; None for a link without a cap."""
        seats = self.remaining_seats
        return _left(self.completions) if seats is None else seats

    @property
    def exhausted_by(self) -> str | None:
        """The code of what is sold out, or None."""
        if self.completions is not None and self.completions.left == 0:
            return USED_UP
        return SOLD_OUT if self.remaining_seats == 0 else None

    def left_of(self, key: str) -> int | None:
        """How many of a line are left to buy; None where nothing bounds it."""
        return _least(_left(self.tiers.get(key)), _left(self.seats))

    def no_place_for(self, wanted: Mapping[str, int]) -> str:
        """The code for an attempt that found no place for its pieces a moment ago."""
        has_seats = self.seats is None or self.seats.has_room_for(sum(wanted.values()))
        tiers = ((self.tiers.get(key), pieces) for key, pieces in wanted.items())
        has_tiers = all(tier is None or tier.has_room_for(pieces) for tier, pieces in tiers)
        is_of_seats = self.completions is None or not (has_seats and has_tiers)
        return SOLD_OUT if is_of_seats else USED_UP

    def warnings(self) -> list[LinkWarning]:
        """A cap below what is sold is allowed, and said."""
        return [_below_sold(cap) for cap in self._caps() if cap.count.active > cap.most]

    def _caps(self) -> Iterator[Cap]:
        every = (self.completions, self.seats, *self.tiers.values())
        return (cap for cap in every if cap is not None)


def capacity(
    template: Template, *, places: Count, seats: Count, tiers: Mapping[str, Count]
) -> Capacity:
    """A template's caps over what was counted: orders, pieces, and pieces by line key."""
    lines = {
        known(line.key): _cap(
            f"line_items[{index}].max_total_quantity",
            line.max_total_quantity,
            tiers.get(known(line.key), Count()),
        )
        for index, line in enumerate(template.line_items)
    }
    most_seats = template.event_config.max_total_quantity
    return Capacity(
        completions=_cap("max_completions", template.max_completions, places),
        seats=_cap("event_config.max_total_quantity", most_seats, seats),
        tiers=lines,
    )


def _cap(param: str, most: int | None, count: Count) -> Cap | None:
    return None if most is None else Cap(param, most, count)


def _left(cap: Cap | None) -> int | None:
    return None if cap is None else cap.left


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _below_sold(cap: Cap) -> LinkWarning:
    over = cap.count.active - cap.most
    message = (
        f"{cap.count.active} are sold, {over} more than the cap of {cap.most}. "
        "Nothing that is sold was cancelled."
    )
    return LinkWarning(code="CAP_BELOW_SOLD", param=cap.param, message=message)
