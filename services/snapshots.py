"""`flint snapshot`: a moment of all databases from which nothing is missing.

What RabbitMQ holds is not copied, so a copy of the databases has to hold everything that was said
and not yet heard by all:

1. From now on no outbox lets go of what it sent (`outbox.KEEP_SENT_KEY`). Whatever is published
   from here on is still in the copy, and is published once more after a restore; who had handled
   it drops it by its inbox.
2. What was published before is in the broker, or in a handler. So each queue has to be seen empty
   once, the retry queues stay empty, and then as much time passes as a message can be held.
3. For an instant nobody can say anything: outbox and inbox of all services are closed together,
   and a snapshot is taken of each database. What one service knows from another was therefore
   said before, and is in the other's copy too.

The provider of test mode is cut last, as a real one would be: it may know more than orders does,
never less, and orders asks it by the attempt's own key.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from services.installed import databases
from services.rooms import DATABASES, ROLES, all_rooms
from shared.bus.consumer import DATABASE_WAIT_SECONDS, HANDLER_SECONDS
from shared.bus.inspection import watching
from shared.bus.outbox import KEEP_SENT_KEY
from shared.bus.topology import QueueSpec, topology
from shared.config import ConfigurationError, Settings
from shared.db.cut import cut, held_locks
from shared.errors import Unavailable

# The longest that a message can be in a service's hands: held for its database, then handled.
SETTLE_SECONDS: Final = HANDLER_SECONDS + DATABASE_WAIT_SECONDS + 5.0
LOOK_SECONDS: Final = 0.5
CLOSED: Final = dict.fromkeys(ROLES, ("inbox", "outbox"))


async def hold_snapshots(
    settings: Settings, settle_seconds: float, patience_seconds: float
) -> None:
    """Print `database snapshot` per line, then hold them until standard input ends."""
    async with databases(settings) as dsns, AsyncExitStack() as stack:
        ordered = {name: dsns[name] for name in DATABASES}
        async with held_locks([dsns[role] for role in ROLES], KEEP_SENT_KEY):
            try:
                async with asyncio.timeout(patience_seconds):
                    await _until_heard(settings, settle_seconds)
            except TimeoutError:
                words = f"the queues were not calm in {patience_seconds:.0f} s: see `flint doctor`"
                raise Unavailable(words) from None
            moment = await stack.enter_async_context(cut(ordered, CLOSED))
        _tell(f"writers waited {moment.paused_seconds * 1000:.0f} ms")
        for name, snapshot in moment.snapshots.items():
            sys.stdout.write(f"{name} {snapshot}\n")
        sys.stdout.flush()
        await _input_ends()


class Calm:
    """Whether everything that was published before the first look has been heard by now."""

    def __init__(self, specs: Sequence[QueueSpec], settle_seconds: float) -> None:
        names = {spec.name for spec in specs}
        self.delayed = {name for name in names if ".retry." in name}
        self.taken = {name for name in names if name.endswith((".in", ".world"))}
        self._settle_seconds = settle_seconds
        self._unseen = set(self.taken)  # queues that have not been seen empty yet
        self._since: float | None = None

    def see(self, depths: Mapping[str, int], now: float) -> bool:
        """One look, at a moment of any steady clock."""
        if any(depths[name] for name in self.delayed):  # it will come back to its queue
            self._unseen, self._since = set(self.taken), None
            return False
        self._unseen -= {name for name in self.taken if depths[name] == 0}
        if self._unseen:
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= self._settle_seconds


async def _until_heard(settings: Settings, settle_seconds: float) -> None:
    if settings.links_database_url is None:  # `flint run`: no broker holds anything
        return
    if settings.topology_amqp_url is None:
        raise ConfigurationError("bad configuration: FLINT_TOPOLOGY_AMQP_URL is missing")
    specs = topology(all_rooms())
    calm = Calm(specs, settle_seconds)
    amqp_url = settings.secret("topology_amqp_url")
    async with watching(amqp_url, sorted(calm.taken | calm.delayed)) as depths:
        while not calm.see(await depths(), time.monotonic()):
            await asyncio.sleep(LOOK_SECONDS)
    async with watching(amqp_url, [s.name for s in specs if s.name.endswith(".parking")]) as depths:
        if dead := sum((await depths()).values()):
            _tell(f"{dead} dead letters stay in the broker and are in no copy: `flint dead list`")


async def _input_ends() -> None:
    """Until whoever started us closes our standard input; a thread, for it may be anything."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def read() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    await ended.wait()


def _tell(words: str) -> None:
    sys.stderr.write(f"flint: {words}\n")
