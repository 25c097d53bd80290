"""The server under ten minutes' mixed load: what it answers, how fast, and what memory it takes.

    python benchmarks/serve_soak.py PHOTOS [--minutes 10] [--clients 16] [--model MODEL]

Of the requests two thirds are photos, one or several, some with heat maps; the others are wrong in
a way that is drawn: no picture, a cut one, one of 3,600 megapixels that is 60 bytes long, a body
that is too large or says so, a form with thousands of parts, no HTTP at all; and clients that send
slowly or go away. Every second the memory of the server's process is noted. Ends with exit code 1
if one answer was 500, if photos were refused, or if memory grew by more than 3 % from the middle of
the time to its end: it grows in steps while the allocator meets larger pictures, and then stays.
"""

import argparse
import asyncio
import random
import statistics
import struct
import sys
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path as AnyPath

import psutil
from serve_client import BOUNDARY, Connection, Reply, form, load, percentile, request, served
from serve_load import model_file

from presize.data.items import get_image_files

MAX_BODY = 4_000_000
GOOD = {"photo", "several photos", "photo with heat map", "page", "model", "metrics"}


def bomb(side: int) -> bytes:
    """Return a PNG that says it is so large, and holds hardly a row."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    made = [
        struct.pack(">I", len(data)) + name + data + zlib.crc32(name + data).to_bytes(4)
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def kinds(photos: list[bytes], draw: random.Random) -> dict[str, tuple[float, Callable[[], bytes]]]:
    """Return what is asked: how often, and how a request is made."""

    def photo() -> bytes:
        return draw.choice(photos)

    def parts() -> bytes:
        part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\n\r\n'
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return request(part.encode() * 5000, kind=kind)

    return {
        "photo": (100, lambda: request(photo())),
        "several photos": (15, lambda: form([photo() for _ in range(draw.randint(2, 6))])),
        "photo with heat map": (5, lambda: request(photo(), path="/predict?heat_map=true&top=0")),
        "page": (5, lambda: request(method="GET", path="/")),
        "model": (3, lambda: request(method="GET", path="/model")),
        "metrics": (3, lambda: request(method="GET", path="/metrics")),
        "no picture": (8, lambda: request(draw.randbytes(draw.randint(1, 5000)))),
        "cut photo": (8, lambda: request((p := photo())[: draw.randint(1, len(p) - 1)])),
        "changed photo": (6, lambda: request(changed(photo(), draw))),
        "too many pixels": (6, lambda: request(bomb(60_000))),
        "too large": (4, lambda: request(bytes(MAX_BODY + 1))),
        "far too large": (4, lambda: request(b"x" * 1000, length=10**11)),
        "other kind": (4, lambda: request(photo(), kind="text/plain")),
        "bad parameter": (4, lambda: request(photo(), path="/predict?top=many")),
        "bad form": (4, lambda: form([photo()])[:-9] + b"_" * 9),
        "many parts": (3, parts),
        "other address": (4, lambda: request(method="GET", path="/admin.php?a=../../etc/passwd")),
        "no HTTP": (3, lambda: draw.randbytes(200) + b"\r\n\r\n"),
    }


def changed(photo: bytes, draw: random.Random) -> bytes:
    """Return a photo with some of its bytes changed."""
    data = bytearray(photo)
    for _ in range(20):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


class Memory(threading.Thread):
    """Notes the memory of a process every second, in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.over = psutil.Process(pid), threading.Event()
        self.megabytes: list[float] = []

    def run(self) -> None:
        """Note until the end."""
        while not self.over.wait(1):
            self.megabytes.append(self.process.memory_info().rss / 1e6)

    def growth(self) -> float:
        """Return by which part it grew from the middle fifth of the time to the last."""
        fifth = max(len(self.megabytes) // 5, 1)
        middle = statistics.median(self.megabytes[2 * fifth : 3 * fifth] or self.megabytes)
        return statistics.median(self.megabytes[-fifth:]) / middle - 1


def run(port: int, photos: list[bytes], clients: int, seconds: float) -> dict[str, list[Reply]]:
    """Let clients ask what they draw; return all answers by the kind of request."""
    found: dict[str, list[Reply]] = {}

    async def ask(connection: Connection, i: int) -> AsyncIterator[Reply]:
        draw = random.Random(i)
        asked = kinds(photos, draw)
        weights = [weight for weight, _ in asked.values()]
        while True:
            if draw.random() < 0.04:
                await connection.leave(request(draw.choice(photos)), draw.random() / 20)
                reply = Reply(0, 0.0)
                found.setdefault("goes away", []).append(reply)
            else:
                kind = draw.choices(list(asked), weights)[0]
                reply = await connection.ask(asked[kind][1]())
                found.setdefault(kind, []).append(reply)
            yield reply

    asyncio.run(load(port, clients, seconds, ask))
    return found


def table(found: dict[str, list[Reply]]) -> None:
    """Print what was answered to what."""
    print("\n| request | n | answers | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for kind, replies in found.items():
        counts = sorted(Counter(reply.status for reply in replies).items())
        told = ", ".join(f"{n} x {status or 'none'}" for status, n in counts)
        times = [reply.seconds * 1000 for reply in replies]
        print(
            f"| {kind} | {len(replies)} | {told} | {percentile(times, 0.5):.0f} | "
            f"{percentile(times, 0.99):.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=AnyPath)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", type=AnyPath, help="A model file; else an untrained one.")
    parser.add_argument("--arch", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--clients", type=int, default=16)
    told = parser.parse_args()
    photos = [file.read_bytes() for file in list(get_image_files(told.photos))[:200]]
    with tempfile.TemporaryDirectory() as folder:
        model = told.model or model_file(told.photos, told.arch, told.size, AnyPath(folder))
        options = ("--max-body", str(MAX_BODY / 1e6))
        with served(model, *options) as (port, pid):
            memory = Memory(pid)
            memory.start()
            found = run(port, photos, told.clients, told.minutes * 60)
            memory.over.set()
            memory.join()
    table(found)
    everything = [reply for replies in found.values() for reply in replies]
    statuses = Counter(reply.status for reply in everything)
    rss = memory.megabytes
    print(
        f"\n{len(everything)} requests in {told.minutes:g} minutes: {statuses[500]} x 500. Memory "
        f"of the server: {rss[0]:.0f} MB at first, {max(rss):.0f} at most, {rss[-1]:.0f} at last; "
        f"{memory.growth():+.1%} from the middle to the end."
    )
    refused = [r.status for kind in GOOD for r in found.get(kind, []) if r.status != 200]
    if statuses[500] or memory.growth() > 0.03 or refused:
        sys.exit(f"NOT as it should be: {statuses[500]} x 500, good requests refused: {refused}")


if __name__ == "__main__":
    main()
