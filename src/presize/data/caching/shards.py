"""Shards of the cache on a disk: files of pixels that one process writes and many read.

A shard is two files: `<name>.bin` holds pixels, `<name>.idx` says where which picture is. Pixels
are written by `pwrite`, never through a mapping: where the disk is full, that raises an error,
and writing to a mapping would end the process.
"""

import contextlib
import errno
import mmap
import os
import re
import threading
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from presize.data.caching.shard_index import HEADER, Place, packed
from presize.data.modes import Bytes

# Pixels begin at multiples of this, so that vector instructions read whole lines of memory.
_ALIGNMENT = 64

# Nothing else is ever deleted in the folder of a cache, which may be any folder.
_NAME = re.compile(r"(pictures-[0-9a-f]{16}-[0-9a-f]{12})\.(?:bin|idx)")


class Found(NamedTuple):
    """A shard in a folder.

    Args:
        name: names in their order are shards in the order in which they were begun.
        size: bytes that it takes on the disk.
        used: when it was last written to, or first used by a process, in seconds.
        whole: False if one of its files is missing.
    """

    name: str
    size: int
    used: float
    whole: bool


def shards_in(folder: Path) -> list[Found]:
    """Return the shards in a folder, oldest first; none if there is no such folder."""
    files: dict[str, list[os.stat_result]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if named := _NAME.fullmatch(entry.name):
                    try:
                        stat = entry.stat()
                    except OSError:  # deleted just now
                        continue
                    files.setdefault(named[1], []).append(stat)
    except OSError:
        return []
    return [
        Found(
            name,
            sum(_on_disk(stat) for stat in stats),
            max(stat.st_mtime for stat in stats),
            len(stats) == 2,
        )
        for name, stats in sorted(files.items())
    ]


def _on_disk(stat: os.stat_result) -> int:
    """Return the bytes that a file takes, which may be fewer than its length."""
    blocks: int | None = getattr(stat, "st_blocks", None)
    return stat.st_size if blocks is None else min(stat.st_size, blocks * 512)


def delete_shard(folder: Path, name: str) -> bool:
    """Delete a shard and say whether that worked; mappings of it stay what they are.

    On Windows a shard that some process has mapped cannot be deleted, and stays whole.
    """
    try:
        # Pixels first: if this process ends here, what is left is small, and stands for nothing.
        (folder / f"{name}.bin").unlink(missing_ok=True)
        (folder / f"{name}.idx").unlink(missing_ok=True)
    except OSError:
        return False
    return True


def mapped(folder: Path, name: str) -> mmap.mmap:
    """Return the pixels of a shard, mapped for reading, and note that it is in use.

    Raises:
        OSError: the file is not there, or cannot be mapped.
        ValueError: it is empty.
    """
    with (folder / f"{name}.bin").open("rb") as file:
        made = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with contextlib.suppress(OSError):  # a folder that may only be read
        os.utime(folder / f"{name}.idx")
    return made


class ShardWriter:
    """A shard that is being written; several threads may write pixels at the same time.

    The file of pixels has its whole size from the start, without taking room on the disk, so that
    readers map it once. `reserve`, `finish` and `retire` are called by one thread at a time.

    Args:
        folder: where it is made.
        capacity: bytes of pixels that go into it.

    Raises:
        OSError: files cannot be made.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.capacity = capacity
        self.name = f"pictures-{time.time_ns():016x}-{uuid.uuid4().hex[:12]}"
        self.end = 0
        self._under_way, self._retired = 0, False
        self._process, self._lock = os.getpid(), threading.Lock()
        with contextlib.ExitStack() as undo:
            undo.callback(delete_shard, folder, self.name)
            self._pixels = undo.enter_context((folder / f"{self.name}.bin").open("xb", buffering=0))
            self._pixels.truncate(capacity)
            self._index = undo.enter_context((folder / f"{self.name}.idx").open("xb", buffering=0))
            self._append(HEADER)
            undo.pop_all()

    def reserve(self, size: int) -> int | None:
        """Return the offset of room for `size` bytes; None if there is not enough."""
        start = -(-self.end // _ALIGNMENT) * _ALIGNMENT
        if start + size > self.capacity:
            return None
        self.end = start + size
        self._under_way += 1
        return start

    def write(self, pixels: Bytes, offset: int) -> None:
        """Write contiguous pixels at an offset that was reserved for them.

        Raises:
            OSError: the disk is full, or fails.
        """
        left = pixels.reshape(-1).data
        while left:
            written = self._write_some(left, offset)
            left, offset = left[written:], offset + written

    def record(self, name: bytes, place: Place) -> None:
        """Let readers find a picture, whose pixels are written, by its digest.

        Raises:
            OSError: the disk is full, or fails.
        """
        self._append(packed(name, place))

    def finish(self) -> None:
        """Say that what was reserved is written, or never will be."""
        self._under_way -= 1
        if self._retired:
            self.retire()

    def retire(self) -> None:
        """Give back the files, and the room that was not needed, once all is written.

        Not before: the number of a closed file may by then be that of another one.
        """
        self._retired = True
        if self._under_way or self._pixels.closed:
            return
        # A forked process has this object, too, but does not know how much came in since.
        if self._process == os.getpid():
            with contextlib.suppress(OSError):  # Windows does not shorten files that are mapped
                self._pixels.truncate(self.end)
        self._pixels.close()
        self._index.close()

    def _append(self, record: bytes) -> None:
        start = self._index.tell()
        if self._index.write(record) != len(record):
            # Records have one length, by which those after it are found: the next goes here.
            self._index.seek(start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write_some(self, data: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._pixels.fileno(), data, offset)
        with self._lock:
            self._pixels.seek(offset)
            return self._pixels.write(data) or 0
