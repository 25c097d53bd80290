"""What is known of how a model was trained: kept with the learner, and in its model file.

All of it is plain JSON, so that a report can be written from a model file alone.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

MOST_POINTS = 500  # of a curve: more cannot be seen, and a file is not to grow with the steps


@dataclass(frozen=True, kw_only=True, slots=True)
class FitRecord:
    """One fit: its table and its curves.

    Args:
        method: the recipe that was called, such as "fine_tune".
        trained: "all layers", or which part of them.
        n_epoch: passes over the training set that were planned.
        n_steps: steps that were made.
        names: the head of the table.
        rows: its rows, one an epoch; None where a figure is missing.
        epoch_steps: how many steps were made at the end of each row's epoch.
        loss_steps: the steps of the points of `losses`, from 0.
        losses: the running mean of the training loss.
        hyper: rate ("lr"), momentum ("mom") and what else a schedule set, at the points of
            `hyper_steps`.
        hyper_steps: the steps of those points.
        seconds: how long it took.
        waited: the part of the training passes that went by waiting for data, 0..1; None where it
            is not known.
        waiting: the verdict on it, where there is something to say.
    """

    method: str
    trained: str
    n_epoch: int
    n_steps: int
    names: list[str]
    rows: list[list[Any]]
    epoch_steps: list[int]
    loss_steps: list[int]
    losses: list[float | None]
    hyper: dict[str, list[float | None]]
    hyper_steps: list[int]
    seconds: float
    waited: float | None = None
    waiting: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What a model was trained on.

    Args:
        source: the folder or file that the data came from, where there is one.
        splits: how many items each split has: "train", "valid".
        classes: how many items of each class each split has; empty where items have not classes.
        task: "classification", "multilabel" …
        valid_marks: which files the model was judged by, see `presize.data.marks`.
    """

    source: str | None = None
    splits: dict[str, int] = field(default_factory=dict)
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    task: str | None = None
    valid_marks: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecord:
    """How a model came to be.

    Args:
        fits: the fits, in their order.
        data: what it was trained on.
        model: "name" of the architecture, "parameters", "loss", "optimizer", "batch size" and
            "precision", in words; "weights" where it is known if they were pretrained.
        seed: of the random draws; None if none was set.
        command: what was typed to train it, where that is known.
        environment: versions and machine, by name.
        started: when the first fit began, as ISO 8601 text with the time zone.
    """

    fits: list[FitRecord] = field(default_factory=list)
    data: DataFacts = field(default_factory=DataFacts)
    model: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    command: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    started: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, which JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Return what `to_dict` told; what this version does not know of is left out.

        Raises:
            TypeError: a value that is always there is missing, or one is of another type.
            ValueError: a number is too large.
        """
        from presize.core.plain import made_of  # for those who read a file

        return made_of(cls, plain)


def thinned(n: int, most: int = MOST_POINTS) -> list[int]:
    """Return at most `most` of the positions 0..n-1, evenly, with the first and the last."""
    if n <= most:
        return list(range(n))
    return [round(i * (n - 1) / (most - 1)) for i in range(most)]


def taken(values: Sequence[float], positions: Sequence[int]) -> list[float | None]:
    """Return the values at some positions, with six digits, which is more than can be drawn."""
    return [number(float(f"{values[i]:.6g}")) for i in positions if i < len(values)]


def number(value: Any) -> Any:
    """Return a cell as JSON can hold it: None for what is no number, such as a loss of NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
