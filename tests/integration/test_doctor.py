"""`flint doctor`: what is well says so, and what is not says what it is and what to do."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import pytest

from services.doctor.examination import examine
from services.rooms import DATABASES, all_rooms, migration_folders, room_of
from shared.bus.addresses import connect_any
from shared.bus.declare import apply, vhost_of
from shared.bus.management import management
from shared.bus.topology import EVENTS, topology
from tests.conftest import FreshDatabase
from tests.support.rabbit import FreshVhost
from tests.support.shops import Shop

Check = dict[str, str]


async def examined(shop: Shop, *parts: str, **env: str) -> tuple[int, list[Check]]:
    """What the command exits with and says, with a changed environment (empty: not set)."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        for name, value in (shop.env | env).items():
            patch.setenv(name, value)
        is_well = await examine(parts, is_json=True)
    report = json.loads(output.getvalue())
    assert report["ok"] == is_well, output
    return 0 if is_well else 1, report["checks"]


def troubles(checks: list[Check], level: str = "fail") -> dict[str, str]:
    """Subject → words and cure, of every check at that level."""
    found: dict[str, str] = {}
    for one in checks:
        if one["level"] == level:
            words = f"{one['words']} → {one['cure']}"
            found[one["subject"]] = f"{found.get(one['subject'], '')}{words}\n"
    return found


async def test_a_running_shop_is_well_and_says_of_what_it_consists(rabbit_shop: Shop):
    code, output = await rabbit_shop.flint("doctor")

    assert code == 0, output
    assert not re.search(r"^FAIL", output, re.MULTILINE), output
    for name in DATABASES:
        assert re.search(rf"^  ok  database {name}: PostgreSQL \d", output, re.MULTILINE), output
    assert re.search(r"^  ok  broker orders: .*orders\.world 1$", output, re.MULTILINE), output
    assert "ok  broker topology: " in output
    assert "ok  broker alarms: none" in output
    assert "ok  clock: within 0." in output
    assert re.search(r"^doctor: 0 failed", output, re.MULTILINE), output


async def test_a_failed_check_is_the_exit_code(rabbit_shop: Shop):
    changed = rabbit_shop.env | {"FLINT_LINKS_DATABASE_URL": "postgresql://u@localhost:1/links"}

    code, output = await dataclasses.replace(rabbit_shop, env=changed).flint("doctor", "links")

    assert code == 1
    assert re.search(r"^FAIL  database links: .* → mend it", output, re.MULTILINE), output


async def test_every_complaint_comes_with_what_to_do(rabbit_shop: Shop):
    _, checks = await examined(rabbit_shop, FLINT_PUBLIC_URL="http://pay.example.com")

    complaints = [one for one in checks if one["level"] != "ok"]
    assert complaints
    assert all(one["cure"] for one in complaints), complaints
    assert "PUBLIC_URL sends buyers over http" in str(complaints)


async def test_everything_that_is_missing_misspelt_or_weak_is_a_line_of_its_own(rabbit_shop: Shop):
    code, checks = await examined(
        rabbit_shop,
        "gateway",
        FLINT_SECRET_KEY="changeme",
        FLINT_GATEWAY_AMQP_URL="",
        FLINT_GATEWAY_AMPQ_URL="amqp://mq/flint",
    )

    assert code == 1
    assert [one["words"] for one in checks] == [
        "FLINT_GATEWAY_AMPQ_URL is not a setting (misspelt?)",
        "FLINT_GATEWAY_AMQP_URL is missing",
        "FLINT_SECRET_KEY is shorter than 32 characters",
    ]


async def test_two_services_on_one_database_are_told_apart_from_two_databases(rabbit_shop: Shop):
    same = rabbit_shop.env["FLINT_ORDERS_DATABASE_URL"]

    _, checks = await examined(rabbit_shop, FLINT_LINKS_DATABASE_URL=same)

    assert "links and orders share a database" in troubles(checks)["configuration"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"path": "/nowhere"}, "there is no such database"),
        ({"netloc": "localhost:1", "query": ""}, "nobody listens there"),
        ({"netloc": "db.invalid", "query": ""}, "its host name is unknown"),
    ],
)
async def test_a_database_that_cannot_be_used_says_why_and_hides_no_other(
    rabbit_shop: Shop, change: dict[str, str], words: str
):
    parts = urlsplit(rabbit_shop.env["FLINT_LINKS_DATABASE_URL"])._replace(**change)

    code, checks = await examined(rabbit_shop, FLINT_LINKS_DATABASE_URL=parts.geturl())

    assert code == 1
    assert list(troubles(checks)) == ["database links"]
    assert words in troubles(checks)["database links"]
    assert "FLINT_LINKS_DATABASE_URL" in troubles(checks)["database links"]


async def test_a_database_that_is_behind_or_ahead_says_which_files(
    rabbit_shop: Shop, fresh_database: FreshDatabase
):
    behind = await fresh_database(*migration_folders()["links"][:1])
    ahead = await fresh_database(*migration_folders()["sandbox"])
    await _run(
        ahead, "INSERT INTO schema_migrations VALUES ('payments/9.sql', 'x', now(), '99.0.0')"
    )

    code, checks = await examined(
        rabbit_shop, FLINT_LINKS_DATABASE_URL=behind, FLINT_SANDBOX_DATABASE_URL=ahead
    )

    assert code == 1
    assert "lacks links/0001_links.sql" in troubles(checks)["database links"]
    assert "run `flint migrate`" in troubles(checks)["database links"]
    assert "newer than this flint, it already has payments/9.sql" in str(troubles(checks))


async def test_a_role_with_too_few_or_too_many_rights_is_seen(
    rabbit_shop: Shop, fresh_database: FreshDatabase
):
    dsn = await fresh_database(*migration_folders()["links"])
    await _run(dsn, "CREATE ROLE flint_doctor_test LOGIN PASSWORD 'a-long-password-of-it'")
    await _run(dsn, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO flint_doctor_test")
    parts = urlsplit(dsn)
    where = parts.netloc.rpartition("@")[2]
    login = parts._replace(netloc=f"flint_doctor_test:a-long-password-of-it@{where}").geturl()
    try:
        _, checks = await examined(rabbit_shop, FLINT_LINKS_DATABASE_URL=login)
    finally:
        await _run(dsn, "DROP OWNED BY flint_doctor_test")
        await _run(dsn, "DROP ROLE flint_doctor_test")

    assert "may not read and write " in troubles(checks)["database links"]
    assert "superuser" not in troubles(checks, "warn").get("database links", "")
    assert "may enter " in troubles(checks, "warn")["database links"]


async def test_a_broker_without_the_topology_says_how_to_get_it(
    rabbit_shop: Shop, fresh_vhost: FreshVhost
):
    empty = await fresh_vhost()

    code, checks = await examined(
        rabbit_shop, FLINT_LINKS_AMQP_URL=empty, FLINT_TOPOLOGY_AMQP_URL=empty
    )

    assert code == 1
    assert "run `flint topology apply`" in troubles(checks)["broker links"]
    assert "run `flint topology apply`" in troubles(checks)["broker topology"]
    assert "are missing" in troubles(checks)["broker topology"]


async def test_a_user_that_is_refused_and_a_broker_that_is_away_say_so(rabbit_shop: Shop):
    parts = urlsplit(rabbit_shop.env["FLINT_LINKS_AMQP_URL"])
    host = parts.netloc.rpartition("@")[2]
    wrong = parts._replace(netloc=f"{parts.username}:not-the-password-of-it@{host}").geturl()
    nobody = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:1").geturl()
    no_place = parts._replace(path="/nowhere").geturl()

    _, checks = await examined(
        rabbit_shop,
        FLINT_LINKS_AMQP_URL=wrong,
        FLINT_ORDERS_AMQP_URL=nobody,
        FLINT_SESSIONS_AMQP_URL=no_place,
    )

    assert "the broker refuses the user, its password" in troubles(checks)["broker links"]
    assert "Errno 111" in troubles(checks)["broker orders"]
    assert "or the virtual host" in troubles(checks)["broker sessions"]


async def test_what_an_operator_changed_in_the_broker_is_found(rabbit_shop: Shop):
    """A binding gone, one too many, a policy changed, a user with too many rights."""
    url, api = rabbit_shop.amqp_url, rabbit_shop.env["FLINT_TOPOLOGY_MANAGEMENT_URL"]
    vhost, user = vhost_of(url), urlsplit(rabbit_shop.env["FLINT_SESSIONS_AMQP_URL"]).username
    async with await connect_any(url, 10) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue("sessions.in", ensure=False)
        await queue.unbind(EVENTS, "order.closed")
        await queue.bind(EVENTS, "order.renamed")
        await _put_rights(api, vhost, user, configure=".*")
        await _put_policy(api, vhost, "links.in", {"max-length": 10})
        try:
            code, checks = await examined(rabbit_shop)
        finally:
            await queue.bind(EVENTS, "order.closed")
            await queue.unbind(EVENTS, "order.renamed")
            await apply(topology(all_rooms()), amqp_url=url, management_url=api)
            await _put_rights(api, vhost, user, configure="^$")
    after, mended = await examined(rabbit_shop)

    said = [f"{one['subject']}: {one['words']}" for one in checks if one["level"] != "ok"]
    assert code == 1
    assert "broker topology: the bindings sessions.in ← order.closed are missing" in said
    assert "broker topology: sessions.in ← order.renamed are bound and not handled" in said
    assert "broker topology: the policies of links.in are missing or changed" in said
    assert "broker sessions: the user may declare queues, which no service ever does" in said
    assert f"broker sessions: {user} may configure something else than its handlers need" in said
    assert (after, troubles(mended)) == (0, {})


async def test_a_queue_that_nobody_takes_from_names_the_service_to_start(
    rabbit_shop: Shop, fresh_vhost: FreshVhost
):
    empty = await fresh_vhost()
    api = rabbit_shop.env["FLINT_TOPOLOGY_MANAGEMENT_URL"]
    await apply(topology([room_of("links")]), amqp_url=empty, management_url=api)
    async with await connect_any(empty, 10) as connection:
        channel = await connection.channel()
        message = aio_pika.Message(b"{}")
        await channel.default_exchange.publish(message, "links.in.parking")

    code, checks = await examined(
        rabbit_shop, "links", FLINT_LINKS_AMQP_URL=empty, FLINT_TOPOLOGY_MANAGEMENT_URL=""
    )

    said = [f"{one['words']} → {one['cure']}" for one in checks if one["level"] == "warn"]
    assert code == 0
    assert "nobody takes from links.in, links.rpc → start `flint serve links`" in said
    assert "1 dead letters → `flint dead list` says why" in said


async def _run(dsn: str, sql: str) -> None:
    db = await asyncpg.connect(dsn, timeout=10)
    try:
        await db.execute(sql)
    finally:
        await db.close()


async def _put_rights(api: str, vhost: str, user: str | None, **changes: str) -> None:
    async with management(api) as broker:
        given = await broker.get("permissions", vhost, str(user))
        await broker.put("permissions", vhost, str(user), body={**given, **changes})


async def _put_policy(api: str, vhost: str, name: str, definition: dict[str, Any]) -> None:
    async with management(api) as broker:
        policy = await broker.get("policies", vhost, name)
        await broker.put("policies", vhost, name, body={**policy, "definition": definition})
