"""Collects what a classifier knows of each item before it decides, over a whole loader."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.models.features import SeenFeatures, captured_features

if TYPE_CHECKING:
    from presize.learner import Learner


class _GatherFeatures(Callback):
    """Keeps the features of every batch of a validation pass."""

    run_train = False

    def __init__(self, seen: SeenFeatures) -> None:
        self._seen = seen
        self._batch: list[Tensor] = []
        self._all: list[Tensor] = []

    def before_validate(self, learn: "Learner") -> None:
        """Start empty."""
        self._all = []

    def before_batch(self, learn: "Learner") -> None:
        """Start a batch, which may come in parts."""
        self._batch = []

    def after_pred(self, learn: "Learner") -> None:
        """Keep the features of the batch, or of a part of it, on the CPU."""
        self._batch.append(self._seen.last.cpu())

    def after_batch(self, learn: "Learner") -> None:
        """Keep those of the whole batch."""
        n, parts = len(learn.xb[0]), self._batch
        # A part for whose loss there was no memory came again, in smaller ones: the last count.
        while sum(map(len, parts)) > n:
            parts = parts[1:]
        self._all += parts

    def all_features(self) -> Tensor:
        """Return what was kept."""
        return torch.cat(self._all) if self._all else torch.zeros(0, 0)


class GatheredFeatures:
    """The features of the items of a pass, and the callback that keeps them.

    Args:
        callback: takes part in the pass.
    """

    def __init__(self, callback: _GatherFeatures) -> None:
        self.callback: Callback = callback
        self._all = callback.all_features

    def features(self) -> Tensor:
        """Return the features of all items: float32 [n, d]; no rows where there were no items."""
        return self._all()


@contextmanager
def gathered_features(learn: "Learner") -> Iterator[GatheredFeatures]:
    """Gather the features of the items of a pass, which is made inside a `with` block.

        with gathered_features(learn) as gathered:
            learn.get_preds(cbs=gathered.callback)
        gathered.features()

    Nothing stays on the model afterwards; what was gathered can still be read.
    """
    with captured_features(learn.model) as seen:
        yield GatheredFeatures(_GatherFeatures(seen))
