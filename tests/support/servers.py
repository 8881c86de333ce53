"""What every server for tests needs: a folder it can reach, and a plain no when there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

MEMORY: Final = Path("/dev/shm")
MEMORY_BYTES: Final = 4 << 30
PASSWORD: Final = "only-for-this-test-run"  # long enough for a server that is not on loopback


class NoServer(Exception):
    """One line: why there is no server to test with, and the ways to get one."""


@contextlib.contextmanager
def short_folder(purpose: str) -> Iterator[Path]:
    """Not pytest's own: its parents are closed to other users, and too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix=f"flint-{purpose}-", dir=_memory()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """Where tests keep their servers: on a disk each of their 1 500 databases costs 0.1 s more.

    A kill -9 takes nothing from it, as it takes nothing from a disk. The bench is not a test.
    """
    if "PYTEST_VERSION" not in os.environ or not MEMORY.is_dir():
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free > MEMORY_BYTES else None


def containers_are_wanted() -> bool:
    """Whether the run asks for servers in containers, as `make test-compose` does."""
    return os.environ.get("FLINT_TEST_SERVERS") == "containers"


@contextlib.contextmanager
def running(container: Any) -> Iterator[None]:
    """A container of testcontainers, started and stopped; without the image of its reaper."""
    from docker.errors import DockerException
    from testcontainers.core.config import testcontainers_config

    testcontainers_config.ryuk_disabled = True
    try:
        container.start()
    except DockerException as error:
        raise NoServer(f"No container of {container.image}: {error}") from error
    try:
        yield
    finally:
        container.stop()


def docker_answers() -> bool:
    """Asked before testcontainers is: its constructor leaks a socket when nobody answers."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(host.removeprefix("unix://"))
        return True
    return False
