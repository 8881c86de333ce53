"""Events: tiers and what a buyer may take of them, when they end, and what their caps leave."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.links import modes
from services.links.caps import Count
from services.links.domain import LAST_PAGE, Link
from services.links.tiers import TICKETS_MAX
from shared.contracts.links import Choices, LinkExhausted, LinkReopened, Offer, ResolvedLine
from shared.errors import Refusal
from tests.builders_links import NOON, a_link, tea, usd

Counts = dict[str, Count]


def tier(key: str, most: int | None = None, **more: Any) -> dict[str, Any]:
    return tea(2500, key=key, name=key.title(), max_total_quantity=most, **more)


def gala(*tiers: dict[str, Any], seats: int | None = None, **given: Any) -> Link:
    event = {"max_total_quantity": seats} | given.pop("event", {})
    lines = list(tiers) or [tier("floor", 10), tier("balcony", 4)]
    return a_link(mode="event", line_items=lines, event_config=event, **given)


def take(link: Link, **quantities: int) -> Offer:
    return modes.offer(link, Choices(quantity_overrides=quantities))


def refused(link: Link, **quantities: int) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as caught:
        take(link, **quantities)
    return caught.value.code, caught.value.param


def shown(link: Link, key: str) -> ResolvedLine:
    return next(line for line in modes.resolved_lines(link) if line.key == key)


def bounds(line: ResolvedLine) -> tuple[int, int, bool]:
    return line.min_quantity, line.max_quantity, line.is_optional


def test_a_buyer_takes_tickets_of_the_tiers_they_name_and_of_no_others():
    offer = take(gala(), balcony=2)

    assert [(line.key, line.quantity) for line in offer.lines] == [("balcony", 2)]
    assert offer.is_limited


def test_zero_of_a_tier_is_none_of_it():
    assert [line.key for line in take(gala(), floor=1, balcony=0).lines] == ["floor"]


def test_nobody_buys_no_ticket_at_all():
    assert refused(gala()) == ("EVENT_TICKET_QUANTITY_REQUIRED", "quantity_overrides")
    assert refused(gala(), floor=0, balcony=0)[0] == "EVENT_TICKET_QUANTITY_REQUIRED"


def test_the_only_tier_is_bought_once_unless_another_number_is_named():
    link = gala(tier("floor"))

    assert take(link).lines[0].quantity == 1
    assert take(link, floor=7).lines[0].quantity == 7
    assert refused(link, floor=0) == ("LINE_ITEM_INVALID_QUANTITY", "quantity_overrides.floor")


def test_a_tier_keeps_to_the_bounds_of_one_order_or_is_left_out():
    link = gala(tier("pair", min_quantity=2, max_quantity=4, quantity=2), tier("floor"))

    assert bounds(shown(link, "pair")) == (2, 4, True)
    assert refused(link, pair=1)[0] == refused(link, pair=5)[0] == "LINE_ITEM_INVALID_QUANTITY"
    assert [line.quantity for line in take(link, pair=2, floor=1).lines] == [2, 1]


def test_a_table_of_eight_is_sold_whole():
    table = tier("table", quantity=8, allow_quantity_adjustment=False)
    link = gala(table, tier("floor"))

    assert bounds(shown(link, "table")) == (8, 8, True)
    assert refused(link, table=3) == ("LINE_ITEM_INVALID_QUANTITY", "quantity_overrides.table")
    assert take(link, table=8).lines[0].quantity == 8
    assert take(gala(table)).lines[0].quantity == 8


def test_one_order_takes_at_most_so_many_tickets():
    link = gala(tier("floor"), tier("balcony"))

    assert bounds(shown(link, "floor")) == (1, TICKETS_MAX, True)
    assert refused(link, floor=TICKETS_MAX, balcony=1) == (
        "LINE_ITEM_INVALID_QUANTITY",
        "quantity_overrides",
    )


def test_a_tier_that_is_sold_out_is_shown_and_never_sold():
    link = gala(tiers={"balcony": Count(sold=4), "floor": Count(sold=3)})

    assert (shown(link, "balcony").is_sold_out, shown(link, "balcony").quantity_available) == (
        True,
        0,
    )
    assert (shown(link, "floor").is_sold_out, shown(link, "floor").quantity_available) == (False, 7)
    assert refused(link, balcony=1) == ("EVENT_SOLD_OUT", "quantity_overrides.balcony")
    assert refused(link, floor=8) == ("LINE_ITEM_INVALID_QUANTITY", "quantity_overrides.floor")
    assert modes.unavailable_reason(link, NOON) is None


def test_too_few_for_the_smallest_order_is_sold_out():
    table = tier("table", 10, quantity=8, allow_quantity_adjustment=False)
    link = gala(table, tier("floor"), tiers={"table": Count(sold=8)})

    assert shown(link, "table").is_sold_out


def test_an_event_is_sold_out_when_each_of_its_tiers_is():
    link = gala(tiers={"balcony": Count(sold=4), "floor": Count(sold=10)})

    assert modes.unavailable_reason(link, NOON) == "EVENT_SOLD_OUT"
    assert link.shown().remaining_quantity == 0


def test_the_event_s_own_cap_bounds_every_tier():
    link = gala(seats=5, total_quantity_sold=4, tiers={"floor": Count(sold=4)})

    assert [line.quantity_available for line in modes.resolved_lines(link)] == [1, 1]
    assert refused(link, floor=1, balcony=1) == ("LINE_ITEM_INVALID_QUANTITY", "quantity_overrides")
    assert link.shown().remaining_quantity == 1


def test_held_places_are_no_reason_to_say_sold_out():
    link = gala(tiers={"balcony": Count(claimed=4), "floor": Count(sold=10)})

    assert not shown(link, "balcony").is_sold_out
    assert link.capacity.no_place_for({"balcony": 1}) == "EVENT_SOLD_OUT"


def test_the_last_ticket_of_the_last_tier_exhausts_the_event_and_a_refund_reopens_it():
    link = gala(
        completed_count=2,
        total_quantity_sold=14,
        tiers={"balcony": Count(sold=4), "floor": Count(sold=10)},
    )
    back = gala(
        completed_count=2,
        returned_count=1,
        total_quantity_sold=14,
        returned_quantity=1,
        tiers={"balcony": Count(sold=4, returned=1), "floor": Count(sold=10)},
    )

    (exhausted,) = link.completed(1, {"balcony": 1})
    (reopened,) = back.returned(1, {"balcony": 1})

    assert isinstance(exhausted, LinkExhausted)
    assert isinstance(reopened, LinkReopened)
    assert (reopened.completed_count, reopened.active_count) == (2, 1)
    assert reopened.total_quantity_sold == 14


def test_a_cap_below_what_is_sold_says_so_for_as_long_as_it_is():
    link = gala(
        seats=5,
        max_completions=2,
        completed_count=3,
        total_quantity_sold=6,
        tiers={"balcony": Count(sold=6)},
    )

    assert [(one.code, one.param) for one in link.shown().warnings] == [
        ("CAP_BELOW_SOLD", "max_completions"),
        ("CAP_BELOW_SOLD", "event_config.max_total_quantity"),
        ("CAP_BELOW_SOLD", "line_items[1].max_total_quantity"),
    ]
    assert "6 are sold, 1 more than the cap of 5" in link.shown().warnings[1].message
    assert gala(seats=6, total_quantity_sold=6).shown().warnings == []


def at(hour: int) -> str:
    return (NOON + timedelta(hours=hour)).isoformat()


@pytest.mark.parametrize(
    "event, over_at",
    [
        ({"event_date": at(0)}, NOON),
        ({"event_date": at(0), "event_end_date": at(3)}, NOON + timedelta(hours=3)),
    ],
)
def test_an_event_takes_buyers_until_a_page_would_outlive_it(
    event: dict[str, str], over_at: datetime
):
    link, last_page = gala(event=event), over_at - LAST_PAGE

    assert modes.unavailable_reason(link, last_page) is None
    assert modes.unavailable_reason(link, last_page + timedelta(microseconds=1)) == "EVENT_ENDED"
    assert modes.unavailable_reason(link, over_at) == "EVENT_ENDED"
    assert take(link, floor=1).sold_until == over_at


def test_an_offer_freezes_the_event_and_the_words_of_its_tickets():
    event = {
        "event_date": at(0),
        "timezone": "Europe/Berlin",
        "location": "Concert hall",
        "ticket_prefix": "GALA",
    }

    offer = take(gala(event=event, name="Gala"), floor=1)

    assert offer.event is not None
    assert (offer.event.name, offer.event.event_date) == ("Gala", NOON)
    assert (offer.event.timezone, offer.event.location) == ("Europe/Berlin", "Concert hall")
    assert offer.ticket_prefix == "GALA"
    assert take(gala(), floor=1).ticket_prefix == "TICKET"
    assert modes.offer(a_link(), Choices()).event is None


@pytest.mark.parametrize(
    "given, param",
    [
        ({"event": {"event_end_date": at(1)}}, "event_config.event_date"),
        (
            {"event": {"event_date": at(1), "event_end_date": at(1)}},
            "event_config.event_end_date",
        ),
        ({"event": {"timezone": "Europe/Atlantis"}}, "event_config.timezone"),
        ({"event": {"timezone": "../etc/passwd"}}, "event_config.timezone"),
    ],
)
def test_an_event_that_contradicts_itself_is_refused(given: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        gala(**given)

    assert caught.value.param == param


@pytest.mark.parametrize(
    "line, param",
    [
        (tier("floor", 3, min_quantity=4, quantity=4), "line_items[0].max_total_quantity"),
        (tier("floor", quantity=TICKETS_MAX + 1), "line_items[0].quantity"),
        (
            tier("floor", min_quantity=TICKETS_MAX + 1, quantity=TICKETS_MAX + 2),
            "line_items[0].quantity",
        ),
    ],
)
def test_a_tier_that_could_never_be_sold_is_refused(line: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        gala(line)

    assert caught.value.param == param


def test_only_an_event_caps_single_lines():
    with pytest.raises(Refusal) as caught:
        a_link(line_items=[tier("tea", 3)])

    assert caught.value.param == "line_items[0].max_total_quantity"


def test_a_buyer_sees_when_and_where_and_not_how_many_tickets_there_ever_were():
    event = {"event_date": at(9), "location": "Concert hall", "ticket_prefix": "GALA"}

    config = modes.shown(gala(seats=40, event=event), NOON).payment_link.event_config

    assert config.model_dump(exclude_none=True) == {
        "event_date": NOON + timedelta(hours=9),
        "location": "Concert hall",
    }


def test_a_free_tier_and_one_at_the_buyer_s_price_are_sold_as_any_other():
    free = tea(0, key="free", name="Free")
    open_price = tea(1000, key="open", allow_amount_adjustment=True, min_amount_money=usd(500))
    link = gala(free, open_price)

    offer = modes.offer(
        link,
        Choices.model_validate(
            {
                "quantity_overrides": {"free": 1, "open": 2},
                "unit_price_overrides": {"open": usd(500)},
            }
        ),
    )

    assert [line.unit_price_money.amount for line in offer.lines] == [0, 500]
