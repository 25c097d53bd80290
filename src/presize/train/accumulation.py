"""Adds up the gradients of several batches so that they are those of one large batch."""

from typing import Any

import torch
from torch.optim import Optimizer


class Accumulation:
    """One group of batches after another, each of which makes one step of the optimizer.

    A loss is the mean over its batch. Added up with the weight n / expected, and corrected once by
    expected / counted, such gradients are those of the mean over all items of the group, also where
    its batches differ in size, and where the last group of a pass is short. Layers that look at a
    whole batch, such as BatchNorm, still see each batch by itself.

    Args:
        batches: how many make a step.

    Raises:
        ValueError: that is less than one.
    """

    def __init__(self, batches: int = 1) -> None:
        self.batches = batches
        self._done = 0
        self._items = self._expected = 0.0

    @property
    def batches(self) -> int:
        """How many batches make a step."""
        return self._batches

    @batches.setter
    def batches(self, value: int) -> None:
        given: Any = value
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise ValueError(
                f"accumulate is the number of batches that make one step, 1 or more, but got "
                f"{value!r}."
            )
        self._batches = value

    @property
    def pending(self) -> bool:
        """Whether there are gradients that have not been used for a step."""
        return self._done > 0

    def weight(self, items: float) -> float:
        """Return what the mean loss of a batch of so many items is multiplied by."""
        return 1.0 if self._batches == 1 else items / (self._expected or self._batches * items)

    def completes(self) -> bool:
        """Say whether the next batch is the last one of its group."""
        return self._done + 1 >= self._batches

    def add(self, items: float) -> None:
        """Count a batch whose gradients are there."""
        self._expected = self._expected or self._batches * items
        self._done += 1
        self._items += items

    def finish(self, opt: Optimizer) -> None:
        """Make the sums the gradients of the mean over the group, and begin another group."""
        if self._done and self._batches > 1 and self._items != self._expected:
            weights = (weight for group in opt.param_groups for weight in group["params"])
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            if gradients:
                torch._foreach_mul_(gradients, self._expected / self._items)
        self.restart()
        self._expected = 0.0

    def restart(self) -> None:
        """Count from here on: what was added before is gone.

        What is expected stays, since a batch that is under way was weighted by it.
        """
        self._done, self._items = 0, 0.0
