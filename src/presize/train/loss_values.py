"""Losses against values of the shape of the outputs: squared, absolute, binary cross-entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor

from presize.core.types import JSON
from presize.train.loss_base import BaseLoss, Reduction, as_json, as_weights
from presize.train.loss_checks import check_targets, fits


class _Elementwise(BaseLoss):
    """A loss between outputs and as many values; shapes such as [N, 1] and [N] are matched."""

    def forward(self, pred: Tensor, targ: Tensor) -> Tensor:
        """Return the loss of `pred` against as many values; whole numbers are taken too."""
        loss = self._loss(pred, self._matched(pred, targ))
        return loss.flatten() if self.reduction == "none" else loss

    def _matched(self, pred: Tensor, targ: Tensor) -> Tensor:
        # Without this check torch broadcasts [N, 1] against [N] into N x N losses.
        if pred.shape != targ.shape:
            if pred.numel() != targ.numel():
                check_targets(pred, targ, self)
            targ = targ.reshape(pred.shape)
        return targ if targ.is_floating_point() else targ.to(pred.dtype)

    def _checked(self, weight: Tensor | None, pred: Tensor, targ: Tensor) -> Tensor | None:
        # Without this check torch broadcasts a weight of 3 labels against [N, 1] into [N, 3].
        if weight is not None and not fits(weight, pred):
            check_targets(pred, targ, self)
        return weight

    def _loss(self, pred: Tensor, targ: Tensor) -> Tensor:
        raise NotImplementedError


class MSELossFlat(_Elementwise):
    """The mean of squared differences."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def _loss(self, pred: Tensor, targ: Tensor) -> Tensor:
        return F.mse_loss(pred, targ, reduction=self.reduction)


class L1LossFlat(_Elementwise):
    """The mean of absolute differences."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def _loss(self, pred: Tensor, targ: Tensor) -> Tensor:
        return F.l1_loss(pred, targ, reduction=self.reduction)


class BCELossFlat(_Elementwise):
    """Binary cross-entropy of probabilities 0..1, for models that end in a sigmoid.

    Args:
        thresh: probability above which a label counts as predicted.
        weight: one weight for each label, or for each value.
        reduction: "mean", "sum", or "none" for a flat vector.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        thresh: float = 0.5,
        weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.thresh = thresh
        self.register_buffer("weight", as_weights(weight))

    def _loss(self, pred: Tensor, targ: Tensor) -> Tensor:
        weight = self._checked(self.weight, pred, targ)
        return F.binary_cross_entropy(pred, targ, weight, reduction=self.reduction)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {"thresh": self.thresh, "weight": as_json(self.weight)}

    def decodes(self, x: Tensor) -> Tensor:
        """Return which labels are above the threshold."""
        return x > self.thresh

    def extra_repr(self) -> str:
        """Name what was set away from the defaults."""
        threshold = "" if self.thresh == 0.5 else f"thresh={self.thresh:g}"
        return ", ".join(part for part in (threshold, super().extra_repr()) if part)


class BCEWithLogitsLossFlat(BCELossFlat):
    """Binary cross-entropy of raw scores, one for each label: for several labels a picture.

    Args:
        thresh: probability above which a label counts as predicted.
        weight: one weight for each label, or for each value.
        pos_weight: how much more a label that is there counts, for each label.
        reduction: "mean", "sum", or "none" for a flat vector.
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        *,
        thresh: float = 0.5,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(thresh=thresh, weight=weight, reduction=reduction)
        self.register_buffer("pos_weight", as_weights(pos_weight))

    def _loss(self, pred: Tensor, targ: Tensor) -> Tensor:
        weight = self._checked(self.weight, pred, targ)
        positive = self._checked(self.pos_weight, pred, targ)
        return F.binary_cross_entropy_with_logits(
            pred, targ, weight, reduction=self.reduction, pos_weight=positive
        )

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {**super().spec(), "pos_weight": as_json(self.pos_weight)}

    def activation(self, x: Tensor) -> Tensor:
        """Return the probability of each label."""
        return torch.sigmoid(x)
