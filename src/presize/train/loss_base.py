"""What every loss of ours has: a reduction to set, an activation, a way to decode."""

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from presize.core.types import JSON

Reduction: TypeAlias = Literal["mean", "sum", "none"]


class BaseLoss(nn.Module):
    """A loss with `activation` (outputs to probabilities), `decodes` (those to predictions).

    `.to(device)` moves class weights; `.reduction` may be set at any time.
    """

    kind: Literal["classes", "alike"] = "alike"
    """What targets are: the number of a class, or values of the same shape as the outputs."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    @property
    def reduction(self) -> Reduction:
        """How item losses become one: their mean, their sum, or "none" for a flat vector."""
        return self._reduction

    @reduction.setter
    def reduction(self, value: Reduction) -> None:
        if value not in ("mean", "sum", "none"):
            raise ValueError(f"reduction is 'mean', 'sum' or 'none', but got {value!r}.")
        self._reduction: Reduction = value

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again, in JSON; the reduction is left out."""
        return {}

    def activation(self, x: Tensor) -> Tensor:
        """Turn the model's outputs into what a user reads: here, unchanged."""
        return x

    def decodes(self, x: Tensor) -> Tensor:
        """Turn activated outputs into predictions: here, unchanged."""
        return x

    def extra_repr(self) -> str:
        """Name what was set away from the defaults."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


def as_weights(weight: Any) -> Tensor | None:
    """Return weights given as numbers or a tensor as float32, or None as it is."""
    return None if weight is None else torch.as_tensor(weight, dtype=torch.float32)


def as_json(weight: Tensor | None) -> JSON:
    """Return weights as nested lists of numbers, or None as it is."""
    return None if weight is None else weight.tolist()
