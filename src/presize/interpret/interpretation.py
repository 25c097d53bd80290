"""Where a model errs: the losses of single items, over one loader."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.core.types import Task
from presize.inference import ask, warn_of_missing
from presize.tensors import TensorMask, TensorPoint, show_title

if TYPE_CHECKING:
    from presize.learner import Learner

# Predictions that are drawn on the picture, not written above it.
DRAWN: dict[Task | None, type[TensorMask | TensorPoint]] = {
    "segmentation": TensorMask,
    "points": TensorPoint,
}


class Interpretation:
    """Predictions, targets and losses of every item of a loader; pictures stay on disk.

    Items whose picture cannot be read have no row; `indices` says which item a row is of.

    Args:
        learn: the learner that was asked.
        dl: the loader, in the order of its data set.
        preds: predictions after the activation of the loss, [n, …].
        targs: targets, [n, …].
        decoded: decoded predictions, [n, …].
        losses: the loss of each item, [n].
        indices: the index in the data set of each row, int64 [n]; None for all items in order.
    """

    def __init__(
        self,
        learn: "Learner",
        dl: Any,
        preds: Tensor,
        targs: Tensor,
        decoded: Tensor,
        losses: Tensor,
        indices: Tensor | None = None,
    ) -> None:
        self.learn, self.dl = learn, dl
        self.preds, self.targs, self.decoded, self.losses = preds, targs, decoded, losses
        self.indices = torch.arange(len(losses)) if indices is None else indices
        self.task: Task | None = getattr(learn.dls, "task", None)
        self.vocab: Any = getattr(dl, "vocab", None) or getattr(learn.dls, "vocab", None)

    @classmethod
    def from_learner(
        cls,
        learn: "Learner",
        ds_idx: int = 1,
        dl: Any = None,
        act: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Ask the learner about every item of a loader, in one pass.

        Raises:
            DataError: the loader is empty, or has no targets, as that of a test set.
        """
        source = learn.dls[ds_idx] if dl is None else dl
        if hasattr(source, "new"):
            source = source.new(shuffle=False, drop_last=False)
        answers = ask(learn, source, with_decoded=True, with_loss=True, act=act)
        if answers.preds is None:
            raise DataError("There is nothing to interpret: the loader has no items.")
        if answers.targets is None or answers.losses is None:
            raise DataError(
                "Interpretation compares predictions with targets, but this loader has no targets. "
                "For a test set whose labels are known use dls.test_dl(items, with_labels=True)."
            )
        warn_of_missing(answers.left_out)
        return cls(
            learn,
            source,
            answers.preds,
            _plain(answers.targets),
            _plain(answers.decoded),
            answers.losses,
            answers.indices(),
        )

    def top_losses(self, k: int | None = None, *, largest: bool = True) -> tuple[Tensor, Tensor]:
        """Return the `k` largest (or smallest) losses and the indices of their items.

        The indices are those of the data set: `interp.dl.dataset.items[i]` is the item. They are
        those of the rows of `preds` as well, unless items could not be read; see `indices`.
        """
        losses, rows = self._top_rows(k, largest=largest)
        return losses, self.indices[rows]

    def _top_rows(self, k: int | None, *, largest: bool) -> tuple[Tensor, Tensor]:
        n = len(self.losses)
        top = self.losses.topk(n if k is None else min(k, n), largest=largest)
        return top.values, top.indices

    def plot_top_losses(
        self,
        k: int = 9,
        *,
        largest: bool = True,
        nrows: int | None = None,
        ncols: int | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Draw the items with the largest losses; return the figure.

        Above each: what `heading` says, and the file's name. Predicted masks and points are drawn
        on the picture instead.
        """
        from presize.show import get_grid

        losses, rows = self._top_rows(k, largest=largest)
        axes = get_grid(len(rows), nrows, ncols, figsize=figsize, imsize=3.6, suptitle=self.heading)
        for ax, loss, row in zip(axes, losses.tolist(), rows.tolist(), strict=False):
            self._draw(row, ax)
            show_title(self._caption(row, loss), ax, fontsize=9)
        figure: Any = axes[0].figure
        figure.tight_layout()
        return figure

    @property
    def heading(self) -> str:
        """What stands above the pictures of `plot_top_losses`."""
        return "Loss" if self.task in DRAWN else "Prediction / Actual / Loss"

    def _draw(self, row: int, ax: Any) -> None:
        """Read the item of a row again and draw its input, and a prediction that belongs on it."""
        batch, n = self.dl.batch_of([int(self.indices[row])]), self.dl.n_inp
        if self.task not in DRAWN:
            self.dl.decode_batch(batch, max_n=1)[0][0].show(ctx=ax)
            return
        kind = DRAWN[self.task]
        decoded = kind(self.decoded[row : row + 1])
        whole = self.dl.decode_batch((*batch[:n], decoded), max_n=1)[0]
        for value in (whole[0], *whole[n:]):
            value.show(ctx=ax)

    def _caption(self, row: int, loss: float) -> str:
        """Return names, figures and file on a line each: long names overlap on one line."""
        values = () if self.task in DRAWN else (self.decoded[row], self.targs[row])
        figures = " / ".join((f"{loss:.2f}", *self._extra(row)))
        lines = (" / ".join(map(self._name, values)), figures, self._path(row))
        return "\n".join(filter(None, lines))

    def _extra(self, row: int) -> tuple[str, ...]:
        """Return further figures of the item of a row for its caption."""
        return ()

    def _name(self, value: Tensor) -> str:
        """Return a prediction or target in words: the class, the labels that are 1, the numbers."""
        if self.task == "multilabel" and self.vocab is not None:
            hot = value.flatten().tolist()
            return ";".join(str(o) for o, there in zip(self.vocab, hot, strict=True) if there)
        if self.vocab is not None and value.numel() == 1:
            return str(self.vocab[int(value)])
        return ", ".join(f"{v:.4g}" for v in value.flatten().tolist())

    def _path(self, row: int) -> str:
        item = self.dl.dataset.items[int(self.indices[row])]
        return getattr(item, "name", "")


def _plain(value: Any) -> Tensor:
    return value.as_subclass(Tensor) if isinstance(value, Tensor) else torch.as_tensor(value)
