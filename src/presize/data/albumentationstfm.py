"""Transforms of albumentations as item transforms."""

import copy
import random
import threading
import weakref
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from presize.data.foreign import Drew, ForeignTransform
from presize.data.images import PILMask


class AlbumentationsTransform(ForeignTransform):
    """A transform of albumentations; those that move pixels move masks with their picture.

    Args:
        transform: albumentations', a `Compose` of several as well. It is copied for each thread,
            as it keeps notes on itself while it works.
        split_idx: see `ForeignTransform`.

    Raises:
        TypeError: the transform is of a version whose draws cannot be counted.
    """

    library = "albumentations"

    def __init__(self, transform: Any, split_idx: int | None = None) -> None:
        if not hasattr(transform, "set_random_state"):
            raise TypeError(
                f"{type(transform).__name__} is of an albumentations that cannot be told what to "
                "draw from, so that batches would differ from run to run. Take 2.0 or newer: "
                "pip install -U albumentations."
            )
        super().__init__(transform, split_idx)

    def moves(self) -> bool:
        """Return whether one of the transforms may move pixels."""
        return not all(
            any(base.__name__ == "ImageOnlyTransform" for base in type(one).__mro__)
            for one in _all_inside(self.transform)
        )

    def call(self, picture: Image.Image, masks: list[PILMask], seed: int | None) -> list[Any]:
        """Return what albumentations makes of a picture and its masks; see `ForeignTransform`."""
        own = _copy_of_this_thread(self)
        data: dict[str, Any] = {"image": np.array(picture)}
        if masks:
            data["masks"] = [np.array(mask) for mask in masks]
        if seed is not None:
            # One generator for all that is inside: with one seed each, two flips would agree.
            own.set_random_state(np.random.default_rng(seed), random.Random(seed))
            data, acted = own(**data), True
        else:
            data, acted = _without_draws(own, data)
        return [data["image"], *data.get("masks", ())] if acted else [picture, *masks]


def _without_draws(transform: Any, data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Do only what draws nothing; return the result, and whether there was anything to do."""
    acted = False
    for leaf in _leaves(transform):
        leaf.set_random_state(_NOTHING, _NOTHING)
        try:
            data, acted = leaf(**data), True
        except Drew:
            continue  # it is for training
    return data, acted


def _leaves(transform: Any) -> Iterator[Any]:
    """Yield the transforms that run one after the other in any case."""
    if type(transform).__name__ in ("Compose", "Sequential") and transform.p >= 1:
        for one in transform.transforms:
            yield from _leaves(one)
    else:
        yield transform


def _all_inside(transform: Any) -> Iterator[Any]:
    """Yield all transforms that may run."""
    inside = getattr(transform, "transforms", None)
    if inside is None:
        yield transform
    for one in inside or ():
        yield from _all_inside(one)


class _NothingToDrawFrom:
    """Stands in the place of generators where nothing is to be drawn."""

    def __getattr__(self, name: str) -> NoReturn:
        raise Drew


_NOTHING = _NothingToDrawFrom()


class _Copies(threading.local):
    """The copies of one thread."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[AlbumentationsTransform, Any]
        self.of = weakref.WeakKeyDictionary()


_copies = _Copies()


def _copy_of_this_thread(transform: AlbumentationsTransform) -> Any:
    made = _copies.of.get(transform)
    if made is None:
        made = _copies.of[transform] = copy.deepcopy(transform.transform)
    return made
