"""Which shards there are, and how many samples each holds."""

import glob
import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from presize.core.errors import DataError
from presize.data.blame import brief
from presize.data.extras import extra_library
from presize.data.stream.shardsample import local_path
from presize.data.stream.tarshard import TarShard

Urls = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

SIZES = "sizes.json"
_TOTAL = "__len__"


def expanded(urls: Urls) -> list[str]:
    """Return the single shards.

    Args:
        urls: a path or URL, or a list of them. `{000..009}` stands for ten of them, `{a,b}` for
            two; in the name of a file, `*` and `?` stand for whatever is there.

    Raises:
        DataError: there are none.
        ImportError: `{` is used and the package webdataset is missing.
    """
    given = [urls] if isinstance(urls, str | os.PathLike) else list(urls)
    for one in given:
        if not isinstance(one, str | os.PathLike):
            raise TypeError(
                f"Shards are given as paths or URLs, but one is {brief(one)} "
                f"({type(one).__name__})."
            )
    found = [url for one in given for url in _matching(os.fspath(one))]
    if not found:
        raise DataError("There are no shards: the list is empty.")
    return found


def _matching(pattern: str) -> list[str]:
    names = [pattern]
    if "{" in pattern:
        # What webdataset itself reads such patterns with.
        braces = extra_library("braceexpand", extra="webdataset", what=f"The pattern `{pattern}`")
        names = list(braces.braceexpand(pattern))
    found: list[str] = []
    for name in names:
        path = local_path(name)
        if path is None or not glob.has_magic(path.name) or path.exists():
            found.append(name)
            continue
        matching = sorted(map(str, path.parent.glob(path.name)))
        if not matching:
            raise DataError(f"There are no shards `{name}`: nothing matches that pattern.")
        found += matching
    return found


def shards_of(urls: Urls, *, count: bool) -> tuple[list[TarShard], int | None]:
    """Return the shards, with the numbers of samples that are known, and their total.

    The numbers are those of the files `sizes.json` beside the shards, `{"train-000.tar": 1000}`,
    or, as a total, of `__len__`.

    Args:
        urls: see `expanded`.
        count: read the headers of those on a disk whose number is not known.
    """
    names = expanded(urls)
    folders = list(dict.fromkeys(map(_folder, names)))
    told = {folder: _told(folder, SIZES) for folder in folders}
    shards = [TarShard(name, _size(name, told[_folder(name)])) for name in names]
    total = None
    if any(shard.count is None for shard in shards) and len(folders) == 1:
        total = _told(folders[0], _TOTAL)
        if total is not None and not isinstance(total, int):
            raise DataError(f"`{_join(folders[0], _TOTAL)}` should be a number, but is {total!r}.")
    if count and total is None:
        for shard in shards:
            if shard.count is None and not shard.remote:
                shard.count = _counted(shard)
    return shards, total


def shard_sizes(urls: Urls, *, write: bool = False) -> dict[str, int]:
    """Count the samples of shards by reading them, those behind a URL as a whole.

    Args:
        urls: paths or URLs, with `{000..009}` for several.
        write: write the numbers to `sizes.json` beside the shards, where loaders find them; for
            shards on a disk.

    Returns:
        The number of samples by the name of the shard, as in that file.

    Raises:
        DataError: a shard cannot be read, two have the same name, or `write` for shards elsewhere.
    """
    names = expanded(urls)
    sizes: dict[str, int] = {}
    folders: dict[str, dict[str, int]] = {}
    for url in names:
        if write and local_path(url) is None:
            raise DataError(
                f"`{url}` is not on a disk of this machine, where sizes.json could be written "
                f"beside it. Write what shard_sizes(...) returns to `{_join(_folder(url), SIZES)}`."
            )
        name = _name(url)
        if name in folders.setdefault(_folder(url), {}):
            raise DataError(f"The shard `{url}` is listed twice.")
        sizes[name] = folders[_folder(url)][name] = _counted(TarShard(url))
    if len(sizes) < len(names) and not write:
        raise DataError("Shards of the same name in several folders: count folder by folder.")
    for folder, counts in folders.items() if write else ():
        known = _told(folder, SIZES) or {}
        path = Path(_join(folder, SIZES))
        # Another process never sees half of it.
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(known | counts, indent=1), "utf-8")
        unfinished.replace(path)
    return sizes


def _counted(shard: TarShard) -> int:
    with closing(TarShard(shard.name).samples()) as samples:
        return sum(1 for _ in samples)


def _size(url: str, told: Any) -> int | None:
    """Return the number of samples that a file of sizes tells for a shard."""
    if told is None:
        return None
    found = told.get(_name(url)) if isinstance(told, dict) else told
    if found is not None and not isinstance(found, int):
        raise DataError(
            f"`{_join(_folder(url), SIZES)}` should hold the number of samples of each shard, "
            f'{{"{_name(url)}": 1000, ...}}, but has {brief(found)}.'
        )
    return found


def _told(folder: str, name: str) -> Any:
    """Return what a small JSON file beside the shards holds; None where there is no such file."""
    url = _join(folder, name)
    path = local_path(url)
    try:
        text = path.read_text("utf-8") if path is not None else _fetched(url)
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"`{url}` is not JSON: {error}. Correct or remove it.") from None


def _fetched(url: str) -> str:
    fsspec = extra_library("fsspec", extra="webdataset", what=f"The shards beside `{url}`")
    try:
        with fsspec.open(url, "rb") as file:
            return str(file.read().decode("utf-8"))
    except (ImportError, ValueError) as error:
        raise DataError(f"`{url}` cannot be read: {error}") from error
    except Exception as error:  # a server that refuses what it does not have, in its own way
        raise FileNotFoundError(url) from error


def _folder(url: str) -> str:
    path = local_path(url)
    return url.rpartition("/")[0] if path is None else str(path.parent)


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}"
