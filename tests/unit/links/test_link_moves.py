"""A link's life: versions, facts, and what it may still sell."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from services.links import modes
from services.links.domain import LAST_PAGE, Link
from shared.contracts.configs import Theme
from shared.contracts.links import (
    LinkActivated,
    LinkDeactivated,
    LinkExhausted,
    LinkReopened,
    LinkUpdated,
)
from shared.errors import Refusal
from tests.builders_links import NOON, a_link, tea

LATER = NOON + timedelta(minutes=1)


def renamed(link: Link, **update: object):
    return link.change(link.template.model_copy(update=update), LATER)


def test_every_change_is_a_new_version_that_tells_the_old_values():
    link, facts = renamed(a_link(), name="Green tea")

    assert (link.version, link.updated_at) == (2, LATER)
    assert [type(fact) for fact in facts] == [LinkUpdated]
    assert facts[0].previous == {"name": "Tea", "version": 1}
    assert facts[0].name == "Green tea"


def test_an_old_value_is_told_as_the_api_showed_it_and_null_where_there_was_none():
    theme = Theme(title="Teas")
    _, (fact,) = renamed(a_link(), theme=theme, description="Loose leaf")

    told = json.loads(fact.to_json())

    assert told["previous"] == {"theme": {}, "description": None, "version": 1}


def test_changing_nothing_is_no_new_version():
    link = a_link(theme={"title": "Teas"})

    assert renamed(link, name="Tea") == (link, [])


def test_activating_and_deactivating_repeat_safely():
    link = a_link()

    off, facts = link.deactivate(close_open_sessions=False, now=LATER)
    again, silence = off.deactivate(close_open_sessions=False, now=LATER)
    on, back = again.activate(LATER)

    assert [type(fact) for fact in facts + back] == [LinkDeactivated, LinkActivated]
    assert silence == []
    assert (off.version, again.version, on.version) == (2, 2, 3)
    assert on.activate(LATER) == (on, [])


def test_open_sessions_can_be_closed_by_a_second_word():
    off, _ = a_link().deactivate(close_open_sessions=False, now=LATER)

    again, facts = off.deactivate(close_open_sessions=True, now=LATER)

    assert again == off
    assert [type(fact) for fact in facts] == [LinkDeactivated]


def test_another_version_than_the_expected_one_is_a_conflict():
    link = a_link(version=4)

    link.refuse_stale(4)
    link.refuse_stale(None)
    with pytest.raises(Refusal) as caught:
        link.refuse_stale(3)

    assert (caught.value.kind, caught.value.code, caught.value.param) == (
        "conflict",
        "PAYMENT_LINK_CHANGED_RETRY",
        "expected_version",
    )


def test_the_sale_that_fills_the_cap_exhausts_the_link_once():
    assert a_link(max_completions=2, completed_count=1).completed(1, {}) == []
    (fact,) = a_link(max_completions=2, completed_count=2).completed(1, {})
    assert a_link(max_completions=2, completed_count=3).completed(1, {}) == []

    assert isinstance(fact, LinkExhausted)
    assert fact.is_sold_out
    assert fact.previous["is_sold_out"] is False


def test_the_sale_that_takes_the_last_seat_exhausts_the_event():
    event = {"mode": "event", "event_config": {"max_total_quantity": 10}}

    assert a_link(**event, completed_count=3, total_quantity_sold=9).completed(3, {}) == []
    (fact,) = a_link(**event, completed_count=4, total_quantity_sold=10).completed(3, {})

    assert isinstance(fact, LinkExhausted)
    assert fact.remaining_quantity == 0


def test_raising_the_cap_reopens_a_link_and_lowering_it_exhausts_it():
    full = a_link(max_completions=2, completed_count=2)

    wider, raised = renamed(full, max_completions=3)
    _, lowered = renamed(wider, max_completions=1)

    assert [type(fact) for fact in raised] == [LinkUpdated, LinkReopened]
    assert [type(fact) for fact in lowered] == [LinkUpdated, LinkExhausted]


EVENT = {"mode": "event", "event_config": {"event_date": NOON.isoformat()}}


@pytest.mark.parametrize(
    "link, reason",
    [
        (a_link(), None),
        (a_link(line_items=[]), "PAYMENT_LINK_INACTIVE"),
        (a_link(status="inactive"), "PAYMENT_LINK_INACTIVE"),
        (a_link(max_completions=1), None),
        (a_link(max_completions=1, claimed_count=1), None),
        (a_link(max_completions=1, completed_count=1), "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"),
        (a_link(**EVENT), "EVENT_ENDED"),
        (a_link(**EVENT, status="inactive"), "PAYMENT_LINK_INACTIVE"),
        (
            a_link(mode="event", event_config={"max_total_quantity": 1}, total_quantity_sold=1),
            "EVENT_SOLD_OUT",
        ),
        (a_link(mode="donation", line_items=[]), None),
    ],
)
def test_why_nobody_can_buy_now(link: Link, reason: str | None):
    assert modes.unavailable_reason(link, NOON) == reason


def test_an_event_sells_until_the_minute_before_it_begins():
    link = a_link(**EVENT)

    assert modes.unavailable_reason(link, NOON - LAST_PAGE) is None


def test_a_buyer_sees_no_counts_no_metadata_and_no_redirects():
    link = a_link(
        metadata={"secret": "1"},
        redirects={"success_redirect_url": "https://example.com/secret"},
        max_completions=3,
        completed_count=1,
    )

    shown = modes.shown(link, NOON)

    assert b"secret" not in shown.__pydantic_serializer__.to_json(shown)
    assert b"completed_count" not in shown.__pydantic_serializer__.to_json(shown)
    assert shown.remaining_quantity == 2
    assert shown.slug == "tea"


def test_a_buyer_sees_what_may_be_chosen():
    line = tea(allow_quantity_adjustment=True, min_quantity=2, quantity=3)

    adjustable, fixed = modes.resolved_lines(a_link(line_items=[line, tea(quantity=4)]))

    assert (adjustable.min_quantity, adjustable.quantity, adjustable.max_quantity) == (
        2,
        3,
        999_999,
    )
    assert (fixed.min_quantity, fixed.quantity, fixed.max_quantity) == (4, 4, 4)
