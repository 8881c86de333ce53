"""Bad weather: each service says what is wrong in one line, heals by itself, and loses nothing."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from services.rooms import ROLES, all_rooms, migration_folders
from shared.bus.declare import apply
from shared.bus.topology import topology
from tests.faults.crowds import Purchase, until_settled, was_the_truth
from tests.faults.scenes import Broken, a_link, value
from tests.faults.weather import (
    as_admin,
    asked_for_password,
    refused,
    says,
    sells,
    with_env,
)
from tests.support.postgres import Databases, PostgresServer
from tests.support.rabbit import FreshVhost
from tests.support.rigs import eventually
from tests.support.shops import free_port

GOOD, BAD = "the-password-that-it-has", "another-one-than-it-has"
NEWER = "INSERT INTO schema_migrations VALUES ('sessions/9999_next.sql', 'x', now(), $1)"


async def test_a_secret_that_is_missing_or_weak_stops_the_start(broken: Broken):
    missing = await refused(broken.shop, "gateway", FLINT_SECRET_KEY="", FLINT_GATEWAY_AMQP_URL="")
    weak = await refused(broken.shop, "gateway", FLINT_SECRET_KEY="changeme")
    plain = await refused(broken.shop, "gateway", FLINT_SECRET_KEY="a" * 64)

    assert missing.startswith("flint: bad configuration: ")
    assert "FLINT_SECRET_KEY is missing" in missing
    assert "FLINT_GATEWAY_AMQP_URL is missing" in missing
    assert weak.endswith("FLINT_SECRET_KEY is shorter than 32 characters")
    assert "FLINT_SECRET_KEY is hardly random" in plain


async def test_a_wrong_password_is_waited_out_at_the_start_and_while_it_runs(broken: Broken):
    shop = broken.shop
    link = await a_link(shop)
    await as_admin(broken, f"CREATE ROLE weather SUPERUSER LOGIN PASSWORD '{BAD}'")
    parts = urlsplit(shop.database_url("links"))
    dsn = parts._replace(netloc=f"weather:{GOOD}@").geturl()
    async with asked_for_password(broken, "weather"):
        await shop.stop("links")
        with_env(shop, FLINT_LINKS_DATABASE_URL=dsn)._spawn("links")
        line = await says(shop, "links", "database.unreachable", "it refuses the password")
        await as_admin(broken, f"ALTER ROLE weather PASSWORD '{GOOD}'")
        await sells(broken, link["payment_link_id"])

        # A rotation that was done on the server first.
        await as_admin(
            broken,
            f"ALTER ROLE weather PASSWORD '{BAD}'",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'weather'",
        )
        one = Purchase(link["payment_link_id"])
        buying = asyncio.create_task(one.make(shop))
        await says(shop, "links", "outbox.unreachable", "InvalidPasswordError")
        await as_admin(broken, f"ALTER ROLE weather PASSWORD '{GOOD}'")
        await buying
        await until_settled(shop)
    await shop.stop("links")
    await broken.restart("links")
    await as_admin(broken, "DROP ROLE weather")

    assert line["level"] == "warning"
    assert GOOD not in str(line)
    assert one.is_paid
    assert await broken.dead_letters() == 0


async def test_an_old_and_a_newer_schema_are_waited_out(broken: Broken):
    shop = broken.shop
    link = await a_link(shop)
    await shop.stop("sessions")
    file = "sessions/0001_sessions.sql"
    take = "DELETE FROM schema_migrations WHERE file = $1 RETURNING sha256"
    sha256 = await value(shop, "sessions", take, file)
    shop._spawn("sessions")
    behind = await says(shop, "sessions", "database.behind", "run `flint migrate`")
    give = "INSERT INTO schema_migrations VALUES ($1, $2)"
    await value(shop, "sessions", give, file, sha256)
    await sells(broken, link["payment_link_id"])

    await shop.stop("sessions")
    await value(shop, "sessions", NEWER, "99.0.0")
    shop._spawn("sessions")
    newer = await says(shop, "sessions", "database.unusable", "newer than this flint")
    one = Purchase(link["payment_link_id"])
    buying = asyncio.create_task(one.make(shop))  # its session is opened when there is somebody to
    await value(shop, "sessions", "UPDATE schema_migrations SET needs = NULL WHERE sha256 = 'x'")
    only_grew = await says(shop, "sessions", "database.newer")
    await buying
    await until_settled(shop)
    await value(shop, "sessions", "DELETE FROM schema_migrations WHERE sha256 = 'x'")

    assert behind["missing"] == [file]
    assert "sessions/9999_next.sql" in newer["reason"]
    assert only_grew["files"] == ["sessions/9999_next.sql"]
    assert one.is_paid
    await sells(broken, link["payment_link_id"])


async def test_a_broker_without_the_topology_is_waited_for(
    broken: Broken, fresh_node_vhost: FreshVhost
):
    databases = Databases(PostgresServer(broken.postgres.url("postgres")))
    empty, port = await fresh_node_vhost(), free_port()
    dsn = await databases.create(tuple(migration_folders()["links"]))
    shop = with_env(
        broken.shop,
        FLINT_LINKS_DATABASE_URL=dsn,
        FLINT_LINKS_AMQP_URL=empty,
        FLINT_INTERNAL_PORT=str(port),
    )
    shop.processes = {}
    shop.folder = broken.shop.folder / "alone"
    shop.folder.mkdir()
    try:
        shop._spawn("links")
        line = await says(shop, "links", "broker.unreachable", "run `flint topology apply`")
        assert await _readiness(port) == 503
        await apply(topology(all_rooms()), amqp_url=empty, management_url=broken.node.api_url)

        async def is_ready() -> bool:
            return await _readiness(port) == 200

        await eventually(is_ready)
    finally:
        await shop.stop()
        await databases.drop(dsn)
        await databases.close()
    assert line["level"] == "warning"


async def test_services_that_start_before_broker_and_database_wait_for_both(broken: Broken):
    shop = broken.shop
    link = await a_link(shop)
    await shop.stop()
    await broken.postgres.stop()
    await broken.node.kill()
    said = {role: len(shop.log(role)) for role in ROLES}
    for role in ROLES:
        shop._spawn(role)
    try:
        no_database = [await says(shop, role, "database.unreachable", "nobody") for role in ROLES]
    finally:
        await broken.postgres.start()
    try:
        for role in ROLES:
            await says(shop, role, "broker.unreachable", after=said[role])
    finally:
        await broken.node.start()
    await shop.ready()

    assert all("nobody listens there" in line["reason"] for line in no_database)
    await sells(broken, link["payment_link_id"])
    await shop.audit()


async def test_a_broker_whose_disk_is_full_stops_sales_and_loses_none(broken: Broken):
    shop = broken.shop
    link = await a_link(shop)
    crowd = [Purchase(link["payment_link_id"]) for _ in range(6)]

    await broken.node.ctl("set_disk_free_limit", "900GB")
    try:
        buying = [asyncio.create_task(one.make(shop)) for one in crowd]

        async def is_noticed() -> bool:
            return sum(one.silences for one in crowd) > 0

        await eventually(is_noticed, 30)
        code, said = await shop.flint("doctor")
    finally:
        await broken.node.ctl("set_disk_free_limit", "50MB")
    await asyncio.gather(*buying)
    await until_settled(shop)

    assert code == 1
    assert "FAIL  broker alarms: an alarm stops every publisher" in said
    assert await was_the_truth(shop, crowd) == {"paid": len(crowd)}
    assert await broken.dead_letters() == 0


async def _readiness(port: int) -> int:
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{port}/readyz") as answer,
        ):
            return answer.status
    except aiohttp.ClientError:
        return 0
