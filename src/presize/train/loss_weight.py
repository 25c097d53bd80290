"""What a loss divides by: how much that of a part of a batch counts in that of the whole."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.train.loss_base import BaseLoss
from presize.train.loss_classes import CrossEntropyLossFlat, FocalLoss
from presize.train.names import inner

# They divide by the weights of the targets, and pass over those that are to be ignored.
_COUNTING = (CrossEntropyLossFlat, nn.CrossEntropyLoss, nn.NLLLoss)
_COUNTING_FUNCTIONS = (F.cross_entropy, F.nll_loss)
_PYTORCH = "torch.nn."


def loss_weight(loss_func: Any, targets: tuple[Any, ...], items: float) -> float | Tensor:
    """Return what a loss divides by, a number that may still be on the device.

    The loss of a batch is the sum over its parts of `loss * loss_weight`, divided by the
    `loss_weight` of the whole. For a mean over the items, and for a loss that is not known, it is
    their number; for a sum it is 1; where targets have weights or are ignored, the sum of the
    weights of those that count.

    Args:
        loss_func: as a learner has it.
        targets: all targets of the batch.
        items: how many items it has.
    """
    if _setting(loss_func, "reduction", "mean") == "sum":
        return 1.0
    if not _counts(loss_func) or len(targets) != 1 or not isinstance(targets[0], Tensor):
        return items
    classes, inside = targets[0], inner(loss_func)
    focal = isinstance(inside, FocalLoss)  # whose weights have no part in what it divides by
    weight: Tensor | None = None if focal else _setting(loss_func, "weight", None)
    ignored: int = _setting(loss_func, "ignore_index", -100)
    if not classes.is_floating_point():
        counted = classes != ignored
        if weight is None:
            return counted.sum()
        return torch.where(counted, weight[torch.where(counted, classes, 0).long()], 0.0).sum()
    # A probability for each class: PyTorch's losses divide by the number of items.
    shares = classes.movedim(_setting(loss_func, "axis", -1), -1)
    one_ignored = 0 <= ignored < shares.shape[-1]
    if not isinstance(inside, CrossEntropyLossFlat) or (weight is None and not one_ignored):
        return items
    each = shares.new_ones(shares.shape[-1]) if weight is None else weight.clone()
    if one_ignored:
        each[ignored] = 0.0
    return (shares * each.float()).sum()


def divides_as_known(loss_func: Any) -> bool:
    """Say whether `loss_weight` knows what this loss divides by."""
    inside = inner(loss_func)
    origin = inside if hasattr(inside, "__name__") else type(inside)
    return isinstance(inside, BaseLoss) or str(origin.__module__).startswith(_PYTORCH)


def _counts(loss_func: Any) -> bool:
    inside = inner(loss_func)
    return isinstance(inside, _COUNTING) or inside in _COUNTING_FUNCTIONS


def _setting(loss_func: Any, name: str, default: Any) -> Any:
    while isinstance(loss_func, partial):
        if name in loss_func.keywords:
            return loss_func.keywords[name]
        loss_func = loss_func.func
    return getattr(loss_func, name, default)
