"""One learning rate per layer group, from what a user writes: a number, a slice, a list."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

LearningRate: TypeAlias = float | slice | Sequence[float] | NDArray[np.float64] | Tensor
"""A number, `slice(last)`, `slice(first, last)`, or one rate per layer group."""


def even_mults(start: float, stop: float, n: int) -> NDArray[np.float64]:
    """Return `n` numbers from `start` to `stop`, both exact, each the same multiple of the last.

    One number alone is `stop`.

    Raises:
        ValueError: `n` is below 1, or an end is not above 0.
    """
    if n < 1:
        raise ValueError(f"even_mults makes at least one number, but was asked for {n}.")
    if not (start > 0 and stop > 0):
        raise ValueError(
            "Rates that grow by equal multiples must start and stop above 0, "
            f"but got {start:g} to {stop:g}."
        )
    values = np.geomspace(start, stop, n)
    values[0], values[-1] = (stop if n == 1 else start), stop
    return values


def rates_for(lr: LearningRate, n_groups: int) -> NDArray[np.float64]:
    """Return one learning rate for each of `n_groups` layer groups, input side first.

    Args:
        lr: a number for all groups alike; `slice(last)` for `last / 10` in all but the last
            group; `slice(first, last)` for equal multiples from the first group to the last; or
            one number per group.
        n_groups: how many layer groups the model has.

    Raises:
        ValueError: a rate is negative or not finite, a slice is incomplete, or the number of
            rates is not the number of groups.
        TypeError: `lr` is none of these.
    """
    if isinstance(lr, slice):
        rates = _from_slice(lr, n_groups)
    else:
        rates = _from_numbers(lr, n_groups)
    if not np.all(np.isfinite(rates)) or np.any(rates < 0):
        raise ValueError(f"Learning rates must be finite and not negative, but got {lr}.")
    return rates


def _from_slice(lr: slice, n_groups: int) -> NDArray[np.float64]:
    if lr.step is not None or lr.stop is None:
        raise ValueError(
            "A slice of learning rates is slice(last) or slice(first, last), as in "
            f"slice(1e-6, 1e-4), but got {lr}."
        )
    if lr.start is not None:
        return even_mults(float(lr.start), float(lr.stop), n_groups)
    rates: NDArray[np.float64] = np.full(n_groups, float(lr.stop) / 10)
    rates[-1] = float(lr.stop)
    return rates


def _from_numbers(lr: object, n_groups: int) -> NDArray[np.float64]:
    wanted = "a number, slice(last), slice(first, last), or one number per layer group"
    if isinstance(lr, str | bytes) or lr is None:
        raise TypeError(f"A learning rate is {wanted}, but got {lr!r}.")
    if isinstance(lr, Tensor):
        lr = lr.detach().cpu().numpy()
    try:
        rates = np.array(lr, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"A learning rate is {wanted}, but got {lr!r}.") from None
    if rates.ndim == 0:
        return np.full(n_groups, float(rates))
    if rates.shape != (n_groups,):
        raise ValueError(
            f"The model has {n_groups} layer group(s), but {rates.size} learning rate(s) came: "
            f"{rates.tolist()}. Give one number for all, slice(first, last), or one per group."
        )
    return rates
