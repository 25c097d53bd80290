"""The figures of each class: how many, how often right, what it is taken for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presize.core.errors import DataError, did_you_mean
from presize.interpret.confusion import Counts

_SHOWN = 8


@dataclass(frozen=True)
class ClassFigures:
    """What is known of one class or label.

    Args:
        name: of the class.
        count: how many items have it.
        predicted: how many items it is predicted for.
        precision: the share of those that have it, 0 to 1; nan if it is never predicted.
        recall: the share of the items that have it for which it is predicted; nan if none has it.
        f1: the harmonic mean of both; nan if no item has it.
        mean_loss: of the items that have it; nan if none has.
        most_confused_with: the class that it is most often taken for; None if it is never wrong.
        confused: how often that is.
        average_precision: of several labels for an item: the area under precision over recall;
            None for classes.
    """

    name: Any
    count: int
    predicted: int
    precision: float
    recall: float
    f1: float
    mean_loss: float
    most_confused_with: Any = None
    confused: int = 0
    average_precision: float | None = None


def class_figures(
    counts: Counts, vocab: Sequence[Any], targs: Tensor, losses: Tensor
) -> list[ClassFigures]:
    """Return the figures of each class.

    Args:
        counts: how often class i (row) was taken for class j (column), [c, c].
        vocab: the classes, by number.
        targs: class numbers [n].
        losses: [n].
    """
    right, actual, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    figures = rates(right, actual, predicted)
    means = mean_losses(targs, losses, len(vocab))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    worst = wrong.argmax(1)
    return [
        ClassFigures(
            name=name,
            count=int(actual[i]),
            predicted=int(predicted[i]),
            precision=float(figures[0][i]),
            recall=float(figures[1][i]),
            f1=float(figures[2][i]),
            mean_loss=float(means[i]),
            most_confused_with=vocab[int(worst[i])] if wrong[i, worst[i]] else None,
            confused=int(wrong[i, worst[i]]),
        )
        for i, name in enumerate(vocab)
    ]


def rates(
    right: "np.ndarray[Any, Any]",
    actual: "np.ndarray[Any, Any]",
    predicted: "np.ndarray[Any, Any]",
) -> "tuple[np.ndarray[Any, Any], ...]":
    """Return precision, recall and F1 of each class from its counts; nan where there is none."""
    with np.errstate(invalid="ignore"):
        precision = right / np.where(predicted, predicted, np.nan)
        recall = right / np.where(actual, actual, np.nan)
        f1 = 2 * right / np.where(actual, actual + predicted, np.nan)
    return precision, recall, f1


def mean_losses(targs: Tensor, losses: Tensor, n_classes: int) -> "np.ndarray[Any, Any]":
    """Return the mean loss of the items of each class; nan for a class without items."""
    totals = torch.zeros(n_classes, dtype=torch.float64).index_add_(0, targs, losses.double())
    # 0 / 0 is nan, and PyTorch says nothing of it.
    means: np.ndarray[Any, Any] = (totals / torch.bincount(targs, minlength=n_classes)).numpy()
    return means


def class_number(wanted: Any, vocab: Sequence[Any]) -> int:
    """Return the number of a class, given by name or number.

    Raises:
        DataError: there is no such class; near names are shown.
    """
    names = list(vocab)
    if wanted in names:
        return names.index(wanted)
    if isinstance(wanted, int | np.integer | Tensor) and 0 <= int(wanted) < len(names):
        return int(wanted)
    shown = ", ".join(map(str, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
    raise DataError(
        f"There is no class {wanted!r}.{did_you_mean(wanted, names)} The classes are: {shown}."
    )


def report_text(
    targs: Tensor, decoded: Tensor, vocab: Sequence[Any], missing: Sequence[Any]
) -> str:
    """Return precision, recall, F1 and count of each class as scikit-learn's table.

    Classes that are neither there nor predicted would count as failures in its averages: they are
    left out, and those that are not there are named below.
    """
    from sklearn.metrics import classification_report

    labels = torch.cat([targs, decoded]).unique().tolist()
    report: str = classification_report(
        targs.numpy(),
        decoded.numpy(),
        labels=labels,
        target_names=[str(vocab[i]) for i in labels],
        zero_division=0,
    )
    if not missing:
        return report
    names = ", ".join(map(str, missing[:_SHOWN]))
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"{report}\nNo pictures of: {names}{more}\n"
