"""What a classifier knows of a picture before it decides: the input of its last layer."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from presize.core.errors import TrainingError

_LAYERS = (nn.Linear, nn.Conv2d)


class SeenFeatures:
    """The features of the batch that went through a model last; see `captured_features`."""

    def __init__(self) -> None:
        self._input: Tensor | None = None
        self._is_map = False

    @property
    def any(self) -> bool:
        """Whether there are features: the model has called a layer that is looked at."""
        return self._input is not None

    @property
    def last(self) -> Tensor:
        """The features of the last batch, on the model's device: float32 [n, d].

        Raises:
            TrainingError: no batch went through the model yet, or none of its layers was called.
        """
        if self._input is None:
            raise TrainingError(
                "There are no features yet: call the model on a batch inside of the with block of "
                "captured_features, before `last` is read. The model needs a linear or "
                "convolution layer of its own, called as a module."
            )
        x = self._input.detach().float()
        if x.ndim > 2:
            x = x.mean((2, 3)) if self._is_map else x.flatten(1, -2).mean(1)
        return x

    def _note(self, layer: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0] if args else None
        if isinstance(x, Tensor) and x.ndim >= 2:
            self._input, self._is_map = x, isinstance(layer, nn.Conv2d)


@contextmanager
def captured_features(model: nn.Module) -> Iterator[SeenFeatures]:
    """Look at the features of each batch that goes through `model` inside a `with` block.

    They are the input of the last linear layer that the model calls (or convolution, where that
    is its classifier); tokens and maps are averaged. The model's output, its modes and gradients
    are as without it, and nothing stays on it afterwards.

        with captured_features(model) as seen:
            outputs = model(batch)
            features = seen.last  # [n, d]
    """
    seen = SeenFeatures()
    with ExitStack() as undo:
        undo.enter_context(uncompiled())
        for layer in model.modules():
            if isinstance(layer, _LAYERS):
                undo.callback(layer.register_forward_pre_hook(seen._note).remove)
        yield seen


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run compiled models layer by layer inside a `with` block, so that hooks are called."""
    # Where nothing was compiled there is nothing to set, and the import would take a second.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
