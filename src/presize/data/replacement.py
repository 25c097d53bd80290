"""Draws the items that may stand in for a picture that cannot be read: of its class, if it can be.

Which ones is counted randomness, keyed by the sample that they stand in for. What is known of other
bad pictures has no say in it: threads find them at other times in every run, and the batch would
depend on that.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from presize.core.randomness import Draws, Samples
from presize.data.datasets import Datasets, TfmdLists
from presize.data.vocab import Categorize, EncodedMultiCategorize, MultiCategorize

Codes = npt.NDArray[np.int32]
Indices = Sequence[int] | npt.NDArray[np.int64]

# Tried of the same class, and then of all. Training goes on with 5 % bad pictures at most, of which
# eight in a row are drawn once in 10^10 times; a whole class may be bad, though.
_TRIES = 8
_NO_CLASS = -1


def class_codes(dataset: Any) -> Codes | None:
    """Return a number for each item, the same for items of one class: int32 [n].

    No picture is read. Items with several labels are of one class where all labels agree. Where the
    class of an item cannot be told, its number is -1.

    Args:
        dataset: `Datasets` with categories among the targets; anything else has no classes: None.
    """
    targets = _categories(dataset)
    if not targets:
        return None
    known: dict[tuple[Any, ...], int] = {}
    codes = np.full(len(dataset), _NO_CLASS, dtype=np.int32)
    for i in range(len(dataset)):
        try:
            labels = tuple(np.asarray(tl._at(i)).tobytes() for tl in targets)
        except Exception:  # what is wrong with the target of an item is said when its turn comes
            continue
        codes[i] = known.setdefault(labels, len(known))
    return codes


def others(samples: Samples, i: int, ref: int, pool: Indices, codes: Codes | None) -> Iterator[int]:
    """Yield the items to try in place of a bad one, first of its class, then any.

    Args:
        samples: those of the batch.
        i: the place of the sample among them; it keys the draws.
        ref: the index of the bad item.
        pool: the indices to choose from, sorted.
        codes: see `class_codes`.
    """
    drawn = samples.draws("replacement", slice(i, i + 1))
    if codes is not None and codes[ref] != _NO_CLASS:
        every = np.asarray(pool, dtype=np.int64)
        yield from _drawn(drawn, every[codes[every] == codes[ref]], ref)
    yield from _drawn(drawn, pool, ref)


def _drawn(drawn: Draws, pool: Indices, ref: int) -> Iterator[int]:
    """Yield some of a sorted `pool`, none twice, and not `ref`."""
    place = bisect_left(pool, ref)
    passed = [place] if place < len(pool) and pool[place] == ref else []
    for _ in range(min(_TRIES, len(pool) - len(passed))):
        place = int(drawn.integers(len(pool) - len(passed))[0])
        for other in passed:  # in order: each that lies before moves the place on by one
            place += other <= place
        insort(passed, place)
        yield int(pool[place])


def _categories(dataset: Any) -> list[TfmdLists]:
    """Return those pipelines of targets that end in classes."""
    if not isinstance(dataset, Datasets):
        return []
    kinds = (Categorize, MultiCategorize, EncodedMultiCategorize)
    targets = dataset._used()[dataset.n_inp :]
    return [tl for tl in targets if any(isinstance(f, kinds) for f in tl.tfms)]
