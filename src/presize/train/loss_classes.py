"""Losses against the number of a class: cross-entropy, smoothed, focal.

All of them take a probability for each class as well, in the shape of the outputs, as mixing
pictures makes them; with 1 for a single class they are what they are against its number.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from presize.core.types import JSON
from presize.train.loss_base import BaseLoss, Reduction, as_json, as_weights


class CrossEntropyLossFlat(BaseLoss):
    """Cross-entropy of class scores [..., classes, ...] against class numbers or probabilities.

    Args:
        axis: where the classes are; 1 for segmentation.
        weight: one weight for each class.
        ignore_index: a class number that counts for nothing; of probabilities the part of that
            class counts for nothing.
        reduction: "mean", "sum", or "none" for a flat vector.
        label_smoothing: part of the target that is spread over all classes, 0..1
            (arXiv:1512.00567).
    """

    kind = "classes"
    weight: Tensor | None

    def __init__(
        self,
        *,
        axis: int = -1,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(
                "Label smoothing spreads a part of the target over all classes, 0 to 1, but got "
                f"{label_smoothing}."
            )
        self.axis = axis
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", as_weights(weight))

    def forward(self, pred: Tensor, targ: Tensor) -> Tensor:
        """Return the loss of `pred` against class numbers, or against probabilities like it."""
        scores, classes = _flat_classes(pred, targ, self.axis)
        weight = None if self.weight is None else self.weight.to(scores.dtype)
        if classes.ndim == 2:
            return self._of_probabilities(scores, classes, weight)
        return F.cross_entropy(
            scores,
            classes,
            weight=weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def _of_probabilities(self, scores: Tensor, classes: Tensor, weight: Tensor | None) -> Tensor:
        counted = self._counted(classes)
        targets, smoothing = counted, self.label_smoothing
        if counted is not classes and smoothing:
            # PyTorch would spread a part of 1, also where less of the item counts.
            spread = counted.sum(1, keepdim=True) * (smoothing / counted.shape[1])
            targets, smoothing = counted * (1.0 - smoothing) + spread, 0.0
        # PyTorch divides by the weights of the targets where these are numbers, and by their
        # count where they are probabilities: mixing pictures would change the scale of the loss.
        divide = self.reduction == "mean" and (weight is not None or counted is not classes)
        loss = F.cross_entropy(
            scores,
            targets,
            weight=weight,
            reduction="sum" if divide else self.reduction,
            label_smoothing=smoothing,
        )
        if not divide:
            return loss
        # No matrix product: autocast would compute it in half precision.
        return loss / (counted if weight is None else counted * weight).sum()

    def _counted(self, classes: Tensor) -> Tensor:
        """Return probabilities without that of the class to ignore; themselves if there is none."""
        if not 0 <= self.ignore_index < classes.shape[1]:
            return classes
        classes = classes.clone()
        classes[:, self.ignore_index] = 0
        return classes

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {
            "axis": self.axis,
            "weight": as_json(self.weight),
            "ignore_index": self.ignore_index,
            "label_smoothing": self.label_smoothing,
        }

    def activation(self, x: Tensor) -> Tensor:
        """Return probabilities: softmax over the classes."""
        return F.softmax(x, dim=self.axis)

    def decodes(self, x: Tensor) -> Tensor:
        """Return the number of the most probable class."""
        return x.argmax(dim=self.axis)

    def extra_repr(self) -> str:
        """Name what was set away from the defaults."""
        parts = [f"axis={self.axis}"] if self.axis != -1 else []
        if self.weight is not None:
            parts.append(f"weight of {self.weight.numel()} classes")
        if self.ignore_index != -100:
            parts.append(f"ignore_index={self.ignore_index}")
        if self.label_smoothing:
            parts.append(f"label_smoothing={self.label_smoothing:g}")
        return ", ".join(part for part in (*parts, super().extra_repr()) if part)


def _flat_classes(pred: Tensor, targ: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    if pred.ndim == 2 and targ.ndim == 1 and targ.dtype == torch.int64 and axis in (1, -1):
        return pred, targ  # nearly always; the views below cost 4 us (5 runs, one core)
    scores = pred.movedim(axis, -1) if axis not in (-1, pred.ndim - 1) else pred
    classes = targ
    if targ.is_floating_point() and targ.shape == pred.shape:  # a probability for each class
        # In single precision at least: half a thousandth is lost in the half one.
        kind = torch.promote_types(scores.dtype, torch.float32)
        classes = targ.movedim(axis, -1).reshape(-1, scores.shape[-1]).to(kind)
        scores = scores.to(kind)
    else:
        classes = targ.reshape(-1)
        if not targ.is_floating_point():
            classes = classes.long()
    return scores.reshape(-1, scores.shape[-1]), classes


class LabelSmoothingCrossEntropy(CrossEntropyLossFlat):
    """Cross-entropy with `eps` of the target spread over all classes (arXiv:1512.00567).

    Args:
        eps: the part that is spread, 0..1.
        axis: where the classes are.
        weight: one weight for each class.
        reduction: "mean", "sum", or "none" for a flat vector.
    """

    def __init__(
        self,
        eps: float = 0.1,
        *,
        axis: int = -1,
        weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(axis=axis, weight=weight, reduction=reduction, label_smoothing=eps)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {
            "eps": self.label_smoothing,
            "axis": self.axis,
            "weight": as_json(self.weight),
        }


LabelSmoothingCrossEntropyFlat = LabelSmoothingCrossEntropy


class FocalLoss(CrossEntropyLossFlat):
    """Cross-entropy times `(1 - p) ** gamma`: easy items count less (arXiv:1708.02002).

    Args:
        gamma: 0 is plain cross-entropy.
        axis: where the classes are.
        weight: one weight for each class; the mean is over items, not over weights.
        ignore_index: as in CrossEntropyLossFlat; the mean is over the items that count.
        reduction: "mean", "sum", or "none" for a flat vector.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        *,
        axis: int = -1,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(axis=axis, weight=weight, ignore_index=ignore_index, reduction=reduction)
        if gamma < 0:
            raise ValueError(f"gamma is 0 or more (0 is plain cross-entropy), but got {gamma}.")
        self.gamma = gamma

    def forward(self, pred: Tensor, targ: Tensor) -> Tensor:
        """Return the loss of `pred` against class numbers, or against probabilities like it."""
        scores, classes = _flat_classes(pred, targ, self.axis)
        if classes.ndim == 2:  # each class as if it were the target, by its probability
            counted = self._counted(classes)
            losses = self._focal(-F.log_softmax(scores, -1)) * counted
            losses = (losses if self.weight is None else losses * self.weight).sum(-1)
            counts = None if counted is classes else counted.sum(-1)
        else:
            ignored = self.ignore_index
            losses = F.cross_entropy(scores, classes, ignore_index=ignored, reduction="none")
            losses = self._focal(losses)
            counts = classes != ignored
            if self.weight is not None:
                losses = losses * self.weight[torch.where(counts, classes, 0)]
        if self.reduction != "mean":
            return losses if self.reduction == "none" else losses.sum()
        if counts is None:
            return losses.mean()
        exact = torch.promote_types(losses.dtype, torch.float32)
        return (losses.mean() / counts.mean(dtype=exact)).to(losses.dtype)

    def _focal(self, losses: Tensor) -> Tensor:
        missing = -torch.expm1(-losses)  # 1 - p
        if 0 < self.gamma < 1:  # the slope of such a power at 0 is infinite
            missing = missing.clamp_min(torch.finfo(missing.dtype).tiny)
        return missing**self.gamma * losses

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {
            "gamma": self.gamma,
            "axis": self.axis,
            "weight": as_json(self.weight),
            "ignore_index": self.ignore_index,
        }

    def extra_repr(self) -> str:
        """Name what was set away from the defaults."""
        return ", ".join(part for part in (f"gamma={self.gamma:g}", super().extra_repr()) if part)


FocalLossFlat = FocalLoss
