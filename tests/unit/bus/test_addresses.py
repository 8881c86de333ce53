"""Several hosts in one broker address."""

from __future__ import annotations

import asyncio
import socket

import pytest

from shared.bus.addresses import addresses, connect_any, patience_seconds
from shared.bus.line import Line


def test_one_host_is_one_address():
    assert [str(one) for one in addresses("amqp://u:p@mq:5671/flint?ssl=1")] == [
        "amqp://u:p@mq:5671/flint?ssl=1"
    ]


def test_every_host_gets_the_same_user_password_and_virtual_host():
    assert [str(one) for one in addresses("amqp://u:p%40@a,b:5673,c/flint")] == [
        "amqp://u:p%40@a/flint",
        "amqp://u:p%40@b:5673/flint",
        "amqp://u:p%40@c/flint",
    ]


def test_one_of_many_is_waited_for_a_shorter_time_than_the_only_one():
    assert patience_seconds(1, 10.0) == 10.0
    assert patience_seconds(3, 10.0) == 3.0
    assert patience_seconds(3, 2.0) == 2.0


async def test_every_host_is_asked_before_giving_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # Bound, and nobody listens: refused at once.
        port = silent.getsockname()[1]

        with pytest.raises(OSError, match=str(port)):
            await connect_any(f"amqp://u:p@127.0.0.1:1,127.0.0.1:{port}/flint", 2.0)


async def test_a_line_turns_to_the_next_host_after_each_failure():
    heard: list[int] = []

    async def turn_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer.get_extra_info("sockname")[1])
        writer.close()

    async def set_up(_: Line) -> None:
        raise AssertionError("nobody let us in")

    servers = [await asyncio.start_server(turn_away, "127.0.0.1", 0) for _ in range(3)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    line = asyncio.create_task(Line(f"amqp://u:p@{hosts}/flint", "test", set_up).run())
    try:
        async with asyncio.timeout(10):
            while len(heard) < 4:
                await asyncio.sleep(0.01)
    finally:
        line.cancel()
        await asyncio.gather(line, return_exceptions=True)
        for server in servers:
            server.close()

    assert set(heard[:3]) == set(ports)
    assert heard[3] == heard[0]
