"""Between a process and its server: passes everything on, until a test says where to stop.

What is held back when the process dies was never sent, as if it had died a moment earlier. So a
crash happens at an exact point of the protocol, with no hook in the product.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import urlsplit

Direction = Literal["up", "down"]  # up: towards the server
OPENING_BYTES: Final = 4_096  # of a connection: whoever opened it has told its name by then
HELD_SECONDS: Final = 15.0


@dataclass(frozen=True, eq=False)
class Hold:
    """From the first bytes `at` on (empty: from now on) nothing passes that way any more.

    `line` picks connections by what their client said when it opened them.
    """

    direction: Direction
    line: bytes
    at: bytes
    caught: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_caught(self) -> None:
        """Wait until there was something to hold back."""
        try:
            await asyncio.wait_for(self.caught.wait(), HELD_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{self.at!r} never came by") from None


@dataclass(eq=False)
class _Connection:
    """One proxied connection: how it was opened, and what is held of it."""

    ends: dict[str, asyncio.StreamWriter]  # where bytes of a direction go
    opening: bytes = b""
    seen: dict[str, bytes] = field(default_factory=lambda: {"up": b"", "down": b""})
    held: dict[str, bytes | None] = field(default_factory=lambda: {"up": None, "down": None})

    def close(self) -> None:
        for writer in self.ends.values():
            writer.close()


class Proxy:
    """Listens on a port of its own; `upstream` is the address (URL) of the server behind it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self._holds: list[Hold] = []
        self._connections: set[_Connection] = set()
        self._pipes: set[asyncio.Task[None]] = set()
        self._is_down = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    @property
    def url(self) -> str:
        """The server's address, through here."""
        parts = urlsplit(self.upstream)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        port = self._server.sockets[0].getsockname()[1]
        return parts._replace(netloc=f"{login}127.0.0.1:{port}", query="").geturl()

    def hold(self, direction: Direction, *, line: bytes = b"", at: bytes = b"") -> Hold:
        """Hold back; what was passed on before is not taken back."""
        for connection in self._connections:
            connection.seen = {"up": b"", "down": b""}
        self._holds.append(Hold(direction, line, at))
        return self._holds[-1]

    def resume(self) -> None:
        """Pass everything on again, first what was held."""
        self._holds.clear()
        self._is_down = False
        for connection in self._connections:
            for direction, held in connection.held.items():
                connection.held[direction] = None
                if held:
                    connection.ends[direction].write(held)

    def cut(self) -> None:
        """End every connection, with what was held of it; a new one gets through."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def down(self) -> None:
        """End every connection, and let none through until `resume`."""
        self._is_down = True
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._is_down:
                raise ConnectionRefusedError
            server = urlsplit(self.upstream)
            up_reader, up_writer = await asyncio.open_connection(server.hostname, server.port)
        except OSError:
            writer.close()
            return
        connection = _Connection({"up": up_writer, "down": writer})
        self._connections.add(connection)
        for direction, source in (("up", reader), ("down", up_reader)):
            task = asyncio.create_task(self._pipe(connection, direction, source))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pipe(self, line: _Connection, direction: str, reader: asyncio.StreamReader) -> None:
        writer = line.ends[direction]
        try:
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65_536):
                    if self._is_held(line, direction, chunk):
                        line.held[direction] = (line.held[direction] or b"") + chunk
                    else:
                        writer.write(chunk)
                        await writer.drain()
        finally:  # Either end is gone: so is the other, and whatever was held back.
            self._connections.discard(line)
            line.close()

    def _is_held(self, connection: _Connection, direction: str, chunk: bytes) -> bool:
        if direction == "up" and len(connection.opening) < OPENING_BYTES:
            connection.opening += chunk
        seen = connection.seen[direction] + chunk
        connection.seen[direction] = seen[-100:]  # a mark may come in two pieces
        for hold in self._holds:
            is_here = hold.direction == direction and hold.line in connection.opening
            if is_here and hold.at in seen:
                hold.caught.set()
                connection.held[direction] = connection.held[direction] or b""
        return connection.held[direction] is not None
