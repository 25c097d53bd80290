"""Learners whose answers are known: a model that gives back what is stored for each item."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner


class Stored(nn.Module):
    """Answers an item, which is its number, with a row of `outputs`."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs, requires_grad=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """Look the answers up."""
        return self.outputs[numbers.long().flatten()]


class Pairs(list[Any]):
    """Items with their targets, which know their classes."""

    vocab: Any = None


class KnownLoader(DataLoader):
    """A loader that knows the classes of its items."""

    @property
    def vocab(self) -> Any:
        """The classes."""
        return self.dataset.vocab


@pytest.fixture
def stored_learner() -> Callable[..., Learner]:
    """Makes a learner that answers item i with `outputs[i]`."""

    def make(
        outputs: Any, targets: Any, loss: Any = None, vocab: Any = None, bs: int = 4
    ) -> Learner:
        outputs, targets = torch.as_tensor(outputs), torch.as_tensor(targets)
        pairs = Pairs((torch.tensor(i), target) for i, target in enumerate(targets))
        pairs.vocab = vocab
        dls = DataLoaders(KnownLoader(pairs, bs), KnownLoader(pairs, bs), device="cpu")
        return Learner(dls, Stored(outputs), loss or nn.CrossEntropyLoss())

    return make


@pytest.fixture
def answers() -> tuple[Tensor, Tensor]:
    """Outputs [30, 7] of a classifier that is right about half of the time, and targets [30]."""
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 7, 30)
    outputs = rng.normal(size=(30, 7)).astype(np.float32)
    outputs[np.arange(30), targets] += 1.5
    return torch.from_numpy(outputs), torch.from_numpy(targets)
