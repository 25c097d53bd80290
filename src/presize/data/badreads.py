"""Reads samples, and decides what becomes of those whose picture cannot be read."""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from presize.core.errors import ImageError
from presize.core.randomness import Samples
from presize.data.badlist import BadPicture
from presize.data.replacement import Codes, Indices, class_codes, others
from presize.data.samplers import REPEAT

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

T = TypeVar("T")

OnBad = Literal["replace", "skip", "raise"]
"""What becomes of a sample whose picture cannot be read."""


class BadReads:
    """Reads samples for loaders; a subclass takes down what could not be read."""

    def __init__(self) -> None:
        self._codes: dict[int, tuple[Any, Codes | None]] = {}
        self._codes_lock = threading.Lock()

    def note(self, loader: "DataLoader", bad: BadPicture) -> None:
        """Take down a bad picture that `loader` met."""
        raise NotImplementedError

    def read(
        self, loader: "DataLoader", samples: Samples, i: int, ref: Any, make: Callable[[Any], T]
    ) -> T | None:
        """Return `make(ref)`, or what stands in for it, or None where the sample is left out.

        Args:
            loader: says what is done (`on_bad`), and has the other items.
            samples: those of the batch.
            i: the place of this one among them.
            ref: the index of the item, or, of data without positions, the item itself.
            make: makes the sample of an item.

        Raises:
            ImageError: the picture cannot be read, and the loader wants that raised.
            DataError: too many pictures cannot be read.
        """
        # A validation set with some pictures twice would give figures of another set.
        replaces = loader.on_bad == "replace" and loader.split_idx != 1 and loader.indexed
        try:
            return make(ref)
        except ImageError as error:
            if loader.on_bad not in ("replace", "skip"):
                raise
            bad = _bad(loader, samples, i, ref, error, replaces=replaces)
        self.note(loader, bad)
        if not replaces:
            return None
        for other in self._others(loader, samples, i, ref):
            try:
                return make(other)
            except ImageError as error:
                bad = _bad(loader, samples, i, other, error, replaces=True)
            self.note(loader, bad)
        return None

    def _others(self, loader: "DataLoader", samples: Samples, i: int, ref: int) -> Iterator[int]:
        with self._codes_lock:
            known = self._codes.get(id(loader.dataset))
            if known is None:
                # The data set is kept beside its codes, so that no other one gets its id.
                known = loader.dataset, class_codes(loader.dataset)
                self._codes[id(loader.dataset)] = known
        return others(samples, i, ref, _pool(loader, samples), known[1])


class Collected(BadReads):
    """What a worker process reads with: it keeps what it met until the parent asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self._met: list[BadPicture] = []

    def note(self, loader: "DataLoader", bad: BadPicture) -> None:
        """Keep a bad picture for the parent."""
        self._met.append(bad)

    def taken(self) -> list[BadPicture]:
        """Return what was met since the last call."""
        met, self._met = self._met, []
        return met

    def __reduce__(self) -> tuple[type["Collected"], tuple[()]]:
        return Collected, ()  # it goes to the child empty, and a lock could not go


def _bad(
    loader: "DataLoader", samples: Samples, i: int, ref: Any, error: ImageError, *, replaces: bool
) -> BadPicture:
    return BadPicture.of(
        error,
        name=None if loader.indexed else getattr(ref, "name", None),  # a sample of a shard has one
        split=loader.split_idx,
        index=int(ref) if loader.indexed else int(samples.indices[i]),
        epoch=samples.epoch,
        done="replaced" if replaces else "left out",
    )


def _pool(loader: "DataLoader", samples: Samples) -> Indices:
    """Return the items that may stand in for others, in order: those that can come up.

    Where a sampler says which these are, they are not known beforehand, and those of the batch do.
    """
    from presize.data.loader import DataLoader

    own_order = type(loader).get_idxs is not DataLoader.get_idxs or "get_idxs" in vars(loader)
    if own_order or loader.sampler is not None:
        return sorted({index % REPEAT for index in samples.indices.tolist()})
    if loader.weights is not None:
        n = len(loader.dataset)
        is_drawn = isinstance(loader.weights, str) or np.asarray(loader.weights) > 0
        return np.flatnonzero(np.broadcast_to(is_drawn, n))
    return range(len(loader.dataset) if loader.n is None else loader.n)
