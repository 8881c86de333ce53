"""What may happen to an order, and what it says of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.ordering import contents, domain
from services.orders.ordering.domain import Sale
from shared.contracts.orders import (
    OrderClosed,
    OrderCreated,
    OrderPaid,
    OrderUnpayable,
    OrderUpdated,
    ReviseOrder,
)
from shared.errors import Refusal
from tests.builders_orders import a_moment, a_sale, creating, line, quick_pay, resolved, usd
from tests.support.desk import MERCHANT

AT = a_moment()
EURO = {"amount": 1, "currency": "EUR"}
DOLLAR = {"amount": 1, "currency": "USD"}
COUPON = "discounts[0].coupon"
LINE = "discounts[0].manual.order_line_item_ids[0]"


def manual(amount: dict[str, object], scope: str = "order", lines: list[str] | None = None):
    named = {"name": "x", "amount_money": amount, "scope": scope}
    return {"manual": named | {"order_line_item_ids": lines or []}}


def started(sale: Sale, attempt_id: str = "pi_1") -> Sale:
    return domain.attempt_started(sale, attempt_id, AT, session_id=None, email=None, is_free=False)


def paid(sale: Sale) -> Sale:
    return domain.paid(started(sale), "pi_1", sale.balance, None, AT)[0]


def closed(sale: Sale) -> Sale:
    return domain.close(sale, None, AT)[0]


def refusal_of(*args, **kwargs) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as refused:
        a_sale(*args, **kwargs)
    return refused.value.code, refused.value.param


def revising(sale: Sale, revision: int = 1, **tip: object) -> ReviseOrder:
    asked = {"order_id": sale.order.order_id, "expected_revision": revision, "tip": tip or None}
    return ReviseOrder.model_validate(asked)


def history_ends_at_the_balance(sale: Sale) -> bool:
    return sale.order.activities[-1].running_balance.amount == sale.balance


def test_a_new_order_tells_its_whole_price_in_its_first_activity():
    sale, facts = contents.from_params(
        creating(line(1200, 2)).params, merchant_id=MERCHANT, mode="test", at=AT
    )

    assert [type(fact) for fact in facts] == [OrderCreated]
    (first,) = sale.order.activities
    assert (first.type, first.balance_delta.amount, sale.balance) == ("created", 2400, 2400)
    assert sale.order.line_items[0].gross_money == usd(2400)


def test_an_order_may_begin_with_nothing():
    sale = a_sale()
    empty = contents.from_params(
        creating().params.model_copy(update={"line_items": []}),
        merchant_id=MERCHANT,
        mode="test",
        at=AT,
    )[0]

    assert sale.order.order_number != empty.order.order_number
    assert (empty.balance, empty.order.line_items) == (0, [])


def test_the_order_number_is_short_and_comes_from_the_id():
    assert domain.order_number("ord_01JABCDEFGHJKMNPQRSTVWXYZ0") == "STVW-XYZ0"


@pytest.mark.parametrize(
    "more, param",
    [
        ({"tips": [{"amount_money": EURO}]}, "tips[0].amount_money"),
        ({"discounts": [manual(EURO)]}, "discounts[0].manual.amount_money"),
    ],
)
def test_a_sum_of_another_currency_is_refused_where_it_stands(more, param):
    assert refusal_of(line(), **more) == ("CURRENCY_MISMATCH", param)


def test_the_first_line_sets_the_currency():
    second = line() | {"unit_price_money": EURO}

    assert refusal_of(line(), second) == ("CURRENCY_MISMATCH", "line_items[1].unit_price_money")
    assert a_sale(second).currency == "EUR"


@pytest.mark.parametrize(
    "more, code, param",
    [
        ({"tips": [{}]}, "INVALID_TIP_AMOUNT", "tips[0]"),
        ({"tips": [{"percent": 10, "amount_money": DOLLAR}]}, "INVALID_TIP_AMOUNT", "tips[0]"),
        ({"discounts": [{}]}, "INVALID_VALUE", "discounts[0]"),
        ({"discounts": [{"coupon": {"coupon_code": "TEA"}}]}, "COUPON_NOT_FOUND", COUPON),
        ({"discounts": [manual(DOLLAR, scope="line_item", lines=["li"])]}, "INVALID_VALUE", LINE),
        ({"discounts": [manual(DOLLAR, lines=["li"])]}, "INVALID_VALUE", LINE),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(more, code, param):
    assert refusal_of(line(), **more) == (code, param)


def test_manual_discounts_and_tips_stand_side_by_side_in_order_of_adding():
    off = manual(DOLLAR | {"amount": 200})
    flat = {"amount_money": {"amount": 50, "currency": "USD"}, "name": "For the cook"}

    order = a_sale(line(1200), discounts=[off], tips=[{"percent": 10}, flat]).order

    assert [one.applied_money for one in order.discounts] == [usd(200)]
    assert [(tip.percent, tip.amount_money) for tip in order.tips] == [
        (10, usd(100)),
        (None, usd(50)),
    ]
    assert order.net_amounts.total_money == usd(1150)


def test_the_order_of_a_link_has_its_offer_and_counts_by_the_link_s_keys():
    link = resolved(1200, 300, client_reference_id="ref", utm={"source": "mail"})

    sale, _ = contents.from_link(link, AT)

    assert sale.order.order_id == link.order_id
    assert sale.order.checkout_session_ids == [link.checkout_session_id]
    assert (sale.order.source, sale.order.payment_link_id) == ("payment_link", link.payment_link_id)
    assert sale.line_quantities == {"line-1": 1, "line-2": 1}
    assert (sale.order.client_reference_id, sale.order.utm) == ("ref", {"source": "mail"})


def test_what_covers_the_fees_is_paid_and_is_no_piece_that_was_sold():
    sale, _ = contents.from_link(resolved(1000, fees=60), AT)

    done, facts = domain.paid(started(sale), "pi_1", 1060, None, AT)

    assert (sale.balance, done.line_quantities) == (1060, {"line-1": 1})
    (told,) = (fact for fact in facts if isinstance(fact, OrderPaid))
    assert (told.quantity_sold, told.line_quantities) == (1, {"line-1": 1})


def test_the_order_of_a_quick_pay_is_one_line():
    asked = quick_pay(700)

    sale, _ = contents.from_quick_pay(asked, AT)

    assert (sale.order.source, sale.balance) == ("checkout", 700)
    assert [one.name for one in sale.order.line_items] == ["Tea"]


def test_an_order_is_closed_once_and_says_so_once():
    sale, facts = domain.close(a_sale(), "Out of tea.", AT)
    again, more = domain.close(sale, "Again.", AT)

    assert [type(fact) for fact in facts] == [OrderClosed]
    assert facts[0].previous == {"status": "open", "closed_reason": None}  # type: ignore[attr-defined]  # the type is asserted above
    assert (again, more) == (sale, [])
    assert sale.order.closed_reason == "Out of tea."


@pytest.mark.parametrize(
    "make, code", [(paid, "ORDER_CLOSED"), (started, "ORDER_PAYMENT_ATTEMPT_ACTIVE")]
)
def test_an_order_that_is_paid_or_being_paid_is_not_closed(make, code):
    with pytest.raises(Refusal) as refused:
        domain.close(make(a_sale()), None, AT)

    assert refused.value.code == code


def test_a_chosen_tip_makes_the_next_revision_and_tells_what_it_was():
    sale = a_sale(line(1000))

    revised, facts = contents.revised(sale, revising(sale, percent=20), AT)

    assert (revised.order.revision, revised.balance) == (2, 1200)
    assert [type(fact) for fact in facts] == [OrderUpdated]
    assert set(facts[0].previous) == {"net_amounts", "revision", "tips"}  # type: ignore[attr-defined]  # the type is asserted above
    assert revised.order.activities[-1].type == "tip_added"
    assert history_ends_at_the_balance(revised)


def test_the_page_s_tip_replaces_itself_and_leaves_the_merchant_s_alone():
    sale = a_sale(line(1000), tips=[{"percent": 10, "name": "Service"}])
    flat = {"amount": 300, "currency": "USD"}

    once, _ = contents.revised(sale, revising(sale, percent=20), AT)
    twice, _ = contents.revised(once, revising(once, 2, amount_money=flat), AT)
    none, _ = contents.revised(twice, revising(twice, 3), AT)

    assert [tip.amount_money.amount for tip in once.order.tips] == [100, 200]
    assert [tip.amount_money.amount for tip in twice.order.tips] == [100, 300]
    assert [tip.name for tip in none.order.tips] == ["Service"]
    assert [one.type for one in none.order.activities[1:]] == [
        "tip_added",
        "tip_updated",
        "tip_removed",
    ]


def test_the_same_tip_again_is_no_change():
    sale = a_sale(line(1000))
    once, _ = contents.revised(sale, revising(sale, percent=20), AT)

    again, facts = contents.revised(once, revising(once, 2, percent=20), AT)

    assert again is once
    assert facts == []


def test_a_stale_revision_is_refused():
    sale = a_sale()

    with pytest.raises(Refusal) as refused:
        contents.revised(sale, revising(sale, 2, percent=20), AT)

    assert refused.value.code == "ORDER_CONFLICT"


@pytest.mark.parametrize(
    "make, code",
    [
        (paid, "ORDER_CLOSED"),
        (closed, "ORDER_CLOSED"),
        (started, "ORDER_PAYMENT_ATTEMPT_ACTIVE"),
    ],
)
def test_the_price_of_an_order_that_is_over_or_being_paid_stands(make, code):
    sale = make(a_sale())

    with pytest.raises(Refusal) as refused:
        contents.revised(sale, revising(sale, percent=20), AT)

    assert refused.value.code == code


def test_a_page_for_an_open_order_is_noted_once():
    sale, _ = domain.session_opened(a_sale(), "cs_1", AT)
    again, facts = domain.session_opened(sale, "cs_1", AT)

    assert again.order.checkout_session_ids == ["cs_1"]
    assert again.order.activities[-1].checkout_session_id == "cs_1"
    assert facts == []


@pytest.mark.parametrize("make, reason", [(paid, "order_paid_elsewhere"), (closed, "order_closed")])
def test_a_page_for_an_order_that_is_over_is_told_so(make, reason):
    sale, (fact,) = domain.session_opened(make(a_sale()), "cs_1", AT)

    assert isinstance(fact, OrderUnpayable)
    assert fact.reason == reason
    assert sale.order.checkout_session_ids == []


def test_a_link_s_order_ends_with_its_page_and_another_s_stays_open():
    link = resolved()
    from_link, _ = contents.from_link(link, AT)
    api = domain.session_opened(a_sale(), "cs_1", AT)[0]

    ended, facts = domain.session_ended(from_link, link.checkout_session_id, AT, is_expired=True)
    open_, nothing = domain.session_ended(api, "cs_1", AT, is_expired=True)

    assert [type(fact) for fact in facts] == [OrderClosed]
    assert [one.type for one in ended.order.activities[-2:]] == [
        "checkout_session_expired",
        "closed",
    ]
    assert (open_.order.status, nothing) == ("open", [])


def test_an_old_page_of_a_link_s_order_does_not_close_it_under_the_new_one():
    link = resolved()
    sale, _ = domain.session_opened(contents.from_link(link, AT)[0], "cs_new", AT)

    ended, facts = domain.session_ended(sale, link.checkout_session_id, AT, is_expired=False)

    assert (ended, facts) == (sale, [])


def test_a_link_s_order_that_is_being_paid_closes_when_that_has_failed():
    link = resolved()
    sale = started(contents.from_link(link, AT)[0])

    waiting, facts = domain.session_ended(sale, link.checkout_session_id, AT, is_expired=False)
    ended, later = domain.attempt_failed(waiting, "pi_1", AT, why="declined")

    assert (waiting.order.status, facts) == ("open", [])
    assert ended.order.status == "closed"
    assert [type(fact) for fact in later] == [OrderClosed]


def test_a_paid_order_stays_paid_when_its_page_ends():
    link = resolved()
    sale = paid(contents.from_link(link, AT)[0])

    assert domain.session_ended(sale, link.checkout_session_id, AT, is_expired=True) == (sale, [])


def test_a_payment_makes_the_order_paid_to_the_cent():
    sale, (fact,) = domain.paid(started(a_sale(line(1200))), "pi_1", 1200, "cs_1", AT)

    assert isinstance(fact, OrderPaid)
    assert (sale.order.status, sale.balance, sale.live_attempt_id) == ("paid", 0, None)
    assert fact.previous["status"] == "open"
    assert history_ends_at_the_balance(sale)


def test_late_money_is_kept_and_what_was_not_due_is_told_apart():
    sale = domain.received_late(paid(a_sale(line(1200))), "pi_2", 1200, AT)

    assert (sale.order.status, sale.balance) == ("paid", 0)
    assert sale.order.net_amounts.paid_money == usd(2400)
    assert [one.type for one in sale.order.activities[-2:]] == ["payment", "adjustment"]
    assert history_ends_at_the_balance(sale)


@given(st.lists(st.sampled_from(["tip", "tip%", "none", "page", "fail"]), max_size=12))
def test_the_history_always_ends_at_the_balance(steps):
    sale = a_sale(line(1000))
    for number, step in enumerate(steps):
        match step:
            case "tip" | "tip%" | "none":
                flat = {"amount": 100 + number, "currency": "USD"}
                tips: dict[str, dict[str, Any]] = {
                    "tip": {"amount_money": flat},
                    "tip%": {"percent": 20},
                }
                msg = revising(sale, sale.order.revision, **tips.get(step, {}))
                sale, _ = contents.revised(sale, msg, AT)
            case "page":
                sale, _ = domain.session_opened(sale, f"cs_{number}", AT)
            case _:
                sale = started(sale, f"pi_{number}")
                sale, _ = domain.attempt_failed(sale, f"pi_{number}", AT, why="no")

        assert history_ends_at_the_balance(sale)
        net = sale.order.net_amounts
        assert net.total_money.amount == 1000 + net.tip_money.amount == net.balance_money.amount
