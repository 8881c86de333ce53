"""Buying from an installation with several replicas of everything, behind nginx."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.browser.buyer import Buyer
from tests.browser.test_purchase import (
    test_everything_works_without_scripts,
    test_three_d_secure_failed_leaves_the_page_open_for_another_card,
    test_two_tins_are_chosen_and_paid,
)
from tests.faults.crowds import Purchase, until_settled, was_the_truth
from tests.integration.test_shops import (
    test_a_declined_card_leaves_the_order_payable,
    test_a_link_is_resolved_and_its_order_paid,
)
from tests.support.selling import a_link
from tests.support.shops import Shop
from tests.support.stacks import Stack

__all__ = [  # The same sentences hold here.
    "test_a_declined_card_leaves_the_order_payable",
    "test_a_link_is_resolved_and_its_order_paid",
    "test_everything_works_without_scripts",
    "test_three_d_secure_failed_leaves_the_page_open_for_another_card",
    "test_two_tins_are_chosen_and_paid",
]
pytestmark = [pytest.mark.compose, pytest.mark.timeout(180)]
BUYERS = 200


async def test_two_hundred_buyers_at_once_all_pay_once(shop: Shop) -> None:
    link = await a_link(shop)
    crowd = [Purchase(link["payment_link_id"]) for _ in range(BUYERS)]

    await asyncio.gather(*(one.make(shop) for one in crowd))

    await until_settled(shop)
    assert await was_the_truth(shop, crowd) == {"paid": BUYERS}


async def test_the_demo_s_link_sells(stack: Stack, shop: Shop, buyer: Buyer) -> None:
    said = await stack.compose("exec", "--no-TTY", "gateway", "flint", "demo")
    link = re.search(r"^link (\S+)$", said, re.MULTILINE)
    assert link, said

    await buyer.choose(link[1])
    await buyer.pay()

    await buyer.has_receipt("$12.00")
