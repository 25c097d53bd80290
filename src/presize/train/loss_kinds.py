"""What any loss implies: the activation, the prediction, and one loss for each item."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.core.device import map_tensors
from presize.train.names import inner

Activation: TypeAlias = Callable[[Tensor], Tensor]


@runtime_checkable
class KnowsActivation(Protocol):
    """A loss that turns outputs into probabilities itself."""

    def activation(self, x: Tensor, /) -> Tensor:
        """Turn the model's outputs into probabilities."""
        ...


@runtime_checkable
class KnowsDecodes(Protocol):
    """A loss that turns probabilities into predictions itself."""

    def decodes(self, x: Tensor, /) -> Tensor:
        """Turn activated outputs into predictions."""
        ...


@runtime_checkable
class HasReduction(Protocol):
    """A loss whose `reduction` is an attribute, as with PyTorch's loss classes."""

    reduction: str


def _class_axis(x: Tensor) -> int:
    return 1 if x.ndim > 1 else 0


def _softmax(x: Tensor) -> Tensor:
    return F.softmax(x, dim=_class_axis(x))


def _argmax(x: Tensor) -> Tensor:
    return x.argmax(dim=_class_axis(x))


def _above_half(x: Tensor) -> Tensor:
    return x > 0.5


def _same(x: Tensor) -> Tensor:
    return x


_CLASSES = (nn.CrossEntropyLoss, F.cross_entropy)
_LOG_CLASSES = (nn.NLLLoss, F.nll_loss)
_MARGINS = (nn.MultiMarginLoss, F.multi_margin_loss)
_LOGITS = (
    nn.BCEWithLogitsLoss,
    F.binary_cross_entropy_with_logits,
    nn.MultiLabelSoftMarginLoss,
    F.multilabel_soft_margin_loss,
)
_PROBABILITIES = (nn.BCELoss, F.binary_cross_entropy)

_QUANTITIES = (
    nn.MSELoss,
    F.mse_loss,
    nn.L1Loss,
    F.l1_loss,
    nn.SmoothL1Loss,
    F.smooth_l1_loss,
    nn.HuberLoss,
    F.huber_loss,
)


def _is_one_of(loss: object, family: tuple[Any, ...]) -> bool:
    loss = inner(loss)
    return any(
        isinstance(loss, member) if isinstance(member, type) else loss is member
        for member in family
    )


def takes_classes(loss: object) -> bool:
    """Tell whether PyTorch's `loss` wants class numbers as targets."""
    return _is_one_of(loss, _CLASSES + _LOG_CLASSES + _MARGINS)


def takes_alike(loss: object) -> bool:
    """Tell whether PyTorch's `loss` wants targets of the shape of the outputs."""
    return _is_one_of(loss, _LOGITS + _PROBABILITIES + _QUANTITIES)


def activation_of(loss: object) -> Activation:
    """Return what turns the model's outputs into what a user reads, as `loss` implies it.

    Softmax for cross-entropy, exp for log-probabilities, sigmoid for binary cross-entropy with
    logits, the loss's own `activation` where it has one, else nothing.
    """
    if isinstance(loss, KnowsActivation):
        return loss.activation
    if _is_one_of(loss, _CLASSES):
        return _softmax
    if _is_one_of(loss, _LOG_CLASSES):
        return torch.exp
    return torch.sigmoid if _is_one_of(loss, _LOGITS) else _same


def decodes_of(loss: object) -> Activation:
    """Return what turns activated outputs into predictions, as `loss` implies it.

    The most probable class for losses over classes, "above 0.5" for binary cross-entropy, the
    loss's own `decodes` where it has one, else nothing.
    """
    if isinstance(loss, KnowsDecodes):
        return loss.decodes
    if takes_classes(loss):
        return _argmax
    return _above_half if _is_one_of(loss, _LOGITS + _PROBABILITIES) else _same


def unreduced(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function that gives one loss for each item of a batch, whatever `loss` is.

    Losses with a `reduction` (PyTorch's classes and functions, ours) are asked for "none", and
    what belongs to one item (pixels, labels) is averaged; a function without one is called on
    each item alone. `loss` itself is as before afterwards.
    """

    def item_losses(pred: Any, *targets: Any) -> Tensor:
        with torch.no_grad():
            n = _items(pred, *targets)
            losses = _without_reduction(loss, pred, *targets)
            if losses is None or losses.ndim == 0 or losses.numel() % max(n, 1):
                rows = [_row(loss, at, pred, *targets) for at in range(n)]
                return torch.stack(rows) if rows else torch.zeros(0)
            return losses.reshape(n, -1).mean(1) if n else losses.new_zeros(0)

    return item_losses


def _items(pred: Any, *targets: Any) -> int:
    """Return how many items a batch has, also where a model has several outputs."""
    tensors = (t for t in (pred, *targets) if isinstance(t, Tensor) and t.ndim)
    return next((len(t) for t in tensors), 0)


def _without_reduction(loss: Callable[..., Tensor], *args: Any) -> Tensor | None:
    if isinstance(loss, HasReduction):
        before = loss.reduction
        loss.reduction = "none"
        try:
            return loss(*args)
        finally:
            loss.reduction = before
    try:
        takes = inspect.signature(loss).parameters
    except (TypeError, ValueError):  # some compiled callables have no signature
        return None
    return loss(*args, reduction="none") if "reduction" in takes else None


def _row(loss: Callable[..., Tensor], at: int, *args: Any) -> Tensor:
    return loss(*(map_tensors(partial(_one, at), each) for each in args)).mean()


def _one(at: int, values: Tensor) -> Tensor:
    return values[at : at + 1] if values.ndim else values
