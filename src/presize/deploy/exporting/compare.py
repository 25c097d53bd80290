"""Whether two programs answer alike: the same class for each picture, and how far apart at most."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from presize.core.errors import ExportError

Run = Callable[[Tensor], Tensor]
"""A program that is compared: a batch in, probabilities out."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the answers of two programs agree.

    Args:
        pictures: how many were compared.
        same: for how many the answer is the same: the class, or all labels.
        largest: the largest difference of a probability; infinite where one is no number.
        where: the picture that has it.
        differs: the first picture with another answer; None if there is none.
    """

    pictures: int
    same: int
    largest: float
    where: str | None = None
    differs: str | None = None

    @property
    def share(self) -> float:
        """The part of pictures with the same answer, 0..1."""
        return self.same / self.pictures if self.pictures else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return asdict(self) | {"largest": float(f"{self.largest:.3g}")}

    def __str__(self) -> str:
        share = "100 %" if self.same == self.pictures else f"{100 * self.share:.1f} %"
        return (
            f"same answer for {self.same} of {self.pictures} ({share}), largest difference "
            f"{self.largest:.1e}"
        )


def agreement(
    expected: Tensor, got: Tensor, names: Sequence[str], task: str, *, tie: float
) -> Agreement:
    """Return how far answers agree.

    Args:
        expected: [n,...], what is right.
        got: the same of the other program.
        names: of the pictures.
        task: as data blocks name it.
        tie: two classes whose probabilities differ by less count as one.
    """
    if got.shape != expected.shape:
        raise ExportError(
            f"The exported model answers with {list(got.shape)} where the model gives "
            f"{list(expected.shape)}. This is a fault of the exporter: please report it."
        )
    if not len(expected):
        return Agreement(0, 0, 0.0)
    difference = (got.double() - expected.double()).abs().reshape(len(expected), -1).amax(1)
    difference = torch.where(difference.isnan(), torch.full_like(difference, math.inf), difference)
    same = _alike(expected.double(), got.double(), task, tie) & difference.isfinite()
    worst = int(difference.argmax())
    wrong = torch.nonzero(~same).flatten()
    return Agreement(
        pictures=len(expected),
        same=int(same.sum()),
        largest=float(difference[worst]),
        where=names[worst],
        differs=names[int(wrong[0])] if len(wrong) else None,
    )


def _alike(expected: Tensor, got: Tensor, task: str, tie: float) -> Tensor:
    if task in ("classification", "segmentation") and expected.ndim > 1 and expected.shape[1] > 1:
        best = expected.amax(1, keepdim=True)
        chosen = expected.gather(1, got.nan_to_num().argmax(1, keepdim=True))
        return (best - chosen <= tie).reshape(len(expected), -1).all(1)
    if task == "multilabel":
        close = (expected - 0.5).abs() <= tie
        return (close | ((expected > 0.5) == (got > 0.5))).reshape(len(expected), -1).all(1)
    near = (got - expected).abs() <= tie * expected.abs().clamp(min=1)
    return near.reshape(len(expected), -1).all(1)


def refuse_other(found: Agreement, tolerance: float, what: str, way_out: str) -> None:
    """Raise ExportError if answers differ by more than they may.

    Args:
        found: what was compared.
        tolerance: the largest difference that is let through.
        what: the two that were compared, the beginning of a sentence.
        way_out: the last sentence.
    """
    if found.same == found.pictures and found.largest <= tolerance:
        return
    what_differs, other = "a probability is no number", ""
    if found.differs:
        which = "it" if found.differs == found.where else found.differs
        other = f", and {which} gets another answer"
    if math.isfinite(found.largest):
        what_differs = (
            f"a probability differs by {found.largest:.3g}, where {tolerance:.3g} is let through"
        )
    raise ExportError(
        f"{what} do not agree, so nothing was written: for {found.where} {what_differs}{other} "
        f"({found.same} of {found.pictures} pictures have the same answer). {way_out}"
    )


def in_batches(run: Run, inputs: Tensor, sizes: Sequence[int] = (1, 3, 8)) -> Tensor:
    """Return the answers to inputs [n,...] in batches of changing size, the last one repeated."""
    made, start = [], 0
    for i in range(len(inputs)):
        if start >= len(inputs):
            break
        size = sizes[min(i, len(sizes) - 1)]
        made.append(run(inputs[start : start + size]))
        start += size
    return torch.cat(made)
