"""Keeps decoded pictures in the memory of this process."""

from typing import TYPE_CHECKING, Any

import numpy as np

from presize.data.caching.cache import CacheInfo, NoCache, PictureCache
from presize.data.caching.memory import available_memory

if TYPE_CHECKING:
    from presize.data.reading import Decoded

# How much may come in before it is asked again whether memory runs short: asking takes 0.1 ms.
_LOOK_EVERY = 64_000_000
_MOST_SPARE = 512_000_000


class RamCache(PictureCache):
    """Keeps pictures in memory until it is full; none is ever replaced by another.

    In the epochs of a training each picture is asked for equally often, so that throwing out one
    for another wins nothing.

    Args:
        limit: the most that pictures may take, in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self._pictures: dict[str, Decoded] = {}
        self._bytes = self._looked_at = 0
        self._note = ""
        # Other programs need memory, too, and more than was known when the limit was set.
        free = available_memory()
        self._spare = 0 if free is None else min(_MOST_SPARE, free // 8)

    def get(self, key: str) -> "Decoded | None":
        """Return the picture put under `key`; None if it is not there."""
        found = self._pictures.get(key)
        self._count(hit=found is not None)
        return found

    def put(self, key: str, picture: "Decoded") -> None:
        """Keep a picture, if there is room; without a copy if its pixels are an array of its own.

        The array becomes read-only.
        """
        if self._note or key in self._pictures:
            return
        try:
            kept = _own(picture)
        except MemoryError:
            self._note = "It takes no more, because there is no memory left."
            return
        size = kept.pixels.nbytes
        with self._counting:
            if self._has_room(size) and self._pictures.setdefault(key, kept) is kept:
                self._bytes += size

    def info(self) -> CacheInfo:
        """Return what it holds and how often that was of use."""
        with self._counting:
            return CacheInfo(
                "ram",
                pictures=len(self._pictures),
                bytes=self._bytes,
                limit=self.limit,
                hits=self._hits,
                misses=self._misses,
                note=self._note,
            )

    def _has_room(self, size: int) -> bool:
        if self._bytes + size > self.limit:
            self._note = "It is full and takes no more."
            return False
        if self._bytes >= self._looked_at + _LOOK_EVERY:
            self._looked_at = self._bytes
            free = available_memory()
            if free is not None and free < self._spare:
                self._note = f"It takes no more: only {free / 1e9:.1f} GB of memory are available."
                return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy for each worker process would take its memory once for each.
        return NoCache, (
            "The cache is off: processes share no memory. They share a folder, though: "
            'cache="disk".',
        )


def _own(picture: "Decoded") -> "Decoded":
    """Return the picture with read-only pixels that are no part of another array."""
    pixels = picture.pixels
    if not (pixels.flags.owndata and pixels.flags.c_contiguous):
        pixels = np.array(pixels, order="C")
        picture = type(picture)(pixels, picture.full)
    pixels.flags.writeable = False
    return picture
