"""A shop that tells everything: debug lines, an internal door per process, and a collector."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.collector import Collector, collecting
from tests.support.plain_browser import Browser, a_browser, filled, settled
from tests.support.postgres import Databases
from tests.support.rabbit import Broker
from tests.support.servers import short_folder
from tests.support.shops import Environment, Shop, open_local_shop, open_rabbit_shop

START_SECONDS = 40.0


@dataclass
class Observed:
    """The shop, and whoever its spans go to."""

    shop: Shop
    collector: Collector

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The log of one process; every line has to be JSON but what `flint run` tells people."""
        whole, _, _ = self.shop.log(name).rpartition("\n")  # the last may be half written
        lines = [line for line in whole.splitlines() if not is_for_people(name, line)]
        return [json.loads(line) for line in lines]

    def all_lines(self) -> list[dict[str, Any]]:
        return [line for name in self.shop.roles() for line in self.lines(name)]

    async def scrape(self, name: str) -> str:
        """One process's metrics."""
        url = f"http://127.0.0.1:{await self._port(name)}/metrics"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def scrapes(self) -> str:
        return "\n".join([await self.scrape(name) for name in self.shop.roles()])

    async def _port(self, name: str) -> int:
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = [
                line["port"] for line in self.lines(name) if line["event"] == "internal.listening"
            ]
            if found:
                return int(found[-1])
            assert time.monotonic() < deadline, f"{name} opens no internal door"
            await asyncio.sleep(0.1)

    async def purchase(self, link_url: str, traceparent: str) -> str:
        """A buyer from the link to the receipt, in one trace; the checkout session's id."""
        async with a_browser(self.shop) as browser:
            return await bought(browser, link_url, traceparent)


async def bought(browser: Browser, link_url: str, traceparent: str) -> str:
    page = await browser.get(link_url, traceparent=traceparent)
    form = {"resolution_context": page.field("resolution_context")}
    answer = await browser.post(link_url, form, traceparent=traceparent)
    assert answer.status == 303, answer.text
    path = answer.location
    page = await browser.get(path, traceparent=traceparent)
    answer = await browser.post(f"{path}/pay", filled(page), traceparent=traceparent)
    assert answer.status == 303, answer.text
    assert (await settled(browser, path))["status"] == "paid"
    return path.removeprefix("/c/")


def is_for_people(name: str, line: str) -> bool:
    """`flint run` greets on the same terminal; a service says nothing but its log."""
    return name == "run" and not line.startswith("{")


@asynccontextmanager
async def observed_local() -> AsyncIterator[Observed]:
    async with collecting() as collector:
        with short_folder("observed") as folder:
            async with open_local_shop(folder, **_variables(collector)) as shop:
                yield Observed(shop, collector)


@asynccontextmanager
async def observed_rabbit(
    databases: Databases, broker: Broker, amqp_url: str
) -> AsyncIterator[Observed]:
    async with collecting() as collector:

        async def tell_all(env: Environment) -> Environment:
            return env | _variables(collector)

        with short_folder("observed") as folder:
            opened = open_rabbit_shop(folder, databases, broker, amqp_url, reroute=tell_all)
            async with opened as shop:
                yield Observed(shop, collector)


def _variables(collector: Collector) -> dict[str, str]:
    return {
        "FLINT_LOG_LEVEL": "debug",
        "FLINT_INTERNAL_PORT": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
