"""Collects what the model answers over a whole loader, in the order of the data set."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.core.device import map_tensors, to_detach, to_float
from presize.core.joining import concatenate as concatenate

if TYPE_CHECKING:
    from presize.learner import Learner


class GatherPredsCallback(Callback):
    """Keeps predictions and targets (and inputs, losses) of every batch of a validation pass.

    Args:
        with_input: keep the inputs as well.
        with_loss: keep the loss of each item; the learner's loss must then not be averaged.
        with_preds: keep the raw predictions.
        with_targs: keep the targets.
    """

    order = 0
    run_train = False

    def __init__(
        self,
        *,
        with_input: bool = False,
        with_loss: bool = False,
        with_preds: bool = True,
        with_targs: bool = True,
    ) -> None:
        self.with_input, self.with_loss = with_input, with_loss
        self.with_preds, self.with_targs = with_preds, with_targs
        self.inputs: list[Any] = []
        self.preds: list[Any] = []
        self.targets: list[Any] = []
        self.losses: list[Tensor] = []

    def before_validate(self, learn: "Learner") -> None:
        """Start empty."""
        self.inputs, self.preds, self.targets, self.losses = [], [], [], []

    def after_batch(self, learn: "Learner") -> None:
        """Keep the batch, on the CPU."""
        if self.with_input:
            self.inputs.append(to_detach(learn.typed_batch[: len(learn.xb)]))
        if self.with_preds:
            # Probabilities of 16 bits would not add up to 1, and NumPy does not know bfloat16.
            self.preds.append(to_float(to_detach(learn.pred)))
        if self.with_targs and learn.yb:
            self.targets.append(to_detach(learn.typed_batch[len(learn.xb) :]))
        if self.with_loss and learn.yb:
            self.losses.append(item_losses(learn.loss).cpu())

    def all_inputs(self) -> Any:
        """Return all inputs: a tensor, or a tuple of them."""
        return _single(concatenate(self.inputs))

    def all_preds(self) -> Any:
        """Return all predictions, None if there were no batches."""
        return concatenate(self.preds)

    def all_targets(self) -> Any:
        """Return all targets: a tensor, a tuple of them, or None where there are none."""
        return _single(concatenate(self.targets))

    def all_losses(self) -> Tensor | None:
        """Return the loss of each item, None where there are no targets."""
        return torch.cat(self.losses) if self.losses else None


def item_losses(loss: Tensor) -> Tensor:
    """Return one float32 number for each item, [n], of losses that may have several, [n, ...]."""
    each = loss.detach().float()
    return each.reshape(len(each), -1).mean(1)


def reorder(values: Any, order: Tensor) -> Any:
    """Put `values`, which came in the sequence `order` of indices, back into 0, 1, 2 and so on."""
    back = order.argsort()
    return map_tensors(lambda t: t[back], values)


def _single(values: Any) -> Any:
    return values[0] if isinstance(values, tuple | list) and len(values) == 1 else values
