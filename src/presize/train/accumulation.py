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
        batches: how many make a step; a new number counts from the next group on.

    Attributes:
        unfinished: whether the weights have gradients of a batch or step that has not come to its
            end; if it was cancelled, they must not be added to.

    Raises:
        ValueError: that is less than one.
    """

    def __init__(self, batches: int = 1) -> None:
        self.batches = batches
        self.unfinished = False
        self._done, self._in_group = 0, batches
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

    @property
    def single(self) -> bool:
        """Whether the next batch makes a step by itself."""
        return self._batches == 1 and not self._done

    def weight(self, items: float) -> float:
        """Return what the mean loss of a batch of so many items is multiplied by."""
        if not self._done:
            self._in_group, self._expected = self._batches, self._batches * items
        return items / self._expected

    def completes(self) -> bool:
        """Say whether the next batch is the last one of its group."""
        return self._done + 1 >= (self._in_group if self._done else self._batches)

    def add(self, items: float) -> None:
        """Count a batch whose gradients are there."""
        self._expected = self._expected or items  # of one that makes a step by itself
        self._done += 1
        self._items += items

    def finish(self, opt: Optimizer) -> None:
        """Make the sums the gradients of the mean over the group, and begin another group."""
        if self._done and self._items != self._expected:
            weights = (weight for group in opt.param_groups for weight in group["params"])
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            if gradients:
                torch._foreach_mul_(gradients, self._expected / self._items)
        self._done, self._items, self._expected = 0, 0.0, 0.0

    def restart(self) -> None:
        """Count from here on: what was added before is gone.

        What is expected stays, since a batch that is under way was weighted by it.
        """
        self._done, self._items, self.unfinished = 0, 0.0, False


class BatchesOfStep:
    """An attribute: how many batches make a step of what has an `accumulation`."""

    def __get__(self, owner: Any, kind: type | None = None) -> int:
        # On the class, where it has no value, it is itself, as other descriptors are.
        found: Any = self if owner is None else owner.accumulation.batches
        return found  # type: ignore[no-any-return]

    def __set__(self, owner: Any, batches: int) -> None:
        owner.accumulation.batches = batches
