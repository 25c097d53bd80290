"""The figures of a model card: on the validation set, of each class, or of the last epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from presize.core.errors import PresizeError
from presize.deploy.card_markdown import Marked, plain, table
from presize.interpret.per_class import ClassFigures
from presize.learner import Learner
from presize.train.training_record import TrainingRecord

_MOST_CLASSES = 100  # a longer table is not read, and the report has it
_SHOWN = 30  # of it
_FEW = 20  # pictures of a class, below which its figures say little
_NAMED = 8
# The names that the hub lists metrics under; others are told in the card alone.
_ON_THE_HUB = {"accuracy": "accuracy", "f1": "f1", "f1score": "f1"}
_LEFT_OUT = {"epoch", "train_loss", "time"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Args:
        name: as it is shown.
        value: the number.
        text: the number as it is shown, in Markdown.
        kind: its name among the metrics of the hub; None for one that it does not know.
    """

    name: str
    value: float
    text: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered about its validation set.

    Args:
        n: how many pictures.
        task: "classification" or "multilabel".
        right: how many answers are right; None of several labels a picture.
        loss: the mean loss.
        ece: the calibration error of the answers; None where it is not known.
        classes: the figures of each class.
    """

    n: int
    task: str
    right: int | None
    loss: float
    ece: float | None
    classes: Sequence[ClassFigures]

    def limits(self) -> list[str]:
        """Return what the figures do not tell, in sentences of Markdown."""
        said = []
        few = [c for c in self.classes if c.count < _FEW]
        if few:
            names = ", ".join(plain(c.name) for c in few[:_NAMED])
            more = f" and {len(few) - _NAMED:,} more" if len(few) > _NAMED else ""
            said.append(
                f"Fewer than {_FEW} pictures were there to judge {len(few):,} of the "
                f"{len(self.classes):,} classes, so that their figures say little: {names}{more}."
            )
        known = [c for c in self.classes if not math.isnan(c.f1)]
        worst = min(known, key=lambda c: c.f1, default=None)
        if worst is not None and worst.f1 < 1:
            taken = ""
            if worst.most_confused_with is not None:
                taken = f", which it most often takes for {plain(worst.most_confused_with)}"
            said.append(f"It does worst on {plain(worst.name)} (F1 {worst.f1:.3f}){taken}.")
        return said


def answers_of(learn: Learner) -> Answers | None:
    """Return what a learner answers about its validation set; None where it has none."""
    from presize.interpret.choice import interpret

    task = str(getattr(learn.dls, "task", None))
    if task not in ("classification", "multilabel") or not _has_labels(learn):
        return None
    try:
        found: Any = interpret(learn)
        classes = found.per_class()
    except PresizeError:  # such as a loss that does not say what its outputs mean
        return None
    one = task == "classification"
    losses = found.losses.double()
    known = losses[~losses.isnan()]
    return Answers(
        n=len(found),
        task=task,
        right=int(found.correct.sum()) if one else None,
        loss=float(known.mean()) if len(known) else math.nan,
        ece=_error(found) if one and found.probable else None,
        classes=classes,
    )


def _has_labels(learn: Learner) -> bool:
    """Say whether there is a validation set; a learner from a model file has an empty one."""
    samples = getattr(getattr(learn.dls, "valid", None), "dataset", None)
    try:
        return samples is not None and len(samples) > 0
    except TypeError:  # an endless source
        return False


def _error(found: Any) -> float:
    from presize.train.calibration_error import calibration_error

    return calibration_error(*found.calibration())


def figures(answers: Answers | None) -> list[Figure]:
    """Return the figures of all pictures together; none without answers."""
    if answers is None:
        return []
    made = []
    if answers.right is not None:
        from presize.interpret.report.overview import wilson

        low, high = wilson(answers.right, answers.n)
        share = answers.right / answers.n
        text = f"{share:.4f} (95 % interval {low:.3f} to {high:.3f})"
        made.append(Figure("Accuracy", round(share, 6), text, "accuracy"))
    per_class = [c.f1 for c in answers.classes if not math.isnan(c.f1)]
    if per_class:
        mean = sum(per_class) / len(per_class)
        made.append(Figure("Mean F1 of the classes", round(mean, 6), f"{mean:.4f}", "f1"))
    if math.isfinite(answers.loss):
        made.append(Figure("Loss", round(answers.loss, 6), f"{answers.loss:.4g}"))
    if answers.ece is not None:
        made.append(Figure("Calibration error", round(answers.ece, 6), f"{answers.ece:.4f}"))
    return made


def last_figures(record: TrainingRecord) -> list[Figure]:
    """Return the figures of the last epoch, as its table had them."""
    fit = next((fit for fit in reversed(record.fits) if fit.rows), None)
    if fit is None:
        return []
    return [
        Figure(name, round(float(value), 6), f"{value:.4g}", _ON_THE_HUB.get(name.lower()))
        for name, value in zip(fit.names, fit.rows[-1], strict=False)
        if name not in _LEFT_OUT and _is_number(value)
    ]


def class_table(answers: Answers) -> str:
    """Return the table of the classes; of many, those that the model does worst on."""
    classes, head = list(answers.classes), "The classes"
    if len(classes) > _MOST_CLASSES:
        classes = sorted(classes, key=lambda c: (math.isnan(c.f1), c.f1))[:_SHOWN]
        head = f"The {_SHOWN} of {len(answers.classes):,} classes that it does worst on"
    names = ["Class", "Pictures", "Precision", "Recall", "F1"]
    rows = [
        [c.name, Marked(f"{c.count:,}"), *map(_share, (c.precision, c.recall, c.f1))]
        for c in classes
    ]
    if answers.task == "classification":
        names.append("Most often taken for")
        for row, c in zip(rows, classes, strict=True):
            other = c.most_confused_with
            row.append(Marked("" if other is None else f"{plain(other)} ({c.confused:,})"))
    return f"{head}:\n\n{table(names, rows)}"


def _share(value: float) -> Marked:
    return Marked("" if math.isnan(value) else f"{value:.3f}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
