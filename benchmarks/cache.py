"""The cache alone: how fast pictures of 500 px go in and come out, in memory and on a disk.

    python benchmarks/cache.py [FOLDER]

FOLDER is on the disk to be measured; by default the temporary folder. Prints one line of JSON with
microseconds a picture: the median of the repeats, and the least and the most. `put` is the first
epoch. `first_get` of a disk reads the pixels once, to hold them against their checksum; the disk
itself is not measured, since what was just written is still in memory. `get_used` reads every pixel
of what `get` gave. One thread.
"""

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from presize.data.caching.cache import PictureCache, picture_key
from presize.data.caching.disk_cache import DiskCache
from presize.data.caching.ram_cache import RamCache
from presize.data.reading import Decoded

PICTURES = 512
REPEATS = 15
SIZE = (375, 500, 3)


def microseconds(work: Callable[[object], object], over: Iterable[object], n: int) -> float:
    """Return the mean time of `work`, in microseconds."""
    start = time.perf_counter()
    for one in over:
        work(one)
    return (time.perf_counter() - start) / n * 1e6


def one_round(cache: PictureCache, pictures: list[Decoded], again: Callable[[], PictureCache]):
    keys = [f"{i:032x}" for i in range(len(pictures))]
    n = len(keys)
    found = {"put": microseconds(lambda i: cache.put(keys[i], pictures[i]), range(n), n)}
    cache = again()
    cache.get("none")
    found["first_get"] = microseconds(cache.get, keys, n)
    found["get"] = microseconds(cache.get, keys, n)
    found["get_used"] = microseconds(lambda key: cache.get(key).pixels.max(), keys, n)
    assert cache.info().hits == 3 * n
    cache.close()
    return found


def summary(values: list[float]) -> list[float]:
    return [round(o, 2) for o in (statistics.median(values), min(values), max(values))]


def main() -> None:
    """Print the figures."""
    rng = np.random.default_rng(0)
    limit = 4 * PICTURES * int(np.prod(SIZE))
    rounds: dict[str, list[dict[str, float]]] = {"ram": [], "disk": []}
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        file = Path(folder) / "photo.jpg"
        file.write_bytes(b"pixels")
        time.sleep(0.1)
        key = [
            microseconds(lambda _: picture_key(file, "460"), range(2000), 2000) for _ in "x" * 15
        ]
        for turn in range(REPEATS):
            pictures = [
                Decoded(rng.integers(0, 256, SIZE, np.uint8), SIZE[:2]) for _ in range(PICTURES)
            ]
            place = Path(folder) / str(turn)
            disk = DiskCache(place, limit)
            rounds["disk"].append(
                one_round(disk, pictures, lambda d=disk, p=place: d.close() or DiskCache(p, limit))
            )
            for shard in place.iterdir():
                shard.unlink()
            ram = RamCache(limit)
            rounds["ram"].append(one_round(ram, pictures, lambda r=ram: r))
    result = {
        name: {what: summary([o[what] for o in found]) for what in found[0]}
        for name, found in rounds.items()
    }
    setting = {"pictures": PICTURES, "bytes_each": int(np.prod(SIZE)), "repeats": REPEATS}
    setting |= {"unit": "us a picture: median, least, most", "machine": platform.machine()}
    print(json.dumps(setting | {"picture_key": summary(key)} | result))


if __name__ == "__main__":
    main()
