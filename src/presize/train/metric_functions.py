"""Metrics that are functions of (outputs, targets) and that never wait for the device."""

import torch
import torch.nn.functional as F
from torch import Tensor

from presize.train.metric_base import class_scores, flat_pair


def accuracy(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """Return the share of items whose highest score is that of their class.

    Args:
        inp: scores, with the classes along `axis`; a single one is that of class 1 of two.
        targ: class numbers; as many as there are rows of scores.
        axis: where the classes are; 1 for segmentation.

    Raises:
        ValueError: there are no classes, or not one target for each row.
    """
    scores = class_scores(inp, targ, axis, "accuracy")
    way_out = _way_out(inp, targ, "accuracy")
    pred, targ = flat_pair(scores.argmax(dim=axis), targ, "accuracy", way_out)
    return (pred == targ).mean(dtype=torch.float32)


def _way_out(inp: Tensor, targ: Tensor, who: str) -> str:
    if targ.shape == inp.shape:
        return " For several labels per item use accuracy_multi; for one-hot targets class numbers."
    if targ.ndim > 1:
        return f" For masks say where the classes are: partial({who}, axis=1)."
    return ""


def error_rate(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """Return 1 - `accuracy`."""
    return 1 - accuracy(inp, targ, axis)


def top_k_accuracy(inp: Tensor, targ: Tensor, k: int = 5, axis: int = -1) -> Tensor:
    """Return the share of items whose class is among the `k` highest scores.

    Raises:
        ValueError: there are fewer than `k` classes, or not one target for each row.
    """
    scores = class_scores(inp, targ, axis, "top_k_accuracy")
    n = scores.shape[axis]
    if k > n:
        raise ValueError(
            f"top_k_accuracy looks at the {k} best classes, but the model has {n}. Choose fewer: "
            f"partial(top_k_accuracy, k={min(2, n)})."
        )
    best = scores.topk(k, dim=axis).indices.movedim(axis, -1)
    way_out = _way_out(inp, targ, "top_k_accuracy")
    _, true = flat_pair(best[..., 0], targ, "top_k_accuracy", way_out)
    return (best.reshape(-1, k) == true[:, None]).any(-1).mean(dtype=torch.float32)


def accuracy_multi(inp: Tensor, targ: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Return the share of labels that are right, where each item may have several.

    Args:
        inp: a score for each label.
        targ: 0 or 1 for each label.
        thresh: a label counts as predicted above this.
        sigmoid: turn scores into probabilities first.
    """
    inp, targ = flat_pair(inp, targ, "accuracy_multi")
    if sigmoid:
        inp = inp.sigmoid()
    return ((inp > thresh) == targ.bool()).mean(dtype=torch.float32)


def _quantities(inp: Tensor, targ: Tensor, who: str) -> tuple[Tensor, Tensor]:
    """Return both flat and in one precision, which is not the half one of mixed precision."""
    kind = torch.promote_types(inp.dtype, torch.float32)
    inp, targ = flat_pair(inp, targ, who)
    return inp.to(kind), targ.to(kind)


def mse(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the mean of squared differences."""
    return F.mse_loss(*_quantities(inp, targ, "mse"))


def rmse(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the root of `mse`; as a metric of a learner, over the whole epoch at once."""
    return mse(inp, targ).sqrt()


def mae(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the mean of absolute differences."""
    inp, targ = _quantities(inp, targ, "mae")
    return (inp - targ).abs().mean()


def msle(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the mean of squared differences of `log(1 + x)`."""
    inp, targ = _quantities(inp, targ, "msle")
    return F.mse_loss(torch.log1p(inp), torch.log1p(targ))


def exp_rmspe(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the root mean squared relative error of values whose logarithms these are.

    As a metric of a learner it is computed over the whole epoch at once.
    """
    inp, targ = _quantities(inp, targ, "exp_rmspe")
    return (1 - torch.exp(inp - targ)).square().mean().sqrt()


def foreground_acc(inp: Tensor, targ: Tensor, bkg_idx: int = 0, axis: int = 1) -> Tensor:
    """Return the share of right pixels among those whose target is not the background.

    Targets that are no class (a "void" of 255, say) count for nothing. As a metric of a learner it
    is that of all pixels of the epoch.

    Args:
        inp: scores [N, classes, H, W].
        targ: class numbers [N, H, W] or [N, 1, H, W].
        bkg_idx: the number of the background.
        axis: where the classes are.
    """
    counts = foreground_counts(inp, targ, bkg_idx, axis)
    return counts[0] / counts[1]


def foreground_counts(inp: Tensor, targ: Tensor, bkg_idx: int = 0, axis: int = 1) -> Tensor:
    """Return how many pixels of the foreground are right, and how many there are: int64 [2]."""
    scores = class_scores(inp, targ, axis, "foreground_acc")
    pred, targ = flat_pair(scores.argmax(dim=axis), targ, "foreground_acc")
    # Counted, not indexed: a mask as an index waits for the device.
    there = (targ != bkg_idx) & (targ >= 0) & (targ < scores.shape[axis])
    return torch.stack([((pred == targ) & there).sum(), there.sum()])
