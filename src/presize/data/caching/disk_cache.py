"""Keeps decoded pictures in a folder, in files that are mapped into memory.

Any number of processes may use one folder, each writes shards of its own. Nothing that is read is
trusted: where a picture is was written after its pixels, with a checksum, and the pixels are held
against theirs when a process first uses them. So it does not matter at which moment a process is
killed, the disk is full or the power goes: a picture comes back as it was, or not at all.

What is not noticed: bytes that change on the disk after this process has checked them. If another
program cuts a file of the cache short while it is mapped, the system ends the process that reads
there.
"""

import functools
import mmap
import os
import shutil
import threading
import time
import weakref
import zlib
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np

from presize.data.caching.cache import CacheInfo, PictureCache
from presize.data.caching.shard_index import Place, digest, read_records
from presize.data.caching.shards import Found, ShardWriter, delete_shard, mapped, shards_in
from presize.data.modes import Bytes
from presize.data.reading import Decoded

# Each shard that is in use takes a file number, of which some systems allow a process 256.
_SHARD_BYTES = 1 << 28
_SHARDS_OF_LIMIT = 64

# So many short-lived processes may each leave a small shard before the oldest go.
_MOST_SHARDS = 512

# The folder is looked at again after so many bytes, since others write there, too: this is by how
# much each other process may exceed the limit.
_LOOK_EVERY = 32_000_000

# Seconds after which a picture that is not there is looked for among what others wrote meanwhile.
_REFRESH_EVERY = 1.0

# What a picture takes besides its pixels: its record, and the gap before it.
_OVERHEAD = 128

_open_caches: "weakref.WeakSet[DiskCache]" = weakref.WeakSet()


class _Full(Exception):
    """There is no room for a picture; says why."""


class DiskCache(PictureCache):
    """Keeps pictures on a disk, for this process, for others and for later ones.

    Where there is no room, shards that were not in use for longest are deleted, but none that this
    process uses. The folder is first looked into when a picture is asked for.

    Args:
        folder: is made if it is not there; other files in it are left alone.
        limit: the most that all shards in the folder may take, in bytes.
        spare: bytes of the disk that stay free.
        shard_bytes: size of a shard.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        limit: int,
        *,
        spare: int = 0,
        shard_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder).expanduser().absolute()
        self.limit, self.spare = limit, spare
        self.shard_bytes = shard_bytes or min(max(_SHARD_BYTES, limit // _SHARDS_OF_LIMIT), limit)
        self._lock = threading.RLock()
        self._places: dict[bytes, Place] = {}
        self._read_up_to: dict[str, int] = {}
        self._maps: dict[str, mmap.mmap] = {}
        self._written: set[str] = set()
        self._writer: ShardWriter | None = None
        self._allowance = 0
        self._refresh_at = 0.0
        self._dropped = 0
        self._note = ""
        _open_caches.add(self)

    def get(self, key: str) -> Decoded | None:
        """Return the picture put under `key`; None if it is not there, or damaged.

        Its pixels are a read-only view of the file.
        """
        name = digest(key)
        place = self._places.get(name)
        if place is None and time.monotonic() >= self._refresh_at:
            with self._lock:
                if time.monotonic() >= self._refresh_at:  # else another thread has just done it
                    self.refresh()
            place = self._places.get(name)
        picture = None if place is None else self._picture(name, place)
        self._count(hit=picture is not None)
        return picture

    def put(self, key: str, picture: Decoded) -> None:
        """Write a picture, if there is room."""
        name = digest(key)
        if self._refresh_at == 0.0:
            self.refresh()
        if self._note or name in self._places:
            return
        pixels = np.ascontiguousarray(picture.pixels)
        try:
            self._write(name, pixels, picture.full)
        except _Full as why:
            self._stop(str(why))
        except OSError as fault:
            self._stop(f"It takes no more: {fault.strerror or fault} ({self.folder}).")

    def refresh(self) -> None:
        """Learn of pictures that other processes wrote since this was last done."""
        with self._lock:
            started = time.monotonic()
            shards = {found.name for found in shards_in(self.folder) if found.whole}
            for name in sorted(shards - self._written):  # where two have a picture, the later wins
                self._read_index(name)
            self._forget_shards(self._read_up_to.keys() - shards - self._maps.keys())
            ended = time.monotonic()
            # At most a twentieth of the time goes into this, however many shards there are.
            self._refresh_at = ended + max(_REFRESH_EVERY, 20 * (ended - started))

    def info(self) -> CacheInfo:
        """Return what the folder holds, and how often that was of use."""
        with self._lock:
            self.refresh()
            return CacheInfo(
                "disk",
                pictures=len(self._places),
                bytes=sum(self._size(found) for found in shards_in(self.folder)),
                limit=self.limit,
                hits=self._hits,
                misses=self._misses,
                dropped=self._dropped,
                folder=self.folder,
                note=self._note,
            )

    def close(self) -> None:
        """Give back files and mappings; pictures that were given out stay valid."""
        with self._lock:
            if self._writer is not None:
                self._writer.retire()
            self._writer = None
            self._maps, self._places, self._read_up_to, self._written = {}, {}, {}, set()
            self._allowance, self._refresh_at, self._note = 0, 0.0, ""

    def __reduce__(self) -> tuple[Any, ...]:
        made = functools.partial(
            DiskCache, self.folder, self.limit, spare=self.spare, shard_bytes=self.shard_bytes
        )
        return made, ()

    # ---- reading -----------------------------------------------------------------------------

    def _picture(self, name: bytes, place: Place) -> Decoded | None:
        try:
            shard = self._maps.get(place.shard)
            if shard is None:
                shard = self._map(place.shard)
            pixels: Bytes = np.ndarray(place.shape, np.uint8, shard, place.offset)
        except FileNotFoundError:
            self._drop(name, place, damaged=False)  # another process made room
            return None
        except OSError:
            return None  # too many open files, say: it may be there another time
        except (TypeError, ValueError):
            self._drop(name, place, damaged=True)  # the shard was cut short
            return None
        if place.checksum is not None:
            if zlib.adler32(pixels.data) != place.checksum:
                self._drop(name, place, damaged=True)
                return None
            with self._lock:
                if self._places.get(name) is place:
                    self._places[name] = place._replace(checksum=None)
        return Decoded(pixels, place.full)

    def _map(self, shard: str) -> mmap.mmap:
        with self._lock:
            if shard not in self._maps:
                self._maps[shard] = mapped(self.folder, shard)
            return self._maps[shard]

    def _drop(self, name: bytes, place: Place, *, damaged: bool) -> None:
        with self._lock:
            if self._places.get(name) is place:
                del self._places[name]
                self._dropped += damaged

    def _read_index(self, shard: str) -> None:
        start = self._read_up_to.get(shard, 0)
        try:
            found, end = read_records(self.folder / f"{shard}.idx", shard, start)
        except OSError:
            return  # deleted just now, or not ours to read
        self._read_up_to[shard] = end
        self._places.update(found)

    def _forget_shards(self, gone: Set[str]) -> None:
        if gone:
            self._places = {
                k: place for k, place in self._places.items() if place.shard not in gone
            }
            for name in gone:
                self._read_up_to.pop(name, None)

    # ---- writing -----------------------------------------------------------------------------

    def _write(self, name: bytes, pixels: Bytes, full: tuple[int, int]) -> None:
        height, width, channels = pixels.shape
        with self._lock:
            writer, offset = self._reserve(pixels.nbytes)
        try:
            writer.write(pixels, offset)
            checksum = zlib.adler32(pixels.data)
            place = Place(writer.name, offset, (height, width, channels), full, checksum)
            with self._lock:
                writer.record(name, place)
                self._places.setdefault(name, place)
        finally:
            with self._lock:
                writer.finish()

    def _reserve(self, size: int) -> tuple[ShardWriter, int]:
        """Return room for so many bytes; raise _Full if there is none."""
        cost = size + _OVERHEAD
        if cost > self._allowance:
            self._allowance = min(self._room_for(cost), max(cost, _LOOK_EVERY))
        self._allowance -= cost
        if self._writer is not None:
            offset = self._writer.reserve(size)
            if offset is not None:
                return self._writer, offset
            self._writer.retire()
        self._writer = writer = ShardWriter(self.folder, max(self.shard_bytes, size))
        self._written.add(writer.name)
        weakref.finalize(self, ShardWriter.retire, writer)
        return writer, writer.reserve(size) or 0

    def _room_for(self, size: int) -> int:
        """Return how many bytes may be written, if need be after old shards were deleted.

        Raises:
            _Full: they are fewer than `size`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        shards = shards_in(self.folder)
        if self._writer and self._writer.name not in {o.name for o in shards if o.whole}:
            self._writer.retire()  # another process made room by it: readers would not find it
            self._writer = None
        held, count = sum(self._size(found) for found in shards), len(shards)
        free = shutil.disk_usage(self.folder).free - self.spare
        used_here = self._written | self._maps.keys()
        idle = sorted((o for o in shards if o.name not in used_here), key=lambda o: o.used)
        gone = set()
        for found in idle:
            if min(self.limit - held, free) >= size and count < _MOST_SHARDS:
                break
            if delete_shard(self.folder, found.name):
                gone.add(found.name)
                held, free, count = held - found.size, free + found.size, count - 1
        self._forget_shards(gone)
        if self.limit - held < size:
            raise _Full("It is full and takes no more.")
        if free < size:
            raise _Full(f"It takes no more: the disk of {self.folder} is nearly full.")
        return min(self.limit - held, free)

    def _size(self, found: Found) -> int:
        """Return what a shard takes, or will once all that is under way is written."""
        writer = self._writer
        return found.size if writer is None or writer.name != found.name else writer.end

    def _stop(self, why: str) -> None:
        with self._lock:
            self._note = self._note or why

    def _begin_anew(self) -> None:
        """Leave locks and the shard that is being written to the process this one is a copy of."""
        self._lock, self._counting = threading.RLock(), threading.Lock()
        self._writer, self._written, self._allowance = None, set(), 0


def _after_fork() -> None:
    for cache in _open_caches:
        cache._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
