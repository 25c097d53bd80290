"""Where a classifier errs: confusion between classes, and the report for each."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.interpret.confusion import Counts, confusion_counts, most_confused
from presize.interpret.interpretation import Interpretation, one_vocab, vocab_of
from presize.interpret.kept import loader_of, one_pass, split_name
from presize.interpret.kept_classes import DIVERGED, ClassKeeper, ClassRows
from presize.interpret.kept_items import Items
from presize.interpret.per_class import ClassFigures, class_figures, report_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from presize.learner import Learner

_SHOWN = 5
_NO_ACTIVATION = (
    "The model's outputs are not between 0 and 1, so that they are no probabilities: the loss "
    "function does not say what makes them so. Pass act=, such as torch.sigmoid or "
    "partial(torch.softmax, dim=1)."
)


class ClassificationInterpretation(Interpretation):
    """Interpretation of a classifier with one class per item; see `from_learner`.

    Of each item the `k` = 5 most probable classes are kept, so that the memory grows with the
    items alone: 50,000 of them take 5 MB, whatever the number of classes.

    Args:
        rows: what is kept of each item.
        items: where the items are.
        vocab: the classes, by number.
        learn: the learner that was asked; None if its answers were read from a file.
        probable: whether the outputs are probabilities.
        single: whether the model has one output for two classes.
    """

    kind: ClassVar[str] = "classification"
    targs: Tensor
    """The number of the true class of each row, int64 [n]."""
    decoded: Tensor
    """The number of the predicted class of each row, int64 [n]."""

    def __init__(
        self,
        rows: ClassRows,
        items: Items,
        vocab: Sequence[Any],
        *,
        learn: "Learner | None" = None,
        probable: bool = True,
        single: bool = False,
    ) -> None:
        super().__init__(
            rows.losses,
            items,
            learn=learn,
            task="classification",
            vocab=list(vocab),
            targs=rows.targs,
            decoded=rows.top_classes[:, 0],
        )
        self.rows, self.probable, self.single = rows, probable, single
        self._note_what_is_odd()

    @classmethod
    def from_learner(
        cls,
        learn: "Learner",
        ds_idx: int = 1,
        dl: Any = None,
        act: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Ask the learner about every item of a loader, in one pass.

        Args:
            ds_idx: which loader of the data, if `dl` is not given.
            dl: any loader with targets.
            act: what makes probabilities of the model's output; None takes what the loss implies.

        Raises:
            DataError: the loader is empty, or has no targets, as that of a test set; there are
                several labels for an item, or only one class; the classes are not the model's.
        """
        source = loader_of(learn, ds_idx, dl)
        known = one_vocab(getattr(learn.dls, "vocab", None))
        keeper = ClassKeeper(learn.loss_func, vocab_of(source, learn), known)
        items = one_pass(learn, source, keeper, act=act, split=split_name(ds_idx, dl))
        options = {"probable": keeper.probable, "single": keeper.single}
        return cls(keeper.rows(), items, keeper.classes, learn=learn, **options)

    @classmethod
    def from_arrays(
        cls,
        probabilities: "Tensor | npt.NDArray[np.floating[Any]]",
        targets: Any,
        *,
        vocab: Sequence[Any] | None = None,
        files: Sequence[Any] | None = None,
    ) -> Self:
        """Interpret predictions of any origin.

        Args:
            probabilities: of each class, 0 to 1, [n, c]; also a NumPy array in a file
                (`np.load(path, mmap_mode="r")`), which is read piece by piece.
            targets: class numbers [n], or names in `vocab`.
            vocab: the classes, by number; the numbers themselves if None.
            files: the file of each item, for pictures and names.

        Raises:
            DataError: shapes that do not go together, values that are no probabilities, targets
                that are no classes.
        """
        from presize.interpret.kept_arrays import class_rows, items_of

        classes = list(range(probabilities.shape[-1])) if vocab is None else list(vocab)
        rows = class_rows(probabilities, targets, classes)
        return cls(rows, items_of(len(rows.losses), files), classes)

    def _note_what_is_odd(self) -> None:
        missing = self.missing_classes
        if missing:
            shown = ", ".join(map(str, missing[:_SHOWN]))
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            self.notes.append(
                f"There are no pictures of {len(missing)} of the {len(self.vocab)} classes, so "
                f"that nothing is known of them: {shown}{more}."
            )
        if not self.probable:
            self.notes.append(DIVERGED if bool(self.confidences.isnan().any()) else _NO_ACTIVATION)

    # ---- what is known of each row ---------------------------------------------------------

    @property
    def top_classes(self) -> Tensor:
        """The numbers of the k most probable classes, the predicted one first: int64 [n, k]."""
        return self.rows.top_classes

    @property
    def top_probs(self) -> Tensor:
        """Their probabilities: float32 [n, k]."""
        return self.rows.top_probs

    @property
    def target_probs(self) -> Tensor:
        """The probability of the true class: float32 [n]."""
        return self.rows.target_probs

    @property
    def confidences(self) -> Tensor:
        """The probability of the predicted class: float32 [n]."""
        return self.rows.top_probs[:, 0]

    @property
    def correct(self) -> Tensor:
        """Whether the prediction is right: bool [n]."""
        return self.targs == self.decoded

    @property
    def accuracy(self) -> float:
        """The share of predictions that are right."""
        return float(self.correct.float().mean())

    def calibration(self) -> tuple[Tensor, Tensor]:
        """Return the confidence of each prediction, float32 [n], and if it is right, bool [n].

        Raises:
            DataError: the outputs are no probabilities.
        """
        if not self.probable:
            raise DataError(f"There is no confidence to look at. {self.notes[-1]}")
        return self.confidences, self.correct

    def rows_of(self, actual: Any = None, predicted: Any = None) -> Tensor:
        """Return the rows of a class that were taken for another, the largest loss first.

        Args:
            actual: the true class, by name or number; None for any.
            predicted: the predicted class, likewise.

        Raises:
            DataError: there is no such class.
        """
        from presize.interpret.per_class import class_number

        chosen = torch.ones(len(self), dtype=torch.bool)
        for wanted, values in ((actual, self.targs), (predicted, self.decoded)):
            if wanted is not None:
                chosen &= values == class_number(wanted, self.vocab)
        rows = chosen.nonzero()[:, 0]
        return rows[self.losses[rows].argsort(descending=True, stable=True)]

    # ---- classes ---------------------------------------------------------------------------

    def confusion_matrix(self) -> Counts:
        """Return how often class i (row) was taken for class j (column): int64 [c, c]."""
        return confusion_counts(self.targs, self.decoded, len(self.vocab))

    def plot_confusion_matrix(self, **options: Any) -> Any:
        """Draw the confusion matrix; options as those of `plot_confusion`."""
        from presize.interpret.confusion_plot import plot_confusion

        return plot_confusion(self.confusion_matrix(), self.vocab, **options)

    def plot_calibration(self, **options: Any) -> Any:
        """Draw how often predictions are right, by confidence; options as `plot_calibration`.

        See `presize.interpret.curves`.
        """
        from presize.interpret.curves import plot_calibration

        confidence, correct = self.calibration()
        return plot_calibration(confidence, correct, **options)

    def plot_per_class(self, **options: Any) -> Any:
        """Draw the F1 of the worst classes; options as `presize.interpret.bars.plot_per_class`."""
        from presize.interpret.bars import plot_per_class

        figures = self.per_class()
        names, counts = [f.name for f in figures], [f.count for f in figures]
        return plot_per_class(names, [f.f1 for f in figures], counts, **options)

    def most_confused(self, min_val: int = 1) -> list[tuple[Any, Any, int]]:
        """Return (actual, predicted, count) of errors made at least `min_val` times."""
        return most_confused(self.confusion_matrix(), self.vocab, min_val)

    @property
    def missing_classes(self) -> list[Any]:
        """The classes that no item has."""
        counts = torch.bincount(self.targs, minlength=len(self.vocab))
        return [self.vocab[i] for i in (counts == 0).nonzero()[:, 0].tolist()]

    def per_class(self) -> list[ClassFigures]:
        """Return the figures of each class, in the order of `vocab`."""
        return class_figures(self.confusion_matrix(), self.vocab, self.targs, self.losses)

    def classification_report(self) -> str:
        """Return precision, recall, F1 and count of each class as a table.

        Classes that no item has are named below it.
        """
        return report_text(self.targs, self.decoded, self.vocab, self.missing_classes)

    def print_classification_report(self) -> None:
        """Print precision, recall, F1 and count of each class."""
        print(self.classification_report())

    # ---- pictures --------------------------------------------------------------------------

    @property
    def heading(self) -> str:
        """What stands above the pictures of `plot_top_losses`."""
        return f"{super().heading} / Probability"

    def _extra(self, row: int) -> tuple[str, ...]:
        return (f"{float(self.confidences[row]):.2f}",)

    def _is_right(self, row: int) -> bool | None:
        return bool(self.correct[row])

    def _explained(self, rows: Sequence[int]) -> Tensor | None:
        return None if self.single else self.decoded[list(rows)]

    # ---- on disk ---------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Return what `save` writes, but for the items: tensors by name."""
        return dict(vars(self.rows))

    def options(self) -> dict[str, Any]:
        """Return what else `save` writes, in JSON."""
        return {"probable": self.probable, "single": self.single}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], items: Items, vocab: Any, options: dict[str, Any]
    ) -> Self:
        """Return what `tensors` and `options` were taken from."""
        rows = ClassRows(**tensors)
        rows.check(len(vocab))
        return cls(rows, items, vocab, probable=options["probable"], single=options["single"])
