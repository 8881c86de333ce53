"""A RabbitMQ for tests: the one given, a container if the run asks for it, else a private node.

All three make and drop virtual hosts the same way. Only the private node can be killed, frozen
and restarted, which is what the fault tests are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, Protocol, Self
from urllib.parse import quote, urlsplit

import aiohttp

from tests.support.rabbit_node import RabbitNode, install_rabbitmq
from tests.support.servers import (
    PASSWORD,
    NoServer,
    containers_are_wanted,
    docker_answers,
    running,
    short_folder,
)

IMAGE: Final = "rabbitmq:4-management"
GIVEN: Final = "FLINT_TEST_AMQP_URL"
GIVEN_API: Final = "FLINT_TEST_RABBITMQ_API"
BATCH: Final = 16
NO_RABBITMQ: Final = (
    f"No RabbitMQ for the tests: install rabbitmq-server, start Docker, or set {GIVEN}"
)

FreshVhost = Callable[[], Awaitable[str]]

# One call to the node instead of three programs of 0.3 s each for every test.
RENEW_VHOSTS: Final = """
    [catch rabbit_vhost:delete(V, <<"tests">>) || V <- [{old}]],
    [begin
        rabbit_vhost:add(V, <<"tests">>),
        rabbit_auth_backend_internal:set_permissions(
            <<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"tests">>)
    end || V <- [{new}]], ok.
"""


class Broker(Protocol):
    is_given: bool  # outlives the run

    @property
    def api_url(self) -> str: ...

    def url(self, vhost: str) -> str: ...

    async def renew_vhosts(self, *, drop: list[str], add: list[str]) -> None: ...


class NodeBroker:
    """The private node; `node` offers kill, pause, restart and rabbitmqctl."""

    is_given = False

    def __init__(self, node: RabbitNode) -> None:
        self.node = node

    @property
    def api_url(self) -> str:
        return self.node.api_url

    def url(self, vhost: str) -> str:
        return self.node.url(vhost)

    async def renew_vhosts(self, *, drop: list[str], add: list[str]) -> None:
        await self.node.ctl("eval", _renew_vhosts(drop, add))


class ContainedBroker:
    is_given = False

    def __init__(self, container: Any) -> None:
        self._container = container

    @property
    def api_url(self) -> str:
        host = self._container.get_container_host_ip()
        return f"http://guest:{PASSWORD}@{host}:{self._container.get_exposed_port(15672)}"

    def url(self, vhost: str) -> str:
        host = self._container.get_container_host_ip()
        port = self._container.get_exposed_port(5672)
        return f"amqp://guest:{PASSWORD}@{host}:{port}/{quote(vhost, safe='')}"

    async def renew_vhosts(self, *, drop: list[str], add: list[str]) -> None:
        argv = ["rabbitmqctl", "eval", _renew_vhosts(drop, add)]
        code, output = await asyncio.to_thread(self._container.exec, argv)
        assert code == 0, output.decode()


class GivenBroker:
    """Somebody's broker: virtual hosts through its management API, as the address's own user."""

    is_given = True

    def __init__(self, amqp_url: str, api: str | None) -> None:
        self._amqp = urlsplit(amqp_url)
        self._api = api or f"http://{self._amqp.hostname}:15672"
        self._user = self._amqp.username or "guest"
        self._password = self._amqp.password or "guest"

    @property
    def api_url(self) -> str:
        parts = urlsplit(self._api)
        return parts._replace(netloc=f"{self._user}:{self._password}@{parts.netloc}").geturl()

    def url(self, vhost: str) -> str:
        return self._amqp._replace(path=f"/{quote(vhost, safe='')}").geturl()

    async def renew_vhosts(self, *, drop: list[str], add: list[str]) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        headers = {"Authorization": aiohttp.encode_basic_auth(self._user, self._password)}
        async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as http:
            for vhost in drop:
                await http.delete(f"{self._api}/api/vhosts/{vhost}")
            for vhost in add:
                await http.put(f"{self._api}/api/vhosts/{vhost}", json={})
                await http.put(f"{self._api}/api/permissions/{vhost}/{self._user}", json=everything)


class Vhosts:
    """A fresh virtual host per test, made and dropped in batches."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._names = _names(secrets.token_hex(3))
        self._free: list[str] = []
        self._used: list[str] = []

    async def take(self) -> str:
        if not self._free:
            self._free = list(itertools.islice(self._names, BATCH))
            used, self._used = self._used, []
            await self._broker.renew_vhosts(drop=used, add=self._free)
        return self._free.pop()

    @contextlib.contextmanager
    def lend(self) -> Iterator[FreshVhost]:
        taken: list[str] = []

        async def take() -> str:
            taken.append(await self.take())
            return self._broker.url(taken[-1])

        try:
            yield take
        finally:
            self._used += taken

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._broker.is_given and (self._used or self._free):
            await self._broker.renew_vhosts(drop=self._used + self._free, add=[])


@contextlib.asynccontextmanager
async def running_rabbit() -> AsyncIterator[Broker]:
    async with contextlib.AsyncExitStack() as stack:
        if given := os.environ.get(GIVEN):
            yield GivenBroker(given, os.environ.get(GIVEN_API))
        elif containers_are_wanted() or not await install_rabbitmq():
            yield _contained(stack)
        else:
            yield NodeBroker(await stack.enter_async_context(private_node()))


@contextlib.asynccontextmanager
async def private_node() -> AsyncIterator[RabbitNode]:
    """A node of its own, for tests that break it."""
    if not await install_rabbitmq():
        raise NoServer(NO_RABBITMQ)
    with short_folder("rabbit") as folder:
        node = RabbitNode(folder)
        try:
            await node.start()
            yield node
        finally:
            await node.end()


def _contained(stack: contextlib.AsyncExitStack) -> Broker:
    if not docker_answers():
        raise NoServer(NO_RABBITMQ)
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    container = DockerContainer(IMAGE).with_exposed_ports(5672, 15672)
    container.waiting_for(LogMessageWaitStrategy("Server startup complete"))
    stack.enter_context(running(container))
    code, output = container.exec(["rabbitmqctl", "change_password", "guest", PASSWORD])
    assert code == 0, output.decode()
    return ContainedBroker(container)


def _renew_vhosts(drop: list[str], add: list[str]) -> str:
    return RENEW_VHOSTS.format(old=_binaries(drop), new=_binaries(add))


def _binaries(names: list[str]) -> str:
    return ", ".join(f'<<"{name}">>' for name in names)


def _names(run: str) -> Iterator[str]:
    return (f"test-{run}-{number}" for number in itertools.count(1))
