"""A private RabbitMQ node: own name, ports, folders and port mapper; disturbs no other node.

It keeps its data over kill and restart, and dies with this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from shared.db.child import start_child

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
# Debian's /usr/sbin/rabbitmq-server insists on the system's own user and folders; these do not.
PLACES: Final = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin")
CONFIGURATION: Final = """
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users = none
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
log.console = false
log.file.level = info
management.tcp.ip = 127.0.0.1
management.tcp.port = {api_port}
management.disable_stats = true
"""


class RabbitNode:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._api_port, self._dist_port, self._epmd_port = _free_ports(4)
        self.name = f"flint-{self.port}@localhost"
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    def url(self, vhost: str = "/") -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    @property
    def api_url(self) -> str:
        """The management API, for policies and permissions."""
        return f"http://guest:guest@127.0.0.1:{self._api_port}"

    @property
    def pid(self) -> int:
        assert self._server is not None, "the node is not running"
        return self._server.pid

    @property
    def log(self) -> str:
        return (self.folder / "log" / f"{self.name}.log").read_text(errors="replace")

    async def start(self) -> None:
        """Start, or start again on the same ports with the same data."""
        assert self._server is None, "the node is already running"
        self._write_configuration()
        if self._epmd is None:
            self._epmd = self._spawn("epmd", "-port", str(self._epmd_port))
        self._server = self._spawn("rabbitmq-server")
        deadline = time.monotonic() + START_SECONDS
        while not (await self._listens(self.port) and await self._listens(self._api_port)):
            assert self._server.poll() is None, f"RabbitMQ did not start: {self._output()}"
            assert time.monotonic() < deadline, f"RabbitMQ did not start: {self._output()}"
            await asyncio.sleep(POLL_SECONDS)

    async def end(self) -> None:
        """The node and its port mapper; its data is thrown away, so nothing has to be put away."""
        if self._server:
            await self.kill()
        if self._epmd:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    async def kill(self) -> None:
        """kill -9: no goodbye to anybody.

        RabbitMQ 3.10 loses even confirmed messages of a quorum queue declared less than a second
        before, so declare first and wait; after the start its leaders return within 3 s.
        """
        os.kill(self.pid, signal.SIGKILL)
        await self._ended()

    async def restart(self) -> None:
        if self._server:
            self._server.terminate()
            await self._ended()
        await self.start()

    def pause(self) -> None:
        """The node hangs: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def ctl(self, *arguments: str) -> str:
        """rabbitmqctl, e.g. ctl("set_disk_free_limit", "1TB"); returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            _program("rabbitmqctl"),
            "-q",
            *arguments,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, f"rabbitmqctl {arguments}: {output.decode()}"
        return output.decode()

    async def _ended(self) -> None:
        assert self._server is not None, "the node is not running"
        deadline = time.monotonic() + STOP_SECONDS
        while self._server.poll() is None:
            if time.monotonic() > deadline:
                self._server.kill()
            await asyncio.sleep(POLL_SECONDS)
        self._server = None

    @staticmethod
    async def _listens(port: int) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def _write_configuration(self) -> None:
        for name in ("home", "mnesia", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text(
            CONFIGURATION.format(port=self.port, api_port=self._api_port)
        )
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "env.conf").touch()
        cookie = self.folder / "home" / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(20))
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": ":".join((*PLACES, os.environ.get("PATH", os.defpath))),
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                # It shares its cores with what it serves: one scheduler, no busy waiting for
                # work. With two, each message costs a third more CPU (1.0 → 0.6 ms a resolve).
                "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
                " -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            # The start script then becomes the server, instead of guarding it from a shell.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.out").open("wb") as output:
            return start_child(
                [_program(program), *arguments],
                death_signal=signal.SIGKILL,
                env=self._environment(),
                cwd=self.folder,
                output=output,
            )

    def _output(self) -> str:
        return (self.folder / "rabbitmq-server.out").read_text(errors="replace")[-2000:]


async def install_rabbitmq() -> bool:
    """Whether there is a RabbitMQ to start; root on Debian gets it installed."""
    if _found("rabbitmq-server"):
        return True
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in ("update -qq", "install -qq -y --no-install-recommends rabbitmq-server"):
        process = await asyncio.create_subprocess_exec(
            "apt-get", *arguments.split(), env=environment, stdout=subprocess.DEVNULL
        )
        await process.wait()
    return _found("rabbitmq-server") is not None


def _program(name: str) -> str:
    found = _found(name)
    assert found is not None, f"{name} is not installed"
    return found


def _found(name: str) -> str | None:
    return shutil.which(name, path=":".join((*PLACES, os.environ.get("PATH", ""), "/usr/sbin")))


def _free_ports(count: int) -> list[int]:
    """Below the range the kernel hands out: nobody may take them while the node is down."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randrange(20_000, 32_000)
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
    return ports
