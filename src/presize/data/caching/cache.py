"""Keeps decoded pictures from one epoch to the next: what every cache does, and how keys are made.

A picture is found again by the identity of its file and by a text that says what was made of it. A
file that has changed has another identity, so that what was kept of the old one is never found.
"""

import hashlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from presize.data.reading import Decoded

# When the data of a file last changed, as far as the system tells. On POSIX no program can set the
# time of the last change of an inode; on Windows `st_ctime` is the time of creation.
_CHANGED = "st_mtime_ns" if os.name == "nt" else "st_ctime_ns"

# A file that is written twice between two ticks of the clock has one time for both: 1 to 10 ms on
# Linux, 15 ms on Windows, 2 s on FAT. Times in whole seconds are taken for those of a coarse clock.
_TICK = 20_000_000
_COARSE_TICK = 2_500_000_000
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds; prints as one line.

    Args:
        kind: where pictures are kept; "off" if they are not.
        pictures: how many it holds; of a folder, those of all data sets and sizes.
        bytes: memory or disk that they take.
        limit: the most that they may take, in bytes.
        hits: how often this process asked for a picture and got it.
        misses: how often it asked in vain.
        dropped: pictures that were damaged on the disk, and so not used.
        folder: where they are, if on a disk.
        note: why the cache is off, or why it takes no more; "" if it does.
    """

    kind: Literal["ram", "disk", "off"]
    pictures: int = 0
    bytes: int = 0
    limit: int = 0
    hits: int = 0
    misses: int = 0
    dropped: int = 0
    folder: Path | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.kind == "off":
            return self.note
        where = "memory" if self.folder is None else str(self.folder)
        asked = self.hits + self.misses
        parts = [
            f"{self.pictures:,} pictures in {where}, {self.bytes / 1e9:.2f} of "
            f"{self.limit / 1e9:.4g} GB; {self.hits:,} of {asked:,} found when asked for."
        ]
        if self.dropped:
            parts.append(f"{self.dropped:,} were damaged and are not used.")
        return " ".join([*parts, self.note] if self.note else parts)

    __repr__ = __str__


class PictureCache(ABC):
    """Keeps decoded pictures; used by several threads at once.

    Pictures that it gives out are read-only, and so are those that were put into it.
    """

    on = True
    """False if it keeps nothing, so that making keys can be spared."""

    def __init__(self) -> None:
        self._hits = self._misses = 0
        self._counting = threading.Lock()

    @abstractmethod
    def get(self, key: str) -> "Decoded | None":
        """Return the picture put under `key`, exactly as it was; None if it is not there."""

    @abstractmethod
    def put(self, key: str, picture: "Decoded") -> None:
        """Keep a picture, if there is room; `picture.pixels` may no longer be written to."""

    @abstractmethod
    def info(self) -> CacheInfo:
        """Return what it holds and how often that was of use."""

    def close(self) -> None:  # noqa: B027  # only a cache on a disk has something to close
        """Give back files that are open; the cache opens them again if it is used again."""

    def read(self, path: Any, parameters: str, make: Callable[[], "Decoded"]) -> "Decoded":
        """Return the picture made of a file: from the cache, else by `make`, and then keep it.

        What was made is kept only if the file is still the same as before `make` read it.

        Args:
            path: the file; anything else has no identity, and is made each time.
            parameters: differs where what is made of the same file differs.
            make: reads the file.
        """
        key = picture_key(path, parameters) if self.on else None
        if key is None:
            return make()
        found = self.get(key)
        if found is None:
            found = make()
            if picture_key(path, parameters) == key:
                self.put(key, found)
        return found

    def _count(self, *, hit: bool) -> None:
        with self._counting:
            if hit:
                self._hits += 1
            else:
                self._misses += 1


class NoCache(PictureCache):
    """Keeps nothing, and says why.

    Args:
        note: one line.
    """

    on = False

    def __init__(self, note: str = "The cache is off.") -> None:
        super().__init__()
        self._note = note

    def get(self, key: str) -> "Decoded | None":
        """Return None."""
        return None

    def put(self, key: str, picture: "Decoded") -> None:
        """Do nothing."""

    def info(self) -> CacheInfo:
        """Return why it is off."""
        return CacheInfo("off", note=self._note)

    def __reduce__(self) -> tuple[Any, ...]:
        return NoCache, (self._note,)


def picture_key(path: Any, parameters: str) -> str | None:
    """Return what a picture is kept under: 32 letters that differ where the picture may differ.

    Of a file they stand for its absolute path, size and inode, and the times at which the data and
    the inode last changed. What goes unnoticed: data that changes on the disk without the system
    knowing, and on Windows, where an inode has no time of its own, a file changed in place to the
    same length whose time is then set back. Of bytes, which lie in a larger file, they stand for
    the content (68 us for 70 kB).

    Args:
        path: a str or PathLike, or the bytes of a picture file.
        parameters: differs where what is made of the same file differs.

    Returns:
        None if there is no such file, if `path` is no path, or if the file changed within the last
        tick of the clock (20 ms; 2.5 s where times are whole seconds): another change within that
        tick would not show.
    """
    if isinstance(path, bytes):
        return hashlib.sha256(parameters.encode() + b"\0" + path).hexdigest()[:32]
    if not isinstance(path, str):
        if not isinstance(path, os.PathLike):
            return None
        path = os.fspath(path)
    try:
        stat = os.stat(path)  # noqa: PTH116  # a third of the time that Path.stat takes
    except (OSError, ValueError):
        return None
    changed = getattr(stat, _CHANGED)
    age = abs(time.time_ns() - changed)
    if age < _COARSE_TICK and (age < _TICK or changed % _SECOND == 0):
        return None
    if not os.path.isabs(path):  # noqa: PTH117  # the same
        path = os.path.abspath(path)  # noqa: PTH100
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    identity = f"{path}\0{stat.st_size}\0{stat.st_ino}\0{stat.st_mtime_ns}\0{changed}\0{parameters}"
    # A path may hold bytes that are no text; surrogates stand for them.
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
