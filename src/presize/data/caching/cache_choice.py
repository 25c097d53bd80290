"""Decides whether and where decoded pictures are kept, and says so where they are not."""

import math
import shutil
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from presize.core.paths import cache_dir
from presize.data.caching.cache import NoCache, PictureCache
from presize.data.caching.disk_cache import DiskCache
from presize.data.caching.memory import available_memory
from presize.data.caching.ram_cache import RamCache
from presize.data.caching.shards import shards_in
from presize.data.warned import warn_user

CacheMode: TypeAlias = Literal["auto", "ram", "disk", False]

# What a cache takes by itself, where the user names no bound.
_RAM_SHARE = 4
_MOST_RAM = 8_000_000_000
_RAM_IF_UNKNOWN = 2_000_000_000
_MOST_DISK = 20_000_000_000
_DISK_SPARE = 10
_ASKED_DISK_SPARE = 100


class _Bound(NamedTuple):
    """How much a cache may take, in bytes, and the half sentence that says why not more."""

    limit: int
    why: str


def cache_for(
    mode: CacheMode,
    *,
    gigabytes: float | None = None,
    folder: str | PathLike[str] | None = None,
    pictures: int,
    bytes_each: Callable[[], int],
) -> PictureCache | None:
    """Return a cache for all pictures of a data set; one that is off if they do not all fit.

    Half a cache is no cache: it takes the memory, and the training still waits for the decoder. A
    user who asked for memory or disk is warned that there is none.

    Args:
        mode: "ram" keeps pictures in memory, "disk" in a folder, for later runs, too. "auto" is
            "disk" if a folder is named, else "ram". False is no cache.
        gigabytes: the most it may take, in 10^9 bytes. By default a quarter of the memory
            available, at most 8 GB; on a disk 20 GB, and a tenth of the disk stays free.
        folder: for "disk"; by default `pictures` in `cache_dir()`.
        pictures: how many there are.
        bytes_each: returns about how many bytes one takes; asked once, and only if needed.

    Raises:
        ValueError: the mode is none of these, or the bound is not positive.
    """
    _check(mode, gigabytes)
    if mode is False:
        return None
    on_disk = mode == "disk" or (mode == "auto" and folder is not None)
    if not on_disk and folder is not None:
        warn_user('cache_dir is not used by cache="ram": it is for cache="disk".')
    place = Path(folder).expanduser().absolute() if folder else Path(cache_dir() / "pictures")
    try:
        bound = _disk_bound(gigabytes, place) if on_disk else _ram_bound(gigabytes)
    except OSError as fault:
        cause = fault.strerror or fault
        return _off(mode, f"the folder {place} cannot be used ({cause}). Name another: cache_dir=.")
    each = bytes_each() if pictures else 0
    if each * pictures > bound.limit:
        return _off(mode, _too_large(pictures, each, bound.why, on_disk=on_disk))
    if not on_disk:
        return RamCache(bound.limit)
    return DiskCache(place, bound.limit, spare=_spare(gigabytes, place))


def _check(mode: object, gigabytes: float | None) -> None:
    if not (mode is False or (isinstance(mode, str) and mode in ("auto", "ram", "disk"))):
        raise ValueError(f'cache is "auto", "ram", "disk" or False, but got {mode!r}.')
    if gigabytes is not None and not 0 < gigabytes < math.inf:
        raise ValueError(
            f"cache_gb is the most that the cache may take, in GB, but got {gigabytes!r}. "
            "cache=False turns it off."
        )


def _off(mode: CacheMode, why: str) -> NoCache:
    note = f"The cache is off: {why}"
    if mode != "auto":
        warn_user(note)
    return NoCache(note)


def _too_large(pictures: int, each: int, why: str, *, on_disk: bool) -> str:
    need = pictures * each
    enough = math.ceil(need / 1e8 * 1.05) / 10 if need < 1e10 else math.ceil(need / 1e9 * 1.05)
    other = "another disk, cache_dir=," if on_disk else 'a disk, cache="disk",'
    return (
        f"{pictures:,} pictures of about {_told(each)} need {_told(need)}, and {why}. "
        f"Use cache_gb={enough:g} if there is room, {other} or a smaller presize."
    )


def _ram_bound(gigabytes: float | None) -> _Bound:
    free = available_memory()
    if gigabytes is not None:
        asked = _Bound(int(gigabytes * 1e9), f"cache_gb is {gigabytes:g}")
        if free is None or asked.limit <= free:
            return asked
        return _Bound(free, f"only {_told(free)} of memory are available")
    if free is None:
        return _Bound(_RAM_IF_UNKNOWN, f"by itself it takes at most {_told(_RAM_IF_UNKNOWN)}")
    share = free // _RAM_SHARE
    if share > _MOST_RAM:
        return _Bound(_MOST_RAM, f"by itself it takes at most {_told(_MOST_RAM)} of memory")
    return _Bound(share, f"a quarter of the memory available is {_told(share)}")


def _disk_bound(gigabytes: float | None, folder: Path) -> _Bound:
    """Return the bound of a folder, which is made; OSError if that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    # What is there of earlier data sets makes room for this one.
    held = sum(found.size for found in shards_in(folder))
    room = max(0, held + shutil.disk_usage(folder).free - _spare(gigabytes, folder))
    if gigabytes is not None:
        asked = _Bound(int(gigabytes * 1e9), f"cache_gb is {gigabytes:g}")
        if asked.limit <= room:
            return asked
        return _Bound(room, f"the disk of {folder} has only {_told(room)} to spare")
    if room > _MOST_DISK:
        return _Bound(_MOST_DISK, f"by itself it takes at most {_told(_MOST_DISK)} of disk")
    return _Bound(room, f"a tenth of the disk of {folder} stays free, which leaves {_told(room)}")


def _spare(gigabytes: float | None, folder: Path) -> int:
    """Return how many bytes of a disk stay free: fewer if a user said how much to take."""
    share = _DISK_SPARE if gigabytes is None else _ASKED_DISK_SPARE
    return shutil.disk_usage(folder).total // share


def _told(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
