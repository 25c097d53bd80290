"""The classifier that goes onto a body: pool, then a small stack of linear layers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Init = Callable[[Tensor], object]


class AdaptiveConcatPool2d(nn.Module):
    """Pool [N, C, H, W] to [N, 2C, size, size]: the maxima first, then the averages."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.mp = nn.AdaptiveMaxPool2d(size)
        self.ap = nn.AdaptiveAvgPool2d(size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima and averages of `x`."""
        # On CUDA the gradient of AdaptiveMaxPool2d has no deterministic way, and that of amax has.
        # Where several pixels are the maximum they share the gradient, else it is the same.
        exact = self.mp.output_size == 1 and torch.are_deterministic_algorithms_enabled()
        maxima = x.amax((-2, -1), keepdim=True) if exact else self.mp(x)
        return torch.cat([maxima, self.ap(x)], dim=1)


class SigmoidRange(nn.Module):
    """Squash any number into the open interval (low, high) with a sigmoid."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"y_range wants (low, high) with low < high; got ({low}, {high}).")
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` squashed."""
        return torch.sigmoid(x) * (self.high - self.low) + self.low

    def extra_repr(self) -> str:
        """Return the range, for the printed model."""
        return f"{self.low}, {self.high}"


def lin_bn_drop(
    n_in: int,
    n_out: int,
    *,
    bn: bool = True,
    p: float = 0.0,
    act: nn.Module | None = None,
    lin_first: bool = False,
) -> list[nn.Module]:
    """Return the layers of one step of the head: norm, dropout, linear and activation.

    Args:
        n_in: features that come in.
        n_out: features that go out.
        bn: with a BatchNorm1d; a linear layer beside one has no bias.
        p: chance of dropout, in [0, 1); 0 leaves the layer out.
        act: activation after the linear layer.
        lin_first: linear and activation before norm and dropout instead of after.
    """
    norm: list[nn.Module] = [nn.BatchNorm1d(n_out if lin_first else n_in)] if bn else []
    if p:
        norm.append(nn.Dropout(p))
    linear: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not bn)]
    if act is not None:
        linear.append(act)
    return linear + norm if lin_first else norm + linear


def create_head(
    n_features: int,
    n_out: int,
    *,
    pooled: bool = False,
    concat_pool: bool = True,
    ps: float | Sequence[float] = 0.5,
    lin_ftrs: Sequence[int] | None = None,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: tuple[float, float] | None = None,
) -> nn.Sequential:
    """Make the usual fine-tuning head: pool, then twice batch norm, dropout and a linear layer.

    Args:
        n_features: channels that the body puts out.
        n_out: outputs, one per class.
        pooled: the body's output is [N, n_features] already, so the head has no pooling.
        concat_pool: pool by maximum and average side by side, or by average alone.
        ps: dropout before the last linear layer, half of it before the others; or one chance per
            linear layer.
        lin_ftrs: widths of the hidden linear layers; None means one of 512, () none.
        first_bn: begin with a batch norm.
        bn_final: end with a batch norm over the outputs.
        lin_first: linear layer before its batch norm and dropout.
        y_range: squash the outputs into (low, high), for a regression.

    Raises:
        ValueError: a width or chance out of its range, or as many `ps` as there are not layers.
    """
    hidden = [512] if lin_ftrs is None else list(lin_ftrs)
    chances = _chances(ps, len(hidden) + 1)
    if not pooled and concat_pool:
        n_features *= 2
    widths = [n_features, *hidden, n_out]
    if min(widths) < 1:
        raise ValueError(f"Every layer of the head needs at least 1 feature; got widths {widths}.")
    layers: list[nn.Module] = []
    if not pooled:
        layers += [AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if lin_first:
        layers.append(nn.Dropout(chances.pop(0)))
        chances.append(0.0)
    last = len(hidden)
    for i, p in enumerate(chances):
        # With the linear layer first, a step's norm stands behind it, and none behind the outputs.
        bn = (first_bn or i > 0) and not (lin_first and i == last)
        act = nn.ReLU(inplace=True) if i < last else None
        layers += lin_bn_drop(widths[i], widths[i + 1], bn=bn, p=p, act=act, lin_first=lin_first)
    if bn_final:
        # A slow momentum: the statistics of the outputs jump from batch to batch.
        layers.append(nn.BatchNorm1d(n_out, momentum=0.01))
    if y_range is not None:
        layers.append(SigmoidRange(*y_range))
    return nn.Sequential(*layers)


def _chances(ps: float | Sequence[float], n: int) -> list[float]:
    """Return one chance of dropout for each of `n` linear layers."""
    chances = [ps / 2] * (n - 1) + [ps] if isinstance(ps, int | float) else list(ps)
    if len(chances) != n:
        raise ValueError(
            f"ps has {len(chances)} chances of dropout, but the head has {n} linear layers: "
            "give one number, or one for each layer."
        )
    if not all(0 <= p < 1 for p in chances):
        raise ValueError(f"Chances of dropout (ps) lie in [0, 1); got {ps}.")
    return chances


def init_head(head: nn.Module, init: Init | None) -> None:
    """Fill the weights of the linear and convolution layers of `head` with `init`, biases with 0.

    Norm layers keep their own ones and zeros; None keeps PyTorch's initial weights everywhere.
    """
    if init is None:
        return
    for module in head.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            init(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
