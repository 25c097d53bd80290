"""Schedules: how a rate moves as training goes from 0 (start) to 1 (end)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from presize.train.rates import LearningRate as LearningRate
from presize.train.rates import even_mults as even_mults
from presize.train.rates import rates_for as rates_for

Rates: TypeAlias = float | NDArray[np.float64]
"""One rate, or an array with one rate per layer group."""

_SLACK = 1e-6  # pct is often a running sum of 1/steps; that much beyond 0..1 is rounding
_JOINT = 1e-9  # 0.1 + 0.2 is a little more than 0.3: a joint counts as reached this much early


Schedule: TypeAlias = Callable[[float], Rates]
"""A rate as a function of the part of training that is done, 0 to 1."""


def _checked(pct: float) -> float:
    pct = float(pct)
    if 0.0 <= pct <= 1.0:
        return pct
    if -_SLACK <= pct <= 1.0 + _SLACK:
        return min(max(pct, 0.0), 1.0)
    raise ValueError(f"A schedule is defined from 0 (start) to 1 (end), but was asked at {pct}.")


def _as_rates(value: object) -> Rates:
    if isinstance(value, int | float):
        return float(value)
    array: NDArray[np.float64] = np.asarray(value, dtype=np.float64)
    return float(array) if array.ndim == 0 else array


def _between(start: Rates, end: Rates, weight: float) -> Rates:
    # Measured from the nearer end: exact at both, and never outside them by a rounding.
    if weight < 0.5:
        return start + (end - start) * weight
    return end - (end - start) * (1.0 - weight)


def sched_lin(start: Rates, end: Rates, pct: float) -> Rates:
    """Go from `start` to `end` on a straight line."""
    return _between(start, end, _checked(pct))


def sched_cos(start: Rates, end: Rates, pct: float) -> Rates:
    """Go from `start` to `end` on half a cosine: flat at both ends (arXiv:1608.03983)."""
    return _between(start, end, (1.0 - math.cos(math.pi * _checked(pct))) / 2.0)


def sched_no(start: Rates, end: Rates, pct: float) -> Rates:
    """Stay at `start`; `end` is there only so that all schedules are called alike."""
    _checked(pct)
    return start


def sched_exp(start: Rates, end: Rates, pct: float) -> Rates:
    """Go from `start` to `end` by equal ratios; both must be above 0, or both below.

    Raises:
        ValueError: a rate is 0, or the two differ in sign.
    """
    pct = _checked(pct)
    ratio = np.asarray(end, dtype=np.float64) / np.where(np.asarray(start) == 0, np.nan, start)
    if not np.all(ratio > 0):
        raise ValueError(
            "An exponential schedule multiplies its way along, so both ends must be above 0 (or "
            f"both below), but it got {start} to {end}. Use SchedLin or SchedCos to reach 0."
        )
    if pct == 1.0:
        return _as_rates(end + 0.0 * ratio)  # exact, and in the shape of all others
    return _as_rates(start * ratio**pct)


def sched_poly(start: Rates, end: Rates, power: float, pct: float) -> Rates:
    """Go from `start` to `end` as `pct ** power`: above 1 it starts slowly, below 1 quickly."""
    return _between(start, end, _checked(pct) ** power)


@dataclass(frozen=True, eq=False)
class _Segment:
    start: Any
    end: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _as_rates(self.start))
        object.__setattr__(self, "end", _as_rates(self.end))


class SchedLin(_Segment):
    """A straight line from `start` to `end` (numbers, or arrays of one rate per layer group)."""

    def __call__(self, pct: float) -> Rates:
        """Return the rate at `pct`."""
        return sched_lin(self.start, self.end, pct)


class SchedCos(_Segment):
    """Half a cosine from `start` to `end` (numbers, or arrays of one rate per layer group)."""

    def __call__(self, pct: float) -> Rates:
        """Return the rate at `pct`."""
        return sched_cos(self.start, self.end, pct)


class SchedNo(_Segment):
    """Always `start`."""

    def __call__(self, pct: float) -> Rates:
        """Return the rate at `pct`."""
        return sched_no(self.start, self.end, pct)


class SchedExp(_Segment):
    """Equal ratios from `start` to `end`, both above 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sched_exp(self.start, self.end, 0.0)

    def __call__(self, pct: float) -> Rates:
        """Return the rate at `pct`."""
        return sched_exp(self.start, self.end, pct)


@dataclass(frozen=True, eq=False)
class SchedPoly(_Segment):
    """From `start` to `end` as `pct ** power`, power above 0."""

    power: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.power > 0:
            raise ValueError(f"SchedPoly needs a power above 0, but got {self.power}.")

    def __call__(self, pct: float) -> Rates:
        """Return the rate at `pct`."""
        return sched_poly(self.start, self.end, self.power, pct)


class Combined:
    """Several schedules one after another; made by `combine_scheds`."""

    def __init__(self, pcts: Sequence[float], scheds: Sequence[Schedule]) -> None:
        self.pcts = [float(part) for part in pcts]
        self.scheds = list(scheds)
        ends = np.cumsum(self.pcts)
        # A part of no length is never run; the sum of the others is 1 but for rounding.
        self._parts = [
            (float(end) - part, part, sched)
            for part, end, sched in zip(self.pcts, ends, self.scheds, strict=True)
            if part > _JOINT
        ]

    def __call__(self, pct: float) -> Rates:
        """Return the rate at `pct`; a joint belongs to the schedule that begins there."""
        pct = _checked(pct)
        if pct == 1.0:
            return self._parts[-1][2](1.0)
        for start, length, sched in reversed(self._parts):
            done = pct - start
            if done >= -_JOINT:
                return sched(0.0 if done < _JOINT else min(done / length, 1.0))
        return self._parts[0][2](0.0)

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{part:g}: {sched}" for part, sched in zip(self.pcts, self.scheds, strict=True)
        )
        return f"Combined({parts})"


def combine_scheds(pcts: Sequence[float], scheds: Sequence[Schedule]) -> Combined:
    """Run `scheds` one after another, each for its part of training.

    Args:
        pcts: the length of each part, 0 to 1; they add up to 1.
        scheds: as many schedules; each sees its own part as 0 to 1.

    Raises:
        ValueError: lengths differ, a part is negative, or the parts do not add up to 1.
    """
    parts = [float(part) for part in pcts]
    if len(parts) != len(scheds) or not parts:
        raise ValueError(
            "combine_scheds needs one part of training for each schedule, but got "
            f"{len(parts)} part(s) and {len(scheds)} schedule(s)."
        )
    if min(parts) < 0:
        raise ValueError(
            f"The parts of training cannot be negative, but combine_scheds got {pcts}."
        )
    if abs(sum(parts) - 1.0) > _SLACK:
        raise ValueError(
            f"The parts of training must add up to 1, but {pcts} add up to {sum(parts):.6g}."
        )
    return Combined(parts, scheds)


def combined_cos(pct: float, start: object, middle: object, end: object) -> Combined:
    """Go from `start` to `middle` on a cosine in the first `pct` of training, then to `end`.

    Raises:
        ValueError: `pct` is outside 0..1.
    """
    if not 0.0 <= pct <= 1.0:
        raise ValueError(
            f"The part of training before the turn must be between 0 and 1, but got {pct}."
        )
    return combine_scheds([pct, 1.0 - pct], [SchedCos(start, middle), SchedCos(middle, end)])


def one_cycle(
    lr_max: object,
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: float = 0.25,
    moms: Sequence[float] | None = (0.95, 0.85, 0.95),
) -> dict[str, Schedule]:
    """Schedules for `lr` and `mom` of the one-cycle policy (arXiv:1708.07120), cosine-shaped.

    Args:
        lr_max: the highest rate; a number, or an array of one per layer group.
        div: training starts at `lr_max / div`.
        div_final: training ends at `lr_max / div_final`.
        pct_start: the part of training in which the rate rises.
        moms: momentum at the start, at the highest rate, and at the end; None leaves it alone.

    Raises:
        ValueError: a divisor is not above 0, or `moms` is not three numbers.
    """
    if not (div > 0 and div_final > 0):
        raise ValueError(
            f"The divisors of one cycle must be above 0, but got {div=} and {div_final=}."
        )
    top = _as_rates(lr_max)
    scheds: dict[str, Schedule] = {"lr": combined_cos(pct_start, top / div, top, top / div_final)}
    if moms is not None:
        if len(moms) != 3:
            raise ValueError(
                "moms is three numbers (momentum at the start, at the highest rate, at the end), "
                f"but got {tuple(moms)}."
            )
        scheds["mom"] = combined_cos(pct_start, *moms)
    return scheds


def flat_cos(lr: object, div_final: float = 1e5, pct_start: float = 0.75) -> dict[str, Schedule]:
    """Keep `lr` for the first `pct_start` of training, then a cosine down to `lr / div_final`."""
    top = _as_rates(lr)
    return {
        "lr": combine_scheds(
            [pct_start, 1.0 - pct_start], [SchedNo(top, top), SchedCos(top, top / div_final)]
        )
    }


def sgdr_epochs(n_cycles: int, cycle_len: int, cycle_mult: int = 2) -> int:
    """Count the epochs of `n_cycles` restarts, the first `cycle_len` epochs long."""
    if n_cycles < 1 or cycle_len < 1 or cycle_mult < 1:
        raise ValueError(
            "Warm restarts need at least one cycle of at least one epoch, and a multiplier of at "
            f"least 1, but got {n_cycles=}, {cycle_len=}, {cycle_mult=}."
        )
    return sum(cycle_len * cycle_mult**cycle for cycle in range(n_cycles))


def sgdr(lr_max: object, n_cycles: int, cycle_len: int, cycle_mult: int = 2) -> dict[str, Schedule]:
    """Cosines from `lr_max` to 0 with warm restarts (arXiv:1608.03983).

    Args:
        lr_max: the rate at each restart; a number, or an array of one per layer group.
        n_cycles: how many cosines; `sgdr_epochs` tells how many epochs that takes.
        cycle_len: epochs of the first cosine.
        cycle_mult: each cosine is this many times as long as the one before.
    """
    epochs = sgdr_epochs(n_cycles, cycle_len, cycle_mult)
    top = _as_rates(lr_max)
    parts = [cycle_len * cycle_mult**cycle / epochs for cycle in range(n_cycles)]
    return {"lr": combine_scheds(parts, [SchedCos(top, top * 0.0) for _ in parts])}
