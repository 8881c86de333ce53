"""What orders answers and hears about the order itself: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.orders.ordering import contents, domain, store
from services.orders.ordering.domain import Moment, Moved
from shared.bus.room import Handler, Sweep
from shared.bus.tx import Tx
from shared.contracts.base import Message
from shared.contracts.links import LinkResolved
from shared.contracts.lists import Page
from shared.contracts.orders import (
    CloseOrder,
    CreateOrder,
    GetOrder,
    ListOrders,
    Order,
    ReviseOrder,
    ShowOrder,
)
from shared.contracts.sessions import SessionAttached, SessionClosed, SessionExpired, SessionFact
from shared.errors import Unavailable


async def create(msg: CreateOrder, tx: Tx) -> Order:
    sale, facts = contents.from_params(
        msg.params, merchant_id=tx.merchant_id, mode=tx.context.mode, at=_moment(tx)
    )
    await store.add(tx, sale)
    tx.emit(*facts)
    return sale.order


async def get(msg: GetOrder, tx: Tx) -> Order:
    return (await store.find(tx, msg.order_id)).order


async def show(msg: ShowOrder, tx: Tx) -> Order:
    return (await store.find_for_buyer(tx, msg.order_id)).order


async def list_orders(msg: ListOrders, tx: Tx) -> Page[Order]:
    return await store.list_orders(tx, msg)


async def close(msg: CloseOrder, tx: Tx) -> Order:
    sale, facts = domain.close(await store.lock(tx, msg.order_id), msg.params.reason, _moment(tx))
    await store.save_life(tx, sale)
    tx.emit(*facts)
    return sale.order


async def revise(msg: ReviseOrder, tx: Tx) -> Order:
    was = await store.lock_for_buyer(tx, msg.order_id)
    sale, facts = contents.revised(was, msg, _moment(tx))
    if sale is not was:
        await store.save_contents(tx, sale)
    tx.emit(*facts)
    return sale.order


async def on_link_resolved(msg: LinkResolved, tx: Tx) -> None:
    await _open(tx, contents.from_link(msg, _moment(tx)))


async def on_session_attached(msg: SessionAttached, tx: Tx) -> None:
    if msg.quick_pay is not None:
        await _open(tx, contents.from_quick_pay(msg, _moment(tx)))
        return
    if msg.offer is not None:
        await _open(tx, contents.from_plan(msg, _moment(tx)))
        return
    was = await store.lock_if_there(tx, msg.order_id)
    if was is None:
        tx.emit(domain.unpayable(msg.order_id, msg.checkout_session_id, is_paid=False))
        return
    await _keep(tx, was, domain.session_opened(was, msg.checkout_session_id, _moment(tx)))


async def on_session_expired(msg: SessionExpired, tx: Tx) -> None:
    await _on_session_ended(msg, tx, is_expired=True)


async def on_session_closed(msg: SessionClosed, tx: Tx) -> None:
    await _on_session_ended(msg, tx, is_expired=False)


async def _on_session_ended(msg: SessionFact, tx: Tx, *, is_expired: bool) -> None:
    was = await store.lock_if_there(tx, msg.order_id)
    if was is None and msg.payment_link_id is not None:
        # Dropped, it would leave an order open for ever once `link.resolved` arrives.
        raise Unavailable(f"{msg.order_id} is not here yet")
    if was is not None:
        ended = domain.session_ended(
            was, msg.checkout_session_id, _moment(tx), is_expired=is_expired
        )
        await _keep(tx, was, ended)


async def _open(tx: Tx, moved: Moved) -> None:
    """A fact heard twice is one order."""
    sale, facts = moved
    if await store.add(tx, sale):
        tx.emit(*facts)


async def _keep(tx: Tx, was: domain.Sale, moved: Moved) -> None:
    sale, facts = moved
    if sale is not was:
        await store.save_life(tx, sale)
    tx.emit(*facts)


def _moment(tx: Tx) -> Moment:
    return Moment(tx.now, tx.new_id)


HANDLERS: Final[Mapping[type[Message], Handler]] = {
    CreateOrder: create,
    GetOrder: get,
    ShowOrder: show,
    ListOrders: list_orders,
    CloseOrder: close,
    ReviseOrder: revise,
    LinkResolved: on_link_resolved,
    SessionAttached: on_session_attached,
    SessionExpired: on_session_expired,
    SessionClosed: on_session_closed,
}
SWEEPS: Final[Sequence[Sweep]] = ()
