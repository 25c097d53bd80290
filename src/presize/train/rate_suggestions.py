"""Good rates, read off the losses of a training whose rate grew step by step.

Each function takes rates and smoothed losses, float64 [n], and the number of steps that were asked
for; it returns a rate and the loss there. None depends on the unit of the loss.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from presize.core.errors import TrainingError, did_you_mean

Floats = npt.NDArray[np.float64]
Suggestion = Callable[[Floats, Floats, int], tuple[float, float]]

# Of `slide`: the window in decades of the rate, and how much of the largest fall is enough. Both
# chosen by `benchmarks/lr_find.py --scan`.
_WINDOW = 1.0
_PART = 0.75
# The losses next to a divergence, smoothed, still look good.
_SKIP_END = 5
_FEWEST = 4


def minimum(lrs: Floats, losses: Floats, num_it: int) -> tuple[float, float]:
    """Suggest a tenth of the rate at the lowest loss; returns (rate, loss there)."""
    tenth = lrs[int(losses.argmin())] / 10
    return float(tenth), float(losses[np.abs(np.log(lrs / tenth)).argmin()])


def steep(lrs: Floats, losses: Floats, num_it: int) -> tuple[float, float]:
    """Suggest the rate where the loss falls fastest; returns (rate, loss there)."""
    best = int(_slopes(lrs, losses).argmin())
    return float(lrs[best]), float(losses[best])


def valley(lrs: Floats, losses: Floats, num_it: int) -> tuple[float, float]:
    """Suggest the rate two thirds down the longest fall of the loss; returns (rate, loss there).

    That fall is the longest series of ever lower losses, which others may lie between.
    """
    n = len(losses)
    length, previous = np.ones(n, dtype=np.int64), np.arange(n)
    for i in range(1, n):
        longest = np.where(losses[:i] > losses[i], length[:i], 0)
        before = int(longest.argmax())
        if longest[before]:
            length[i], previous[i] = longest[before] + 1, before
    end = start = int(length.argmax())
    while previous[start] != start:
        start = int(previous[start])
    index = start + (end - start) * 2 // 3
    return float(lrs[index]), float(losses[index])


def slide(lrs: Floats, losses: Floats, num_it: int) -> tuple[float, float]:
    """Suggest the highest rate at which the loss still falls fast; returns (rate, loss there).

    A window of one decade slides down from the highest rate until the loss falls in it three
    quarters as much as in any; the rate is the one in its middle.
    """
    decades = float(np.log10(lrs[-1] / lrs[0]))
    width = min(max(round(_WINDOW / decades * (len(lrs) - 1)), 1), len(lrs) - 1)
    falls = losses[:-width] - losses[width:]
    most = falls.max()
    # Where it falls nowhere, the window in which it rises least.
    left = int(np.flatnonzero(falls >= most * _PART)[-1]) if most > 0 else int(falls.argmax())
    middle = left + width // 2
    return float(lrs[middle]), float(losses[middle])


def _slopes(lrs: Floats, losses: Floats) -> Floats:
    """Return how the loss changes for each decade of the rate, float64 [n]."""
    slopes: Floats = np.gradient(losses, np.log10(lrs))
    return slopes


def suggested(
    lrs: Sequence[float], losses: Sequence[float], num_it: int, functions: Iterable[Suggestion]
) -> tuple[Any, list[tuple[float, float]]]:
    """Return the suggestions as a named tuple, and their (rate, loss) points for the plot.

    The first tenth of the steps, where the average has only begun, and the last five are left out.

    Raises:
        TypeError: a suggestion is no function.
        TrainingError: too few finite losses to say anything.
    """
    functions = list(functions)
    _check_functions(functions)
    xs, ys = np.asarray(lrs, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    finite = np.isfinite(ys)
    skip = max(len(ys) // 10, 1)
    xs, ys = xs[finite][skip:], ys[finite][skip:]
    stop = len(ys) - _SKIP_END
    xs, ys = (xs[:stop], ys[:stop]) if stop >= _FEWEST else (xs, ys)
    if len(ys) < _FEWEST:
        raise TrainingError(
            f"lr_find saw only {int(finite.sum())} finite losses in {len(finite)} of {num_it} "
            "steps, too few to suggest a rate. "
            + (
                "Take more steps, lr_find(num_it=100)."
                if finite.all() and len(finite) >= num_it
                else "Check the loss function and the data, or begin lower, lr_find(start_lr=1e-9)."
            )
        )
    points = [function(xs, ys, num_it) for function in functions]
    # They have names, and print as the plain tuple that they are.
    kind = namedtuple("SuggestedLRs", _names(functions))  # type: ignore[misc]
    plain = type("SuggestedLRs", (kind,), {"__slots__": (), "__repr__": tuple.__repr__})
    return plain(*(rate for rate, _ in points)), points


def _check_functions(functions: Sequence[Any]) -> None:
    known = [f.__name__ for f in (minimum, steep, valley, slide)]
    for function in functions:
        if not callable(function):
            raise TypeError(
                f"suggest_funcs= takes functions, but got {function!r}."
                f"{did_you_mean(function, known)} Write them without quotes: "
                "learn.lr_find(suggest_funcs=(minimum, steep, valley, slide))."
            )


def _names(functions: Sequence[Suggestion]) -> list[str]:
    """Return a name for each function that an attribute can have, and that no other one has."""
    names: list[str] = []
    for i, function in enumerate(functions):
        name = getattr(function, "__name__", "")
        usable = name.isidentifier() and not name.startswith("_") and name not in names
        names.append(name if usable else f"suggestion_{i}")
    return names
