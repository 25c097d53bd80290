"""What can be switched to compute a step faster, and which of it was, as measured."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from presize.train.precision import Kind

# A gain below this is hard to tell from noise.
LEAST_GAIN = 0.03
# The same for a way that computes with fewer digits, which has to be worth it.
LEAST_GAIN_ROUNDED = 0.1


@dataclass(frozen=True)
class Switches:
    """One way to compute a step: the learner's settings of the same names."""

    precision: Kind = "fp32"
    channels_last: bool = False
    compile: bool | str = False

    def __str__(self) -> str:
        names: list[str] = [self.precision]
        if self.channels_last:
            names.append("channels_last")
        if self.compile:
            names.append("compile" if self.compile is True else f"compile={self.compile}")
        return ", ".join(names)

    @property
    def least_gain(self) -> float:
        """The share of the plain time that this way has to save to be taken."""
        return LEAST_GAIN_ROUNDED if self.precision in ("fp16", "bf16") else LEAST_GAIN


PLAIN = Switches()


@dataclass
class Trial:
    """What measuring one way gave.

    Args:
        switches: the way.
        seconds: of a step, one value a round.
        failure: why it cannot be used; None if it can.
    """

    switches: Switches
    seconds: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def median(self) -> float:
        """Seconds a step; infinite if there are none."""
        return statistics.median(self.seconds) if self.seconds else float("inf")

    def quartiles(self) -> tuple[float, float]:
        """Return the first and the third quartile of the seconds."""
        if len(self.seconds) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third


@dataclass(frozen=True)
class AutoReport:
    """What `learn.auto()` measured, and what it switched on; prints as a table.

    Args:
        chosen: what is on now.
        trials: all ways that were tried, the plain one first.
        place: the device, in words.
        items: how many items the measured batches had.
        note: what else there is to say; may be empty.
    """

    chosen: Switches
    trials: tuple[Trial, ...]
    place: str
    items: int
    note: str = ""

    @property
    def speedup(self) -> float:
        """How many times faster a step is than the plain one."""
        if self.chosen == PLAIN:
            return 1.0
        taken = next(trial.median for trial in self.trials if trial.switches == self.chosen)
        return self.trials[0].median / taken

    def __str__(self) -> str:
        what = f"steps of {self.items} items on {self.place}"
        if self.chosen == PLAIN:
            head = f"auto: nothing was clearly faster than {PLAIN}, which stays ({what})."
        else:
            head = f"auto: {self.chosen} is on, {self.speedup:.2f}x as fast as {PLAIN} ({what})."
        width = max(len(str(trial.switches)) for trial in self.trials)
        lines = [_line(trial, self.trials[0].median, width) for trial in self.trials]
        return "\n".join([head, *lines, *([self.note] if self.note else [])])


def candidates(device: torch.device) -> list[Switches]:
    """Return the ways that make sense on a device, plain first, then by how much they change.

    To compile is left out: it takes long and is tried on the best of these alone.
    """
    kinds: list[Kind] = ["fp32"]
    if device.type == "cuda":
        modern = torch.cuda.get_device_capability(device) >= (8, 0)
        kinds += ["tf32", "bf16", "fp16"] if modern else ["fp16"]
    else:
        kinds.append("bf16")
    return [Switches(kind, last) for kind in kinds for last in (False, True)]


def fastest(trials: Sequence[Trial]) -> Switches:
    """Return the way to take: the plain one, the first, unless another is clearly faster.

    That is one that saves its `least_gain`, and three quarters of whose rounds were faster than any
    of the plain ones: a round may be disturbed, and two equal ways of five rounds are told apart
    falsely in 6 of 252 cases. Of those nearly as fast as the fastest, the first is taken, which
    changes least.
    """
    plain, *others = trials
    lowest = min(plain.seconds)
    able = [
        trial
        for trial in others
        if trial.failure is None
        and trial.median <= plain.median * (1 - trial.switches.least_gain)
        and trial.quartiles()[1] < lowest
    ]
    if not able:
        return plain.switches
    best = min(trial.median for trial in able)
    return next(t.switches for t in able if t.median * (1 - LEAST_GAIN) <= best)


def _line(trial: Trial, plain: float, width: int) -> str:
    name = f"  {trial.switches!s:{width}}"
    if trial.failure is not None:
        return f"{name}  {trial.failure}"
    first, third = trial.quartiles()
    spread = f"{first * 1e3:.1f}-{third * 1e3:.1f}"
    return (
        f"{name}  {trial.median * 1e3:8.1f} ms a step ({spread}, n={len(trial.seconds)})"
        f"  {plain / trial.median:5.2f}x"
    )
