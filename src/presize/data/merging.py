"""Putting the transforms of several blocks together, and copying them for one data set."""

import copy
from collections.abc import Sequence
from typing import Any

from presize.core.pipeline import Pipeline
from presize.core.transform import Transform, as_transform
from presize.data.options import Tfms


def listed(tfms: Tfms) -> list[Any]:
    """Return transforms as a list."""
    if tfms is None:
        return []
    # Of what can be called only a pipeline is several: other libraries' lists are one transform.
    if isinstance(tfms, Pipeline) or not callable(tfms):
        return list(tfms)
    return [tfms]


def merged(groups: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the transforms of all groups; of one class only those of the last group with it.

    So two picture blocks divide by 255 once, and a user's `IntToFloatTensor(div=1)` wins.
    """
    kept: dict[Any, list[Any]] = {}
    for group in groups:
        fresh: dict[Any, list[Any]] = {}
        for f in group:
            fresh.setdefault(_kind(f), []).append(f)
        kept |= fresh
    return [f for same in kept.values() for f in same]


def _kind(f: Any) -> Any:
    """Return what tells one transform from another: its class; of a function, itself."""
    if isinstance(f, type):
        return f
    return type(f) if isinstance(f, Transform) and f.name == type(f).__name__ else id(f)


def copied(f: Any) -> Any:
    """Return a transform that can be set up without a trace in the block; functions as they are."""
    if isinstance(f, Transform):
        return copy.copy(f)
    return as_transform(f) if isinstance(f, type) and issubclass(f, Transform) else f
