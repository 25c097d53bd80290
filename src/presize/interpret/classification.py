"""Where a classifier errs: confusion between classes, and the report for each."""

from typing import Any

from torch import Tensor

from presize.core.errors import DataError
from presize.interpret.confusion import Counts, confusion_counts, most_confused, plot_confusion
from presize.interpret.interpretation import Interpretation


class ClassificationInterpretation(Interpretation):
    """Interpretation of a classifier with one label per item; see `from_learner`."""

    def __init__(
        self,
        learn: Any,
        dl: Any,
        preds: Tensor,
        targs: Tensor,
        decoded: Tensor,
        losses: Tensor,
        indices: Tensor | None = None,
    ) -> None:
        super().__init__(learn, dl, preds, targs, decoded, losses, indices)
        if self.targs.shape != self.decoded.shape:
            raise DataError(
                f"ClassificationInterpretation needs one class per item, but the targets have the "
                f"shape {tuple(self.targs.shape)} and the decoded predictions "
                f"{tuple(self.decoded.shape)}. Use Interpretation for several labels or numbers."
            )
        if self.vocab is None:
            self.vocab = list(range(preds.shape[-1]))

    def confusion_matrix(self) -> Counts:
        """Return how often class i (row) was taken for class j (column): int64 [n, n]."""
        return confusion_counts(self.targs, self.decoded, len(self.vocab))

    def plot_confusion_matrix(self, **options: Any) -> Any:
        """Draw the confusion matrix; options as `presize.interpret.confusion.plot_confusion`."""
        return plot_confusion(self.confusion_matrix(), self.vocab, **options)

    def most_confused(self, min_val: int = 1) -> list[tuple[Any, Any, int]]:
        """Return (actual, predicted, count) of errors made at least `min_val` times."""
        return most_confused(self.confusion_matrix(), self.vocab, min_val)

    def classification_report(self) -> str:
        """Return precision, recall, F1 and count of each class as a table."""
        from sklearn.metrics import classification_report

        report: str = classification_report(
            self.targs.flatten(),
            self.decoded.flatten(),
            labels=list(range(len(self.vocab))),
            target_names=[str(name) for name in self.vocab],
            zero_division=0,
        )
        return report

    def print_classification_report(self) -> None:
        """Print precision, recall, F1 and count of each class."""
        print(self.classification_report())

    @property
    def heading(self) -> str:
        """What stands above the pictures of `plot_top_losses`."""
        return f"{super().heading} / Probability"

    def _extra(self, row: int) -> tuple[str, ...]:
        return (f"{float(self.preds[row][int(self.decoded[row])]):.2f}",)
