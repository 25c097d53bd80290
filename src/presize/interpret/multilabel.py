"""Where a model errs that gives each item several labels, or none."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor

from presize.core.errors import ModelFileError
from presize.interpret.interpretation import Interpretation, one_vocab, vocab_of
from presize.interpret.kept import loader_of, one_pass, split_name
from presize.interpret.kept_items import Items
from presize.interpret.kept_labels import LabelKeeper, LabelRows
from presize.interpret.multilabel_counts import PrecisionRecall, unpacked
from presize.interpret.per_class import ClassFigures, rates

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from presize.learner import Learner

_SHOWN = 5


class MultiLabelInterpretation(Interpretation):
    """Interpretation of a model of several labels an item; see `from_learner`.

    Of each item its labels and the predicted ones are kept as bits, of the probabilities only how
    many lie in each of 1,024 bins: 50,000 items with 1,000 labels take 30 MB.

    Args:
        rows: what is kept of each item and of each label.
        items: where the items are.
        vocab: the labels, by number.
        learn: the learner that was asked; None if its answers were read from a file.
    """

    kind: ClassVar[str] = "multilabel"

    def __init__(
        self,
        rows: LabelRows,
        items: Items,
        vocab: Sequence[Any],
        *,
        learn: "Learner | None" = None,
    ) -> None:
        super().__init__(rows.losses, items, learn=learn, task="multilabel", vocab=list(vocab))
        self.rows = rows
        missing = self.missing_classes
        if missing:
            shown = ", ".join(map(str, missing[:_SHOWN]))
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            self.notes.append(
                f"No picture has {len(missing)} of the {len(self.vocab)} labels, so that little is "
                f"known of them: {shown}{more}."
            )

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
            DataError: the loader is empty, or has no targets; the targets are not 0 or 1 for each
                label; the outputs are no probabilities; the labels are not the model's.
        """
        source = loader_of(learn, ds_idx, dl)
        known = one_vocab(getattr(learn.dls, "vocab", None))
        keeper = LabelKeeper(learn.loss_func, vocab_of(source, learn), known)
        items = one_pass(learn, source, keeper, act=act, split=split_name(ds_idx, dl))
        return cls(keeper.rows(), items, keeper.labels, learn=learn)

    @classmethod
    def from_arrays(
        cls,
        probabilities: "Tensor | npt.NDArray[np.floating[Any]]",
        targets: Any,
        *,
        vocab: Sequence[Any] | None = None,
        files: Sequence[Any] | None = None,
        threshold: float = 0.5,
    ) -> Self:
        """Interpret predictions of any origin.

        Args:
            probabilities: of each label, 0 to 1, [n, c]; also a NumPy array in a file, which is
                read piece by piece.
            targets: 0 or 1 for each label of each item, [n, c].
            vocab: the labels, by number; the numbers themselves if None.
            files: the file of each item, for pictures and names.
            threshold: a label is predicted above this probability.

        Raises:
            DataError: shapes that do not go together, or values that are no probabilities.
        """
        from presize.interpret.kept_arrays import items_of, label_rows

        labels = list(range(probabilities.shape[-1])) if vocab is None else list(vocab)
        rows = label_rows(probabilities, targets, labels, threshold)
        return cls(rows, items_of(len(rows.losses), files), labels)

    # ---- labels ----------------------------------------------------------------------------

    @property
    def missing_classes(self) -> list[Any]:
        """The labels that no item has."""
        return [self.vocab[i] for i in (self.rows.actual == 0).nonzero()[:, 0].tolist()]

    def precision_recall(self) -> PrecisionRecall:
        """Return precision and recall of each label at 1,024 thresholds, and the area below."""
        return self.rows.counts.curves()

    def per_class(self) -> list[ClassFigures]:
        """Return the figures of each label, in the order of `vocab`.

        Precision, recall and F1 are those of the predicted labels: at the threshold of the loss,
        0.5 unless it was made with another one.
        """
        rows = self.rows
        right, actual, predicted = (t.numpy() for t in (rows.right, rows.actual, rows.predicted))
        precision, recall, f1 = rates(right, actual, predicted)
        means = (rows.loss_sums / rows.actual).tolist()  # nan for a label that no item has
        areas = self.precision_recall().average_precision
        return [
            ClassFigures(
                name=name,
                count=int(actual[i]),
                predicted=int(predicted[i]),
                precision=float(precision[i]),
                recall=float(recall[i]),
                f1=float(f1[i]),
                mean_loss=means[i],
                average_precision=float(areas[i]),
            )
            for i, name in enumerate(self.vocab)
        ]

    def plot_precision_recall(self, **options: Any) -> Any:
        """Draw precision over recall of each label; options as `plot_precision_recall`.

        See `presize.interpret.curves`.
        """
        from presize.interpret.curves import plot_precision_recall

        found = self.precision_recall()
        return plot_precision_recall(
            found.precision,
            found.recall,
            self.vocab,
            average_precision=found.average_precision,
            **options,
        )

    def plot_per_class(self, **options: Any) -> Any:
        """Draw the F1 of the worst labels; options as `presize.interpret.bars.plot_per_class`."""
        from presize.interpret.bars import plot_per_class

        figures = self.per_class()
        names, counts = [f.name for f in figures], [f.count for f in figures]
        return plot_per_class(names, [f.f1 for f in figures], counts, **options)

    def classification_report(self) -> str:
        """Return precision, recall, F1, average precision and count of each label as a table."""
        from presize.interpret.kept_labels import report_text

        return report_text(self.per_class(), self.missing_classes)

    def print_classification_report(self) -> None:
        """Print precision, recall, F1, average precision and count of each label."""
        print(self.classification_report())

    # ---- items -----------------------------------------------------------------------------

    def labels_of(self, row: int) -> tuple[list[Any], list[Any]]:
        """Return the predicted labels of a row, and the true ones."""
        bits = (self.rows.decoded[row : row + 1], self.rows.targs[row : row + 1])
        sets = (unpacked(one, len(self.vocab))[0] for one in bits)
        predicted, actual = ([self.vocab[i] for i in one.nonzero()[:, 0].tolist()] for one in sets)
        return predicted, actual

    def rows_of(self, label: Any, *, right: bool | None = None) -> Tensor:
        """Return the rows that have a label or are said to, the largest loss first.

        Args:
            label: by name or number.
            right: True for those where the prediction of this label is right, False for those
                where it is wrong, None for both.

        Raises:
            DataError: there is no such label.
        """
        from presize.interpret.per_class import class_number

        place = class_number(label, self.vocab)
        byte, bit = place // 8, 7 - place % 8  # as NumPy packs bits, the first one highest
        actual = (self.rows.targs[:, byte] >> bit & 1).bool()
        predicted = (self.rows.decoded[:, byte] >> bit & 1).bool()
        chosen = actual | predicted
        if right is not None:
            chosen &= (actual == predicted) == right
        rows = chosen.nonzero()[:, 0]
        return rows[self.losses[rows].argsort(descending=True, stable=True)]

    def names_of(self, row: int) -> tuple[str, str]:
        """Return the predicted and the true labels of a row in words."""
        predicted, actual = self.labels_of(row)
        return "; ".join(map(str, predicted)) or "none", "; ".join(map(str, actual)) or "none"

    def _is_right(self, row: int) -> bool | None:
        return bool((self.rows.decoded[row] == self.rows.targs[row]).all())

    # ---- on disk ---------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Return what `save` writes, but for the items: tensors by name."""
        return self.rows.tensors()

    def options(self) -> dict[str, Any]:
        """Return what else `save` writes, in JSON."""
        return {}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], items: Items, vocab: Any, options: dict[str, Any]
    ) -> Self:
        """Return what `tensors` and `options` were taken from."""
        rows = LabelRows.from_tensors(tensors)
        if rows.counts.counts.shape[1] != len(vocab):
            raise ModelFileError(
                f"The file has figures for {rows.counts.counts.shape[1]} labels, but names for "
                f"{len(vocab)}: it was changed since it was written. Make it again."
            )
        return cls(rows, items, vocab)
