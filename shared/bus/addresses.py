"""Broker addresses with several hosts, written as PostgreSQL's are: `amqp://u:p@a,b:5673/flint`.

Every node of a cluster can be asked for every queue, so a client needs any one that answers.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractConnection
from yarl import URL

ONE_OF_MANY_SECONDS: Final = 3.0  # a dead node's silence must not keep us from the next
CONNECT_ERRORS: Final = (*aio_pika.exceptions.CONNECTION_EXCEPTIONS, TimeoutError)


def addresses(url: str) -> list[URL]:
    """One address per host, in the order in which they are written."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [URL(parts._replace(netloc=f"{login}{at}{host}").geturl()) for host in hosts.split(",")]


def patience_seconds(hosts: int, at_most: float) -> float:
    """How long to wait for one of so many hosts."""
    return at_most if hosts == 1 else min(at_most, ONE_OF_MANY_SECONDS)


async def connect_any(url: str, timeout_seconds: float) -> AbstractConnection:
    """A connection to the first host that answers; raises the last one's error if none does."""
    *others, last = addresses(url)
    bound = patience_seconds(1 + len(others), timeout_seconds)
    for address in others:
        try:
            return await asyncio.wait_for(aio_pika.connect(address), bound)
        except CONNECT_ERRORS:
            continue
    return await asyncio.wait_for(aio_pika.connect(last), bound)
