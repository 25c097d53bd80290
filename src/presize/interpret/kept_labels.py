"""What is kept of the answers of a model of several labels: bits for items, counts for labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from presize.core.errors import DataError, ModelFileError
from presize.interpret.kept import plain
from presize.interpret.kept_classes import DIVERGED, check_vocab
from presize.interpret.kept_columns import Columns
from presize.interpret.multilabel_counts import BINS, LabelCounts, packed
from presize.interpret.per_class import ClassFigures
from presize.train.losses import decodes_of

_OVER = 1e-3
_NAME = 40


@dataclass(frozen=True)
class LabelRows:
    """What is kept of n items with any number of c labels.

    Args:
        losses: float32 [n].
        targs: the labels of each item as bits, uint8 [n, ceil(c / 8)].
        decoded: the predicted labels, likewise.
        right: how often each label is predicted and there, int64 [c].
        actual: how often it is there, int64 [c].
        predicted: how often it is predicted, int64 [c].
        loss_sums: the losses of the items that have it, added up, float64 [c].
        counts: how many items there are in each bin of the probability.
    """

    losses: Tensor
    targs: Tensor
    decoded: Tensor
    right: Tensor
    actual: Tensor
    predicted: Tensor
    loss_sums: Tensor
    counts: LabelCounts

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it as tensors by name."""
        return {**vars(self), "counts": self.counts.counts}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Self:
        """Return what `tensors` gave.

        Raises:
            ModelFileError: the shapes do not go together.
        """
        counts = tensors["counts"]
        n, c = len(tensors["losses"]), counts.shape[1]
        each, bits = ("right", "actual", "predicted", "loss_sums"), ("targs", "decoded")
        same = tuple(counts.shape) == (2, c, BINS)
        same = same and all(tuple(tensors[name].shape) == (c,) for name in each)
        if not same or any(tuple(tensors[name].shape) != (n, -(-c // 8)) for name in bits):
            raise ModelFileError(
                "The figures of items and labels do not go together: the file was changed since it "
                "was written. Make it again."
            )
        held = LabelCounts(c)
        held.counts = counts
        rest = {name: value for name, value in tensors.items() if name != "counts"}
        return cls(counts=held, **rest)


class LabelKeeper:
    """Keeps what `LabelRows` holds, batch by batch.

    Args:
        loss_func: says what predictions are, by its `decodes`.
        vocab: the labels of the data; None if it does not say.
        known: the labels that the model learned; None if its data does not say.
    """

    def __init__(self, loss_func: object, vocab: list[Any] | None, known: list[Any] | None) -> None:
        self.decode, self.vocab, self.known = decodes_of(loss_func), vocab, known
        self.labels: list[Any] = []
        self.counts = LabelCounts(0)
        self._sums: dict[str, Tensor] = {}
        self._items = Columns()

    def see(self, preds: Any, targets: tuple[Any, ...], losses: Tensor) -> Tensor | None:
        """Take a batch; each item has a row."""
        probs, actual = _checked(preds, targets)
        if not self.labels:
            self.labels = check_vocab(self.vocab, self.known, probs.shape[1], several=True)
        predicted = plain(self.decode(probs)).bool().cpu()
        self.keep(probs.cpu(), predicted, actual.cpu(), losses.cpu())
        return None

    def keep(self, probs: Tensor, predicted: Tensor, actual: Tensor, losses: Tensor) -> None:
        """Take the probabilities, predicted and true labels [n, c], and losses [n], of items."""
        if not self._sums:
            self.counts = LabelCounts(probs.shape[1])
        self.counts.add(probs, actual)
        self._items.add(losses=losses, targs=packed(actual), decoded=packed(predicted))
        sums = {
            "right": (predicted & actual).sum(0),
            "actual": actual.sum(0),
            "predicted": predicted.sum(0),
            "loss_sums": losses.double() @ actual.double(),
        }
        self._sums = {name: value + self._sums.get(name, 0) for name, value in sums.items()}

    def rows(self) -> LabelRows:
        """Return what was kept."""
        return LabelRows(counts=self.counts, **self._items.joined(), **self._sums)


def _checked(preds: Any, targets: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    """Return probabilities [n, c], and whether items have labels [n, c].

    Raises:
        DataError: they are something else.
    """
    targ = plain(targets[0]) if len(targets) == 1 else None
    if targ is None or not isinstance(preds, Tensor) or preds.shape != targ.shape or targ.ndim != 2:
        shapes = [list(getattr(t, "shape", ())) for t in (preds, *targets)]
        raise DataError(
            "MultiLabelInterpretation needs a 0 or 1 for each label of each item, in the shape of "
            f"the model's outputs [n, labels], but outputs and targets have the shapes {shapes}. "
            "Use ClassificationInterpretation for one class an item."
        )
    probs = plain(preds)
    low, high = (float(v) for v in probs.aminmax())
    if math.isnan(low) or math.isnan(high):
        raise DataError(DIVERGED)
    if not (low >= 0 and high <= 1 + _OVER):
        raise DataError(
            f"The model's outputs go from {low:.3g} to {high:.3g}, so that they are no "
            "probabilities: the loss function does not say what makes them so. Pass "
            "act=torch.sigmoid."
        )
    if bool(((targ != 0) & (targ != 1)).any()):
        raise DataError(
            "MultiLabelInterpretation needs a 0 or 1 for each label of each item, but the targets "
            "have other values."
        )
    return probs, targ.bool()


def report_text(figures: Sequence[ClassFigures], missing: Sequence[Any]) -> str:
    """Return the figures of labels as a table, with their means over the labels that occur."""
    names = [str(f.name) for f in figures]
    width = min(max(map(len, [*names, "mean of labels"])), _NAME)
    heads = ("precision", "recall", "f1-score", "average precision", "support")
    lines = [" " * width + "".join(f"  {head}" for head in heads), ""]
    for name, f in zip(names, figures, strict=True):
        values = (f.precision, f.recall, f.f1, f.average_precision)
        lines.append(_line(name, values, f.count, width, heads))
    there = [f for f in figures if f.count]
    if there:
        columns = zip(
            *((f.precision, f.recall, f.f1, f.average_precision) for f in there), strict=True
        )
        # A label that is never predicted has a precision of 0 here, as in scikit-learn's table.
        means = [sum(_number(v) for v in column) / len(there) for column in columns]
        lines += ["", _line("mean of labels", means, sum(f.count for f in there), width, heads)]
    if missing:
        shown = ", ".join(map(str, missing[:8])) + (" …" if len(missing) > 8 else "")
        lines += ["", f"No pictures of: {shown}"]
    return "\n".join(lines) + "\n"


def _line(
    name: str, values: Sequence[float | None], count: int, width: int, heads: Sequence[str]
) -> str:
    short = name if len(name) <= width else name[: width - 1] + "…"
    cells = [f"{'-' if math.isnan(_number(v, math.nan)) else f'{v:.2f}'}" for v in values]
    pairs = zip([*cells, str(count)], heads, strict=True)
    return f"{short:>{width}}" + "".join(f"  {cell:>{len(head)}}" for cell, head in pairs)


def _number(value: float | None, otherwise: float = 0.0) -> float:
    return otherwise if value is None or math.isnan(value) else value
