"""Loaders that give each item once, in the order of the data set: to ask, not to train."""

import copy
from collections.abc import Mapping
from typing import Any

from presize.data.badlist import BadPicture
from presize.data.loader import DataLoader
from presize.data.options import LoaderOptions


def in_order(dl: Any) -> Any:
    """Return a loader that gives each item once, in the order of the data set."""
    if not isinstance(dl, DataLoader):
        return dl
    options: LoaderOptions = {"shuffle": False, "drop_last": False}
    if dl.sampler is not None or dl.weights is not None:
        options |= {"sampler": None, "weights": None}
    return without_stand_ins(dl.new(**options))


def without_stand_ins(dl: Any) -> Any:
    """Return a loader that puts no other item in the place of one that cannot be read."""
    if not isinstance(dl, DataLoader) or dl.quarantine is None:
        return dl
    other = copy.copy(dl)  # also where it leaves out: what it left out before is not counted
    other.on_bad = "skip"
    return other


def left_out(dl: Any) -> Mapping[int, BadPicture]:
    """Return what a pass over a loader could not read, by its index in the data set."""
    quarantine = dl.quarantine if isinstance(dl, DataLoader) else None
    return {} if quarantine is None else quarantine.left_out(dl)
