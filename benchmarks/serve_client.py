"""For the benchmarks of the server: `presize serve` as a process, and clients that cost little.

All clients live on one event loop, each with a connection of its own that stays open, and write
requests that were put together beforehand: what is measured is the server.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

BOUNDARY = "a-boundary"


def request(
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/predict",
    kind: str = "image/jpeg",
    length: int | None = None,
) -> bytes:
    """Return a request as it goes over the wire; `length` is what it says, if not the truth."""
    n = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {n}\r\n\r\n".encode() + body


def form(bodies: list[bytes]) -> bytes:
    """Return a request with several pictures."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    parts = [part.encode() + body + b"\r\n" for body in bodies]
    whole = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return request(whole, kind=f"multipart/form-data; boundary={BOUNDARY}")


class Reply(NamedTuple):
    """An answer: its status (0 where the connection ended without one) and how long it took."""

    status: int
    seconds: float


class Connection:
    """A connection that is kept open, and opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._wire: _Wire | None = None

    async def ask(self, data: bytes) -> Reply:
        """Send a request and wait for the whole answer."""
        wire = await self._opened()
        begun = time.perf_counter()
        status = await wire.ask(data)
        return Reply(status, time.perf_counter() - begun)

    async def leave(self, data: bytes, seconds: float) -> None:
        """Send something, and go away without waiting for an answer."""
        wire = await self._opened()
        wire.ask(data)
        await asyncio.sleep(seconds)
        self.close()

    def close(self) -> None:
        """End the connection at once."""
        if self._wire is not None:
            self._wire.transport.abort()
            self._wire = None

    async def _opened(self) -> "_Wire":
        if self._wire is None or self._wire.over:
            loop = asyncio.get_running_loop()
            _, self._wire = await loop.create_connection(_Wire, "127.0.0.1", self.port)
        return self._wire


class _Wire(asyncio.Protocol):
    """One connection, over which one answer at a time comes."""

    transport: asyncio.Transport
    over = False
    _answer: "asyncio.Future[int] | None" = None

    def ask(self, data: bytes) -> "asyncio.Future[int]":
        self._answer = asyncio.get_running_loop().create_future()
        self._got, self._end, self._status = bytearray(), 0, 0
        self.transport.write(data)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Put an answer together."""
        if self._answer is None:
            return  # what the server says of a connection that rested, before it closes it
        self._got += data
        if not self._end:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._got[:end]).lower()
            self._status = int(head[9:12])
            length = re.search(rb"content-length: (\d+)", head)
            self._end = end + 4 + (int(length[1]) if length else 0)
            if b"connection: close" in head:
                self.over = True
        if len(self._got) >= self._end:
            self._tell()

    def connection_lost(self, error: Exception | None) -> None:
        """Take it as an answer without a status, if one was due."""
        self.over = True
        self._tell()

    def _tell(self) -> None:
        if self.over:
            self.transport.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._status)
        self._answer = None


async def load(
    port: int, clients: int, seconds: float, ask: Callable[[Connection, int], AsyncIterator[Reply]]
) -> list[Reply]:
    """Let clients ask, each as soon as it has its answer, and return all answers."""
    found: list[Reply] = []
    end = time.perf_counter() + seconds

    async def client(i: int) -> None:
        connection = Connection(port)
        async for reply in ask(connection, i):
            found.append(reply)
            if time.perf_counter() > end:
                break
        connection.close()

    await asyncio.gather(*(client(i) for i in range(clients)))
    return found


@contextlib.contextmanager
def served(model: Path, *options: str) -> Iterator[tuple[int, int]]:
    """Run `presize serve` on a free port: (the port, the id of its process)."""
    command = [sys.executable, "-m", "presize", "serve", str(model), "--port", "0", "--quiet"]
    env = {k: v for k, v in os.environ.items() if k != "PRESIZE_TOKEN"}
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=env) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        found = re.search(r":(\d+)", line)
        if found is None:
            raise SystemExit(f"the server did not start: {line}")
        try:
            yield int(found[1]), run.pid
        finally:
            run.terminate()
            code = run.wait(60)
            print(f"the server ended with exit code {code}")


def percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("nan")
