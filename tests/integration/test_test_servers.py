"""The servers of the tests themselves: what the fixtures promise to everybody else's tests."""

from __future__ import annotations

import asyncio

import aio_pika
import asyncpg

from tests.conftest import FreshDatabase
from tests.support.rabbit import FreshVhost
from tests.support.rabbit_node import RabbitNode


async def test_two_fresh_databases_do_not_see_each_other(fresh_database: FreshDatabase, tmp_path):
    folder = tmp_path / "room"
    folder.mkdir()
    (folder / "0001_start.sql").write_text("-- migrate:up\nCREATE TABLE tea (cups int);")

    first = await asyncpg.connect(await fresh_database(folder))
    second = await asyncpg.connect(await fresh_database(folder))
    await first.execute("INSERT INTO tea VALUES (1)")

    assert await second.fetchval("SELECT count(*) FROM tea") == 0
    await first.close()
    await second.close()


async def test_two_fresh_vhosts_do_not_see_each_other(fresh_vhost: FreshVhost):
    async with await aio_pika.connect(await fresh_vhost()) as first:
        channel = await first.channel()
        await channel.declare_queue("tea", durable=True)

    async with await aio_pika.connect(await fresh_vhost()) as second:
        channel = await second.channel()
        queue = await channel.declare_queue("coffee", durable=True)

        assert queue.declaration_result.message_count == 0


async def test_a_killed_node_comes_back_with_its_messages(
    rabbit_node: RabbitNode, fresh_node_vhost: FreshVhost
):
    url = await fresh_node_vhost()
    connection = await aio_pika.connect(url)
    channel = await connection.channel(publisher_confirms=True)
    await channel.declare_queue("tea", durable=True, arguments={"x-queue-type": "quorum"})
    await asyncio.sleep(2)  # See RabbitNode.kill.
    await channel.default_exchange.publish(
        aio_pika.Message(b"one", delivery_mode=2), routing_key="tea"
    )

    await rabbit_node.kill()
    await rabbit_node.start()

    async with await aio_pika.connect(url) as again:
        channel = await again.channel()
        queue = await channel.declare_queue("tea", passive=True)
        message = await queue.get(timeout=10)
        assert message is not None
        assert message.body == b"one"
        await message.ack()
    await connection.close()


async def test_a_paused_node_answers_again_after_resuming(
    rabbit_node: RabbitNode, fresh_node_vhost: FreshVhost
):
    url = await fresh_node_vhost()

    rabbit_node.pause()
    rabbit_node.resume()

    async with await aio_pika.connect(url) as connection:
        assert not connection.is_closed
