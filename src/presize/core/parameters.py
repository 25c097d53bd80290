"""The number behind an augmentation, one per picture: drawn at random, given, or left neutral."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from presize.core.randomness import Draws, FloatArray

Draw: TypeAlias = float | Sequence[float] | Tensor | npt.NDArray[Any] | Callable[[Tensor], Any]
"""A number for all pictures, one for each, or a function that is given a batch."""


def check_chance(p: float, name: str = "p") -> None:
    """Raise ValueError unless `p` is a probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name} is a probability and must be in 0..1, got {p!r}.")


def parameter(
    rng: Draws,
    default: Callable[[Draws], FloatArray],
    *,
    draw: Draw | None = None,
    p: float = 1.0,
    neutral: float = 0.0,
    batch: bool = False,
    hw: tuple[int, int] = (1, 1),
) -> FloatArray:
    """Return one number for each of `rng.n` pictures: float64 [n].

    Args:
        rng: the draws of this operation.
        default: draws the numbers when `draw` is None.
        draw: a number for all pictures; or a list, array or tensor with one for each; or a
            function. A function is called with a batch of the right shape, [n,1,*hw], that holds
            no pixels (all zeros): numbers are chosen before any picture is touched.
        p: the chance that a picture gets its number; otherwise it gets `neutral`.
        neutral: the number that changes nothing.
        batch: give all pictures the number, and the luck, of the first one.
        hw: height and width of the pictures.

    Raises:
        ValueError: `draw` has fewer numbers than there are pictures.
    """
    chosen = rng.bernoulli(p)
    value = default(rng) if draw is None else _given(draw, rng.n, hw)
    value = np.where(chosen, value, neutral)
    return np.full(rng.n, value[0]) if batch and rng.n else value


def _given(draw: Draw, n: int, hw: tuple[int, int]) -> FloatArray:
    """Return the numbers that a user chose: float64 [n]."""
    value: Any = draw(torch.zeros(()).expand(n, 1, *hw)) if callable(draw) else draw
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim == 0:
        return np.full(n, float(numbers))
    if numbers.ndim != 1 or len(numbers) < n:
        raise ValueError(
            f"draw= holds {list(numbers.shape)} numbers for {n} pictures. Give one number for all "
            "pictures, or a list with one for each."
        )
    return numbers[:n]
