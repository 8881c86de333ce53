"""RabbitMQ: open to each service's user, to nothing but its own, and as the topology says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from services.doctor.finding import Finding, fail, ok, warn
from shared.bus.declare import vhost_of
from shared.bus.inspection import Holdings, Sight, holdings, look
from shared.bus.room import Room
from shared.bus.topology import (
    QueueSpec,
    in_a_cluster,
    parking_queue,
    permissions,
    queues_of,
    topology,
)
from shared.errors import Unavailable

APPLY: Final = "run `flint topology apply`"
WAITING_MAX: Final = 10_000
NAMED_MAX: Final = 3


async def look_as(room: Room, amqp_url: str) -> list[Finding]:
    """With a service's own user: its queues, and nothing more than it may."""
    subject = f"broker {room.name}"
    try:
        sight = await look(amqp_url, queues_of(room))
    except Unavailable as error:
        cure = f"mend it, or FLINT_{room.name.upper()}_AMQP_URL; services wait for it meanwhile"
        return [fail(subject, f"cannot be used: {error}", cure)]
    if sight.refused:
        words = f"{_some(sight.refused)} cannot be used: {next(iter(sight.refused.values()))}"
        return [fail(subject, words, f"{APPLY}, and give the user what `flint topology show` says")]
    return [*_of_user(subject, room, sight), *_of_queues(subject, room, sight)]


async def look_inside(
    rooms: Sequence[Room],
    users: Mapping[str, tuple[Room, str]],
    management_url: str,
    amqp_url: str,
) -> list[Finding]:
    """By the management API: whether the broker holds what the handlers imply, and its alarms.

    `users` are the services whose own address is known: their permissions are compared as well.
    """
    subject = "broker topology"
    try:
        held = await holdings(management_url, vhost_of(amqp_url))
    except Unavailable as error:
        words = f"the management API cannot be asked: {error}"
        return [warn(subject, words, "check FLINT_TOPOLOGY_MANAGEMENT_URL")]
    specs = in_a_cluster(topology(rooms)) if held.is_cluster else topology(rooms)
    missing = [*_types(specs, held), *_bindings(specs, held), *_policies(specs, held)]
    words = f"{len(specs)} queues with their bindings and policies are as the handlers say"
    findings = [*(missing or [ok(subject, words)]), *_stale(specs, held)]
    return [*findings, *_permissions(users, held), *_alarms(held)]


def _permissions(users: Mapping[str, tuple[Room, str]], held: Holdings) -> Iterator[Finding]:
    for name, (room, amqp_url) in users.items():
        user = unquote(urlsplit(amqp_url).username or "guest")
        if held.permissions is None or user not in held.permissions:
            continue
        given = held.permissions[user]
        wide = [what for what, pattern in permissions(room).items() if given[what] != pattern]
        if wide:
            words = f"{user} may {', '.join(wide)} something else than its handlers need"
            yield warn(f"broker {name}", words, "give it what `flint topology show` prints")


def _of_user(subject: str, room: Room, sight: Sight) -> Iterator[Finding]:
    if sight.may_declare:
        cure = f"take its configure right away: {permissions(room)}"
        yield warn(subject, "the user may declare queues, which no service ever does", cure)


def _of_queues(subject: str, room: Room, sight: Sight) -> Iterator[Finding]:
    lanes = [f"{room.name}.{lane}" for lane in ("in", "rpc", "world")]
    taken = {lane: sight.queues[lane] for lane in lanes if lane in sight.queues}
    idle = [lane for lane, state in taken.items() if not state.consumers]
    if idle:
        words = f"nobody takes from {', '.join(idle)}"
        yield warn(subject, words, f"start `flint serve {room.name}`")
    full = [lane for lane, state in taken.items() if state.waiting > WAITING_MAX]
    if full:
        words = f"more than {WAITING_MAX} messages wait in {', '.join(full)}"
        yield warn(subject, words, f"start more replicas of {room.name}, or see why it is slow")
    parked = [parking_queue(lane) for lane in taken]
    dead = sum(sight.queues[name].waiting for name in parked if name in sight.queues)
    if dead:
        yield warn(subject, f"{dead} dead letters", "`flint dead list` says why")
    if not idle:
        counts = ", ".join(f"{lane} {state.consumers}" for lane, state in taken.items())
        yield ok(subject, f"{len(sight.queues)} queues; consumers: {counts}")


def _types(specs: Sequence[QueueSpec], held: Holdings) -> Iterator[Finding]:
    gone = [spec.name for spec in specs if spec.name not in held.types]
    if gone:
        yield fail("broker topology", f"the queues {_some(gone)} are missing", APPLY)
    for spec in specs:
        found = held.types.get(spec.name, spec.type)
        if found not in (spec.type, "quorum"):  # a cluster's are all quorum queues
            words = f"{spec.name} is a {found} queue and should be {spec.type}"
            yield fail("broker topology", words, f"drain and delete it, then {APPLY}")


def _bindings(specs: Sequence[QueueSpec], held: Holdings) -> Iterator[Finding]:
    wanted = {(spec.name, *binding) for spec in specs for binding in spec.bindings}
    gone = sorted(
        f"{queue} ← {key}"
        for queue, exchange, key in wanted - held.bindings
        if queue in held.types and exchange
    )
    if gone:
        yield fail("broker topology", f"the bindings {_some(gone)} are missing", APPLY)


def _policies(specs: Sequence[QueueSpec], held: Holdings) -> Iterator[Finding]:
    wrong = [
        spec.name
        for spec in specs
        if spec.policy and _definition(held.policies.get(spec.name)) != spec.policy
    ]
    if wrong:
        words = f"the policies of {_some(wrong)} are missing or changed"
        yield fail("broker topology", words, APPLY)


def _definition(policy: Mapping[str, Any] | None) -> Any:
    return None if policy is None else policy["definition"]


def _stale(specs: Sequence[QueueSpec], held: Holdings) -> Iterator[Finding]:
    """Bindings of an older release: what they bring nobody handles."""
    wanted = {(spec.name, *binding) for spec in specs for binding in spec.bindings}
    ours = {spec.name for spec in specs}
    stale = sorted(
        f"{queue} ← {key}"
        for queue, exchange, key in held.bindings - wanted
        if queue in ours and exchange
    )
    if stale:
        cure = "once no older release runs, unbind them: such messages become dead letters"
        yield warn("broker topology", f"{_some(stale)} are bound and not handled", cure)


def _alarms(held: Holdings) -> Iterator[Finding]:
    if held.alarms:
        words = f"an alarm stops every publisher: {held.alarms}"
        yield fail("broker alarms", words, "free disk or memory on the node; nothing is lost")
    else:
        yield ok("broker alarms", "none for memory or disk")


def _some(names: Any) -> str:
    named = list(names)
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    return ", ".join(named[:NAMED_MAX]) + more
