"""Stochastic depth: residual blocks that are passed over at random in training.

Huang et al., "Deep networks with stochastic depth", arXiv:1603.09382. The deeper a block, the more
often it is passed over; the rate is that of the deepest.
"""

from torch import nn
from torchvision.ops import StochasticDepth


def checked_rate(rate: float | None) -> float | None:
    """Return a rate if it is one.

    Raises:
        ValueError: not in 0..1, below 1.
    """
    if rate is not None and not 0 <= rate < 1:
        raise ValueError(
            f"drop_path_rate is the chance that the deepest block is passed over, 0..1 and below "
            f"1 (0.1 is usual), but got {rate!r}."
        )
    return rate


def set_drop_path(model: nn.Module, name: str, rate: float) -> None:
    """Give torchvision's model `name` this rate of stochastic depth, growing with depth as before.

    Raises:
        ValueError: it has none.
    """
    blocks = [m for m in model.modules() if isinstance(m, StochasticDepth)]
    highest = max((block.p for block in blocks), default=0.0)
    if not highest:
        raise no_stochastic_depth(name)
    for block in blocks:
        block.p *= rate / highest


def no_stochastic_depth(name: str) -> ValueError:
    """Return the error for an architecture that has no stochastic depth."""
    return ValueError(
        f"{name} has no stochastic depth, so there is no drop_path_rate to set. These have: "
        "torchvision's convnext, efficientnet, maxvit and swin, and most of timm's, such as "
        "timm/resnet18. In a network of your own build it in yourself."
    )
