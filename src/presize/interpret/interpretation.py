"""Where a model errs: the losses of single items, over one loader."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.tensors import show_title

if TYPE_CHECKING:
    from presize.learner import Learner


class Interpretation:
    """Predictions, targets and losses of every item of a loader; pictures stay on disk.

    Args:
        learn: the learner that was asked.
        dl: the loader, in the order of its data set.
        preds: predictions after the activation of the loss, [n, …].
        targs: targets, [n, …].
        decoded: decoded predictions, [n, …].
        losses: the loss of each item, [n].
    """

    def __init__(
        self,
        learn: "Learner",
        dl: Any,
        preds: Tensor,
        targs: Tensor,
        decoded: Tensor,
        losses: Tensor,
    ) -> None:
        self.learn, self.dl = learn, dl
        self.preds, self.targs, self.decoded, self.losses = preds, targs, decoded, losses
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
        preds, targs, decoded, losses = learn.get_preds(
            dl=source, with_decoded=True, with_loss=True, act=act
        )
        if preds is None:
            raise DataError("There is nothing to interpret: the loader has no items.")
        if targs is None:
            raise DataError(
                "Interpretation compares predictions with targets, but this loader has no targets. "
                "For a test set whose labels are known use dls.test_dl(items, with_labels=True)."
            )
        return cls(learn, source, preds, _plain(targs), _plain(decoded), losses)

    def top_losses(self, k: int | None = None, *, largest: bool = True) -> tuple[Tensor, Tensor]:
        """Return the `k` largest (or smallest) losses and the indices of their items."""
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

        Above each: prediction / actual / loss / probability, and the file's name.
        """
        from presize.show import get_grid

        losses, indices = self.top_losses(k, largest=largest)
        axes = get_grid(
            len(indices),
            nrows,
            ncols,
            figsize=figsize,
            imsize=3.6,
            suptitle="Prediction / Actual / Loss / Probability",
        )
        for ax, loss, i in zip(axes, losses.tolist(), indices.tolist(), strict=False):
            self._picture(i).show(ctx=ax)
            show_title(self._caption(i, loss), ax, fontsize=9)
        figure: Any = axes[0].figure
        figure.tight_layout()
        return figure

    def _picture(self, i: int) -> Any:
        """Read item `i` again, and return its input as it can be shown."""
        return self.dl.decode_batch(self.dl.batch_of([i]), max_n=1)[0][0]

    def _caption(self, i: int, loss: float) -> str:
        return f"{self._name(self.decoded[i])} / {self._name(self.targs[i])} / {loss:.2f}"

    def _name(self, value: Tensor) -> str:
        return f"{value.tolist()}" if self.vocab is None else str(self.vocab[int(value)])


def _plain(value: Any) -> Tensor:
    return value.as_subclass(Tensor) if isinstance(value, Tensor) else torch.as_tensor(value)
