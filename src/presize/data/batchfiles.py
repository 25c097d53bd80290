"""Which files a batch was made of, worked out after the fact: the order of a pass is counted."""

import copy
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from presize.data.labels import ColReader
from presize.data.loader import DataLoader
from presize.data.rows import row
from presize.data.stream.itemstream import stream_of


def files_of_batch(dl: Any, epoch: int, batch: int) -> list[str]:
    """Return the file of each item of a batch that was made, in their order.

    Nothing is read or changed. Pictures that could not be read are named as well; the one that
    stood in for such a picture is not.

    Args:
        dl: the loader.
        epoch: of its order: what `dl.epoch` was when the pass began.
        batch: the number of the batch in the pass, from 0.

    Returns:
        Nothing where that cannot be known: a loader that is not ours, an order that is drawn anew
        each time it is asked for, shards, items that are no files.
    """
    if not isinstance(dl, DataLoader) or not _can_be_repeated(dl):
        return []
    look = copy.copy(dl)
    look.epoch = epoch
    size = dl.bs or 1
    entries = itertools.islice(look._entries(batch * size), size)
    names = [file_of(dl.dataset, index) for _, index in entries]
    return [] if None in names else [name for name in names if name is not None]


def _can_be_repeated(dl: DataLoader) -> bool:
    """Return whether the order of a pass depends on what is known of it alone."""
    own = type(dl).get_idxs is DataLoader.get_idxs and "get_idxs" not in vars(dl)
    listed = dl.sampler is None or isinstance(dl.sampler, Sequence)
    return own and listed and dl.indexed and stream_of(dl.dataset) is None


def file_of(dataset: Any, index: int) -> str | None:
    """Return the file of an item of a data set; None where its items are no files."""
    try:
        item = _item(dataset, index)
        return os.fspath(item) if isinstance(item, str | os.PathLike) else None
    except Exception:  # this is to help with another error, not to hide it
        return None


def _item(dataset: Any, index: int) -> Any:
    """Return an item; of a row of a table the file that it names, as the data set takes it out."""
    tables = getattr(dataset, "tls", None)
    if not tables:
        return row(getattr(dataset, "items", dataset), index)
    item = tables[0].item(index)  # takes a hundredth of the time of a row of the table
    first = tables[0].tfms.fs[0] if len(tables[0].tfms.fs) else None
    reader = getattr(first, "function", first)
    if not isinstance(reader, ColReader):
        return item
    found = reader(item)
    return Path(found) if isinstance(found, str | os.PathLike) else None
