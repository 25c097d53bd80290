"""Several models as one, whose probabilities are the mean of theirs."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EXACT = 1e-6


class Averaged(nn.Module):
    """Models of one task, asked together.

    The output is such that the activation of their loss makes the mean of their probabilities of
    it: losses, metrics and decoding see nothing unusual. Where the activation is none that can be
    undone (softmax, exp and sigmoid can), it is the mean of their outputs.

    Args:
        models: give one tensor each, of the same shape.
        activation: turns such a tensor into probabilities.

    Raises:
        ValueError: there are no models.
    """

    def __init__(self, models: Iterable[nn.Module], activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        if not len(self.models):
            raise ValueError("To average there has to be one model at least, but there are none.")
        self.activation, self._undone = activation, _inverse(activation)

    def forward(self, *inputs: Any) -> Tensor:
        """Return the outputs that stand for the mean of the models' probabilities."""
        outputs = [model(*inputs).float() for model in self.models]
        if self._undone is None:
            return torch.stack(outputs).mean(0)
        mean = torch.stack([self.activation(output) for output in outputs]).mean(0)
        return self._undone(mean)


def _inverse(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor] | None:
    """Return what undoes an activation, but for a constant that softmax does not see; or None."""
    probe = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.0, -0.4]])
    try:
        active: Any = activation(probe)
    except Exception:  # one for outputs of another form
        return None
    if not isinstance(active, Tensor) or active.shape != probe.shape:
        return None
    known = ((F.softmax(probe, 1), _log), (probe.exp(), _log), (probe.sigmoid(), _logit))
    for values, inverse in known:
        if torch.allclose(active, values, rtol=0, atol=_EXACT):
            return inverse
    return None


def _log(p: Tensor) -> Tensor:
    # A probability too small for a float would become an infinite loss.
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()


def _logit(p: Tensor) -> Tensor:
    # eps keeps 1 - p from being 0: sigmoid(17) is 1 in float32.
    return p.logit(eps=torch.finfo(p.dtype).eps / 2)
