"""Several models as one, whose probabilities are the mean of theirs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.core.errors import TrainingError

_EXACT = 1e-6


class Averaged(nn.Module):
    """Models of one task, asked together.

    The output is such that the activation of their loss makes the mean of their probabilities of
    it: losses, metrics and decoding see nothing unusual. Where the activation is none that can be
    undone (softmax, exp and sigmoid can), and where models give several tensors, it is the mean of
    their outputs.

    Args:
        models: give one tensor each, of the same shape; or a tuple, list or dict of them.
        activation: turns such a tensor into probabilities; it can be replaced later.

    Raises:
        ValueError: there are no models.
    """

    def __init__(self, models: Iterable[nn.Module], activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        if not len(self.models):
            raise ValueError("To average there has to be one model at least, but there are none.")
        self.activation = activation

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """What turns an output into probabilities."""
        return self._activation

    @activation.setter
    def activation(self, activation: Callable[[Tensor], Tensor]) -> None:
        self._activation, self._undone = activation, _inverse(activation)

    def forward(self, *inputs: Any) -> Any:
        """Return the outputs that stand for the mean of the models' probabilities.

        Raises:
            TrainingError: outputs are no tensors.
        """
        outputs = [model(*inputs) for model in self.models]
        if self._undone is None or not isinstance(outputs[0], Tensor):
            return _mean(outputs)
        return self._undone(_mean([self.activation(output.float()) for output in outputs]))


def _mean(outputs: list[Any]) -> Any:
    """Return the mean of outputs of one form, tensor by tensor."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.stack([output.float() for output in outputs]).mean(0)
    if isinstance(first, Mapping):
        return {key: _mean([output[key] for output in outputs]) for key in first}
    if not isinstance(first, tuple | list):
        raise TrainingError(
            "The outputs of several models are averaged, tensor by tensor, but theirs are of the "
            f"type {type(first).__name__}. Let forward return a tensor, or a tuple or dict of them."
        )
    parts = [_mean(list(column)) for column in zip(*outputs, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


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
