"""What containers may not do: reach another service's tables and queues, be reached, be root."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import aiohttp
import asyncpg
import pytest

from services.rooms import DATABASES, ROLES, all_rooms
from shared.bus.topology import topology
from tests.compose.conftest import REPLICAS
from tests.support.stacks import IMAGE, Stack, run

pytestmark = [pytest.mark.compose, pytest.mark.timeout(180)]
OUR_USER = "10001:10001"
IMAGE_BYTES_MAX = 250_000_000


def database_url(stack: Stack, name: str) -> str:
    return stack.url("operator", f"FLINT_{name.upper()}_DATABASE_URL")


@pytest.mark.parametrize("role", DATABASES)
async def test_a_service_s_role_is_refused_by_every_other_database(stack: Stack, role: str) -> None:
    login = urlsplit(database_url(stack, role)).netloc
    own = await asyncpg.connect(database_url(stack, role), timeout=10)
    assert await own.fetchval("SELECT count(*) FROM schema_migrations") > 0
    assert not await own.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    await own.close()

    for other in set(DATABASES) - {role}:
        foreign = urlsplit(database_url(stack, other))._replace(netloc=login).geturl()
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="CONNECT privilege"):
            await asyncpg.connect(foreign, timeout=10)


@pytest.mark.parametrize("role", ROLES)
async def test_a_service_s_user_takes_from_its_own_queues_alone(stack: Stack, role: str) -> None:
    names = [spec.name for spec in topology(all_rooms())]
    own = [name for name in names if name.startswith(f"{role}.")]
    async with await aio_pika.connect(stack.shop.env[f"FLINT_{role.upper()}_AMQP_URL"]) as line:
        for name in names:
            assert await is_refused(line, "get", name) == (name not in own), name


@pytest.mark.parametrize("role", ROLES)
async def test_a_service_s_user_declares_binds_and_deletes_nothing(stack: Stack, role: str) -> None:
    async with await aio_pika.connect(stack.shop.env[f"FLINT_{role.upper()}_AMQP_URL"]) as line:
        for move in ("declare", "bind", "delete", "purge"):
            name = "mine" if move == "declare" else f"{role}.in"
            assert await is_refused(line, move, name) == (move != "purge"), move


async def is_refused(line: aio_pika.abc.AbstractConnection, move: str, name: str) -> bool:
    """Whether the broker closes the channel over one move on one queue."""
    channel = await line.channel()
    queue = await channel.get_queue(name, ensure=False)
    try:
        match move:
            case "get":
                message = await queue.get(fail=False, timeout=10)
                if message is not None:
                    await message.nack(requeue=True)
            case "declare":
                await channel.declare_queue(name, durable=True, timeout=10)
            case "bind":
                await queue.bind("flint.events", "order.paid", timeout=10)
            case "delete":
                await queue.delete(timeout=10)
            case "purge":  # Reading its own queue empty is no more than taking from it.
                await queue.purge(timeout=10)
    except aio_pika.exceptions.ChannelClosed as error:
        return "ACCESS_REFUSED" in str(error)
    await channel.close()
    return False


async def test_the_doctor_finds_everything_as_it_has_to_be(stack: Stack) -> None:
    """It would exit with 1 otherwise, which `operator` shows."""
    assert "checks are well" in await stack.operator("doctor")


async def test_nobody_has_a_well_known_password(stack: Stack) -> None:
    broker = urlsplit(stack.shop.amqp_url)
    guest = broker._replace(netloc=f"guest:guest@{broker.hostname}").geturl()
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        await aio_pika.connect(guest, timeout=10)
    database = urlsplit(database_url(stack, "links"))
    for login in ("postgres:postgres", "postgres:", "flint_links:flint_links"):
        wrong = database._replace(netloc=f"{login}@{database.hostname}").geturl()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(wrong, timeout=10)


async def test_only_nginx_is_published_and_the_inside_has_no_way_out(stack: Stack) -> None:
    found = await inspected(stack)
    published = {name for name, one in found.items() if one["HostConfig"]["PortBindings"]}
    networks = {name: set(one["NetworkSettings"]["Networks"]) for name, one in found.items()}
    inside = networks["postgres"]

    assert published == {"nginx"}
    assert {name for name, joined in networks.items() if joined != inside} == {"nginx", "gateway"}
    assert inside.isdisjoint(networks["nginx"])
    (network,) = json.loads(await run(["docker", "network", "inspect", *inside], stack.env))
    assert network["Internal"]


async def test_probes_are_not_shown_to_buyers(stack: Stack) -> None:
    async with aiohttp.ClientSession(stack.shop.url) as http:
        for path in ("/livez", "/readyz", "/metrics"):
            async with http.get(path) as answer:
                assert answer.status == 404, path


async def test_our_containers_are_bounded_and_may_do_nothing_but_their_work(stack: Stack) -> None:
    found = await inspected(stack)
    for name in (*REPLICAS, "nginx"):
        one = found[name]
        host = one["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
    for role in REPLICAS:
        assert found[role]["Config"]["User"] == OUR_USER
        assert found[role]["Config"]["StopTimeout"] == 40
    for name, one in found.items():
        assert one["HostConfig"]["Memory"] > 0, name
        assert one["HostConfig"]["PidsLimit"] > 0, name
        assert one["HostConfig"]["LogConfig"]["Config"]["max-size"], name


async def test_the_image_is_small_and_builds_nothing(stack: Stack) -> None:
    (image,) = json.loads(await run(["docker", "image", "inspect", IMAGE], stack.env))
    assert image["Size"] < IMAGE_BYTES_MAX
    assert image["Config"]["User"] == OUR_USER
    tools = "for tool in gcc cc make uv git; do command -v $tool; done; true"
    argv = ["docker", "run", "--rm", "--entrypoint", "sh", IMAGE, "-c", tools]
    assert await run(argv, stack.env) == ""


async def test_no_secret_is_in_an_environment_or_in_a_command(stack: Stack) -> None:
    shown = json.dumps(await inspected(stack))
    values = [file.read_text() for file in (stack.secrets / "values").iterdir()]
    assert len(values) == len(set(values)) >= 12
    assert [value for value in values if value in shown] == []


async def test_each_container_sees_its_own_secrets_alone(stack: Stack) -> None:
    seen = {}
    for role in ROLES:
        (container, *_) = await stack.containers(role)
        listed = await run(["docker", "exec", container, "ls", "/run/secrets"], stack.env)
        seen[role] = set(listed.split())
    for one, other in itertools.combinations(ROLES, 2):
        assert seen[one] & seen[other] <= {"flint_sandbox_database_url"}
    assert stack.secrets.stat().st_mode & 0o777 == 0o700


async def inspected(stack: Stack) -> dict[str, Any]:
    """What Docker knows of one running container of each service."""
    ids = (await stack.compose("ps", "--quiet")).split()
    found = json.loads(await run(["docker", "inspect", *ids], stack.env))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}
