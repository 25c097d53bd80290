"""Which items a pass takes where that is not each of them once: samplers and weights."""

import operator
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from presize.core.errors import did_you_mean
from presize.core.randomness import Draws
from presize.data.blame import named_errors
from presize.data.options import Weights
from presize.data.stream.itemstream import stream_of

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

# The k-th time that an item comes up in an epoch, its draws are keyed by index + k * this.
REPEAT = 1 << 40
_EPOCHS = 1 << 31
_HIGH = 2.0**-32
_LOW = 2.0**-53


def keyed(indices: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Pair indices with a number that is unique also where an index comes again."""
    seen: dict[int, int] = {}
    for given in indices:
        try:
            index = operator.index(given)
        except TypeError:
            raise TypeError(
                f"A sampler gives one index at a time, but this one gave {given!r} "
                f"({type(given).__name__}). Batches are made of them by the loader: bs=."
            ) from None
        times = seen.get(index, 0)
        seen[index] = times + 1
        yield index + times * REPEAT, index


def indices_of(sampler: Iterable[int], epoch: int) -> Iterable[int]:
    """Return the indices that a sampler gives in an epoch."""
    set_epoch = getattr(sampler, "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch % _EPOCHS)  # those of looks are negative, which no seed of NumPy may be
    return sampler


def length_of(sampler: Iterable[int], n: int | None) -> int | None:
    """Return how many indices a sampler gives, `n` at most; None if it does not say."""
    if not isinstance(sampler, Sized):
        return None
    return len(sampler) if n is None else min(n, len(sampler))


class Weighted:
    """Draws items with replacement, each as often as its weight says.

    The draws are counted: those of an epoch depend on the seed and the epoch alone.

    Args:
        dataset: the items; for "balanced" `Datasets` with one category for each.
        weights: one for each item, 0 or more; their sum can be anything. "balanced" lets each
            class come up equally often.
        n: how many are drawn in a pass.

    Raises:
        ValueError: the weights do not fit the items.
    """

    def __init__(self, dataset: Any, weights: Weights, n: int) -> None:
        self.n = n
        self._dataset: Any = None
        self._ends: npt.NDArray[np.float64] | None = None
        if isinstance(weights, str):
            _check_balance(dataset, weights)
            self._dataset = dataset
        else:
            self._ends = np.cumsum(_checked(weights, len(dataset)))

    def indices(self, seed: int, epoch: int) -> list[int]:
        """Return what is drawn in an epoch."""
        if self._ends is None:
            # Not before it is needed: every target is made for it.
            self._ends = np.cumsum(balanced(self._dataset.tls[-1]))
        draws = Draws(seed, epoch, np.arange(self.n, dtype=np.int64), "weights")
        # 53 bits, as many as a double has: 32 would favour some of a million items.
        unit = draws.words() * _HIGH + (draws.words() >> np.uint32(11)) * _LOW
        total = self._ends[-1]
        places = np.minimum(unit * total, np.nextafter(total, 0.0))
        drawn: list[int] = np.searchsorted(self._ends, places, side="right").tolist()
        return drawn


def balanced(targets: Any) -> npt.NDArray[np.float64]:
    """Return a weight for each item, so that each class that is there comes up equally often.

    Args:
        targets: the class of each item, as a number; pictures are not looked at.
    """
    codes = np.fromiter(map(int, named_errors(targets)), dtype=np.int64, count=len(targets))
    weights: npt.NDArray[np.float64] = 1.0 / np.bincount(codes)[codes]
    return weights


def check_sampler(loader: "DataLoader", *, own_order: bool) -> None:
    """Refuse what cannot be sampled, and two ways of sampling at once.

    Args:
        loader: has the data set and the options.
        own_order: whether `get_idxs=` was given as well.

    Raises:
        ValueError: says which options contradict each other.
    """
    given = {"sampler": loader.sampler is not None, "weights": loader.weights is not None}
    names = [f"{name}=" for name, there in {**given, "get_idxs": own_order}.items() if there]
    if not names:
        return
    if stream_of(loader.dataset) is not None:
        raise ValueError(
            f"The samples of shards come in an order of their own: leave out {names[0]} (they have "
            "no positions to choose from)."
        )
    if len(names) > 1:
        raise ValueError(
            f"{' and '.join(names)} both say which items a pass takes: give one of them."
        )
    if own_order:
        return
    if not loader.indexed:
        raise ValueError(
            f"{names[0]} chooses items by their position, but a {type(loader.dataset).__name__} "
            "has no positions. Make a list of it, `DataLoader(list(items), ...)`."
        )
    if loader.sampler is not None:
        _check_sampler(loader.sampler, shuffle=loader.shuffle)


def _check_sampler(sampler: Any, *, shuffle: bool) -> None:
    if shuffle:
        raise ValueError(
            "The sampler says in which order items come, so that shuffle=True would have no "
            "effect: leave it out, or shuffle in the sampler."
        )
    if not isinstance(sampler, Iterable) and not hasattr(sampler, "__getitem__"):
        raise TypeError(
            f"sampler= is a list of indices, or an object that yields them in every pass, but got "
            f"{sampler!r} ({type(sampler).__name__})."
        )
    if isinstance(sampler, Iterator):
        raise ValueError(
            f"The sampler is a {type(sampler).__name__}, which can be walked through only once, "
            "and so would leave the second epoch without items. Pass a list, an object whose "
            "`__iter__` starts anew, or a function that makes one: get_idxs=lambda: ...."
        )


def _check_balance(dataset: Any, weights: str) -> None:
    if weights != "balanced":
        raise ValueError(
            f'weights= is one number for each item, or "balanced", but got {weights!r}.'
            + did_you_mean(weights, ["balanced"])
        )
    if getattr(dataset, "task", None) != "classification" or not hasattr(dataset, "tls"):
        raise ValueError(
            'weights="balanced" needs one category for each item, as CategoryBlock makes it, but '
            f"this {type(dataset).__name__} does not have that. Give one weight for each item: "
            "weights=[...]."
        )


def _checked(weights: Any, n: int) -> npt.NDArray[np.float64]:
    """Return weights as an array, if they fit `n` items."""
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"weights= holds one number for each item, but: {error}.") from None
    if given.shape != (n,):
        got = f"{len(given)} weights" if given.ndim == 1 else f"an array of shape {given.shape}"
        raise ValueError(
            f"weights= holds one weight for each of the {n} items, but got {got}. In dataloaders() "
            "they are those of the training items alone: `dsets.splits[0]` says which these are."
        )
    wrong = np.flatnonzero(~(np.isfinite(given) & (given >= 0)))
    if len(wrong):
        raise ValueError(
            f"A weight is 0 or more, but weights[{wrong[0]}] is {given[wrong[0]]:g}. 0 keeps an "
            "item from coming up."
        )
    if not given.any():
        raise ValueError("All weights are 0, so that no item could come up: give some more than 0.")
    return given
