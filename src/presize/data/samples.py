"""Single samples of a pass: which item they are of, and what is said when one cannot be made."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from presize.core.pipeline import Pipeline
from presize.core.randomness import Samples
from presize.data.blame import item_failed
from presize.data.rows import row

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

T = TypeVar("T")

Entry = tuple[int, Any]
"""The number that keys a sample's draws, and what it is made of: an index, or the item itself."""

Made = tuple[Samples, Any]
"""The samples that a batch holds, and the batch; None if none of them could be read."""


def active(stage: Any) -> Any:
    """Return a stage that does something, else None."""
    return None if isinstance(stage, Pipeline) and not len(stage) else stage


def read(
    loader: "DataLoader", samples: Samples, i: int, ref: Any, make: Callable[[Any], T]
) -> T | None:
    """Return `make(ref)`; where the loader has a quarantine, None if the sample is left out.

    Args:
        loader: gives the data.
        samples: those of the batch.
        i: the place among them.
        ref: an index, or the item itself where items have none.
        make: makes a sample; called again with another `ref` for a picture that cannot be read.
    """
    if loader.quarantine is None:
        return make(ref)
    return loader.quarantine.read(loader, samples, i, ref, make)


def explained(loader: "DataLoader", entry: Entry, error: Exception, sample: Any) -> Exception:
    """Return the error to raise when a sample could not be made, with its item in words.

    Args:
        loader: gives the data.
        entry: says which item.
        error: what was raised.
        sample: what had become of it before the item transforms; or None.
    """
    key, ref = entry
    if not loader.indexed:
        return item_failed(error, key, ref, sample)
    try:
        item = row(loader.dataset.items, ref)
    except Exception:  # the data set may be anything, and this only serves to name the item
        item = None
    return item_failed(error, ref, item, sample)


def without(samples: Samples, made: Sequence[Any]) -> Samples:
    """Return the samples without those that were left out."""
    if all(one is not None for one in made):
        return samples
    kept = [i for i, one in enumerate(made) if one is not None]
    return Samples(samples.seed, samples.epoch, samples.indices[kept])
