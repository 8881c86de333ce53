"""What every server for tests needs: a folder it can reach, and a plain no when there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path


class NoServer(Exception):
    """One line: why there is no server to test with, and the ways to get one."""


@contextlib.contextmanager
def short_folder(purpose: str) -> Iterator[Path]:
    """Not pytest's own: its parents are closed to other users, and too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix=f"flint-{purpose}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def docker_answers() -> bool:
    """Asked before testcontainers is: its constructor leaks a socket when nobody answers."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(host.removeprefix("unix://"))
        return True
    return False
