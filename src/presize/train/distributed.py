"""How a step is computed by one process, or by several that average their gradients.

`Learner` computes with a `Parallel`, which is one process; `learn.distrib_ctx()` puts a
`DataParallel` in its place: PyTorch's DistributedDataParallel around the model, which stays itself.
"""

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from presize.core.ranks import Rank
from presize.train.collective import transport_device


class Parallel:
    """One process that trains alone."""

    in_parts = False
    """Whether each process has but a part of the weights."""

    def __init__(self, rank: Rank = Rank()) -> None:  # noqa: B008  # it cannot change
        self.rank = rank
        self._nothing = nullcontext()

    def begin(self, dl: Any) -> None:
        """A training pass over this loader begins."""

    def around(self, model: nn.Module) -> Callable[..., Any]:
        """Return what a training step calls for predictions: the model, or one around it."""
        return model

    def share(self, i: int, n: int) -> float:
        """Return what the mean loss of this process counts for in batch `i`.

        The gradients of the processes are averaged. Of losses with this weight they are then those
        of the mean over all items of the batch, also where one process has fewer of them.

        Args:
            i: the number of the batch in its pass.
            n: items that this process has of it.
        """
        return 1.0

    def accumulating(self, on: bool) -> AbstractContextManager[None]:
        """Return a context for one batch; with `on`, its gradients are not averaged yet."""
        return self._nothing

    def average(self, model: nn.Module) -> None:
        """Average gradients that were added up while `accumulating`, and to which none follow."""

    def broadcast(self, model: nn.Module) -> None:
        """Let all processes have the parameters and buffers of the first."""

    def same_buffers(self, model: nn.Module) -> None:
        """Let all processes have the buffers of the first, such as averages of BatchNorm."""

    def begin_asking(self, model: nn.Module) -> None:
        """What follows is asked by each process by itself, as in validation."""

    def end_asking(self, model: nn.Module) -> None:
        """What each process asked by itself is done."""

    def wait(self) -> None:
        """Wait until all processes are here, as before one reads what another has written."""

    def leave(self, *, failing: bool = False) -> None:
        """The processes part: leave the model as it was found, but trained.

        Args:
            failing: an error ends it, which the other processes know nothing of: ask them nothing.
        """


class DataParallel(Parallel):
    """Several processes, each with the whole model and a part of each batch.

    Args:
        rank: which of them this is.
        find_unused_parameters: look in every step for parameters that had no part in the loss.
    """

    def __init__(self, rank: Rank, *, find_unused_parameters: bool = False) -> None:
        super().__init__(rank)
        self._find_unused = find_unused_parameters
        self._wrapped: DistributedDataParallel | None = None
        self._made_for: tuple[int, ...] = ()
        self._weight: Callable[[int], float] | None = None

    def begin(self, dl: Any) -> None:
        """A training pass over this loader begins, which may know how it is divided."""
        self._weight = getattr(dl, "weight_in_batch", None)

    def around(self, model: nn.Module) -> Callable[..., Any]:
        """Return the model with gradients that are averaged; the same object for the same model.

        Made anew when other parameters are to be trained, as after `unfreeze`. All processes get
        the parameters and buffers of the first.
        """
        trained = tuple(id(p) for p in model.parameters() if p.requires_grad)
        if self._wrapped is not None and self._made_for == (id(model), *trained):
            return self._wrapped
        # The old one has hooks on the parameters, and lives in a cycle.
        self._wrapped = None
        gc.collect()
        self._made_for = (id(model), *trained)
        if not trained:
            self.broadcast(model)
            return model
        place = next(model.parameters()).device
        self._wrapped = DistributedDataParallel(
            model,
            device_ids=[place] if place.type == "cuda" else None,
            find_unused_parameters=self._find_unused,
        )
        return self._wrapped

    def share(self, i: int, n: int) -> float:
        """Return what the mean loss of this process counts for in batch `i`; see `Parallel`."""
        return 1.0 if self._weight is None else self._weight(i)

    def accumulating(self, on: bool) -> AbstractContextManager[None]:
        """Return a context for one batch; with `on`, its gradients are not averaged yet."""
        return self._wrapped.no_sync() if on and self._wrapped is not None else self._nothing

    def average(self, model: nn.Module) -> None:
        """Average gradients that were added up while `accumulating`, and to which none follow."""
        for parameter in model.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.rank.world

    def broadcast(self, model: nn.Module) -> None:
        """Let all processes have the parameters and buffers of the first."""
        _from_first([*model.parameters(), *model.buffers()])

    def same_buffers(self, model: nn.Module) -> None:
        """Let all processes have the buffers of the first, such as averages of BatchNorm."""
        _from_first(list(model.buffers()))

    def wait(self) -> None:
        """Wait until all processes are here, as before one reads what another has written."""
        distributed.all_reduce(torch.zeros(1, device=transport_device()))

    def leave(self, *, failing: bool = False) -> None:
        """Take the hooks off the model."""
        self._wrapped = None
        gc.collect()


def from_first(value: int) -> int:
    """Return the number that the first process has."""
    told = torch.tensor([value], dtype=torch.int64, device=transport_device())
    distributed.broadcast(told, 0)
    return int(told)


def _from_first(tensors: list[Tensor]) -> None:
    for tensor in tensors:
        distributed.broadcast(tensor.detach(), 0)
