"""Metrics that are means over batches, each weighted by its size."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from presize.train.collective import all_cat, world_size
from presize.train.metric_base import LearnerState, Metric, batch_size, function_name

# So many numbers are joined into one tensor: alone each takes 512 bytes of a GPU.
_CHUNK = 128


class RunningMean:
    """A mean weighted by item counts, whose parts stay where they were computed until it is read.

    Nothing is added up before: a part costs the step an entry in a list, and the mean is that of
    the exact sum of them all, whatever their order, the device, or how often it was saved.
    """

    def __init__(self) -> None:
        self._recent: list[Tensor] = []
        self._chunks: list[Tensor] = []
        self._sizes: list[int] = []

    def add(self, mean: Tensor, n: int) -> None:
        """Take in the mean of `n` items: a tensor without axes."""
        if not n:
            return
        if mean.requires_grad:
            mean = mean.detach()
        if mean.is_inference() or mean._version or mean._is_view():
            mean = mean.clone()  # somebody else's memory: it may be written to, or be large
        self._recent.append(mean)
        self._sizes.append(n)
        if len(self._recent) == _CHUNK:
            self._join()

    @property
    def mean(self) -> Tensor | None:
        """The mean so far, float64; None if nothing came."""
        count = sum(self._sizes)
        if not count:
            return None
        parts = [value * n for value, n in zip(self._values().tolist(), self._sizes, strict=True)]
        try:
            total = math.fsum(parts)
        except (OverflowError, ValueError):  # it takes no infinities of both signs
            total = sum(parts)
        return torch.tensor(total / count, dtype=torch.float64)

    def gather(self) -> None:
        """Take in the parts of all processes that train together."""
        values, sizes = self.state_dict().values()
        self.load_state_dict({"values": all_cat(values), "sizes": all_cat(sizes)})

    def state_dict(self) -> dict[str, Tensor]:
        """Return the means and the counts that came with them."""
        return {"values": self._values(), "sizes": torch.tensor(self._sizes, dtype=torch.int64)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._recent, self._chunks = [], [state["values"]]
        self._sizes = state["sizes"].tolist()

    def _join(self) -> None:
        if self._recent:
            where = self._recent[-1].device
            self._chunks.append(torch.stack([value.to(where) for value in self._recent]))
            self._recent = []

    def _values(self) -> Tensor:
        self._join()
        # On the CPU, as MPS has no double.
        chunks = [chunk.cpu().double() for chunk in self._chunks]
        return torch.cat(chunks) if chunks else torch.empty(0, dtype=torch.float64)


class _Averaged(Metric):
    """What metrics with one running mean have in common."""

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._mean = RunningMean()

    @property
    def value(self) -> Tensor | None:
        """The mean over all items since `reset`."""
        return self._mean.mean

    def gather(self) -> None:
        """Take in what the other processes have seen."""
        self._mean.gather()

    def state_dict(self) -> dict[str, Any]:
        """Return what was accumulated."""
        return self._mean.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._mean.load_state_dict(state)


class AvgMetric(_Averaged):
    """The mean of `func(preds, targets)` over the batches, each weighted by its size.

    Args:
        func: returns one number, a scalar tensor if it is not to wait for the device.
        name: heading of the column; the function's name by default.
    """

    def __init__(self, func: Callable[..., Any], name: str | None = None) -> None:
        self.func = func
        self.name = name or function_name(func)
        self.reset()

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the batch that `learn` has just passed through the model."""
        if torch.is_grad_enabled():
            with torch.no_grad():
                result = self.func(learn.pred, *learn.yb)
        else:  # as in every validation; to enter the block again takes a third of the time
            result = self.func(learn.pred, *learn.yb)
        if not isinstance(result, Tensor):
            result = torch.tensor(float(result), dtype=torch.float64)
        elif result.ndim:
            result = self._single(result)
        self._mean.add(result, batch_size(learn))

    def _single(self, result: Tensor) -> Tensor:
        if result.numel() != 1:
            raise ValueError(
                f"The metric `{self.name}` must return one number for a batch, but it returned "
                f"shape {list(result.shape)}. Is a .mean() missing at its end?"
            )
        return result.reshape(())


class AvgLoss(_Averaged):
    """The mean loss over the items of an epoch."""

    def __init__(self, name: str | None = "loss") -> None:
        self.name = name
        self.reset()

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the loss of the current batch."""
        loss = learn.loss
        self._mean.add(loss.mean() if loss.ndim else loss, batch_size(learn))


class AvgSmoothLoss(Metric):
    """A running mean of the loss that forgets: `beta` of the old and the rest of the new.

    Divided by `1 - beta ** steps`, so that its start is not drawn towards 0.
    """

    def __init__(self, beta: float = 0.98, name: str | None = "loss") -> None:
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"beta is the part of the old that is kept, 0..1, but got {beta}.")
        self.beta = beta
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.count = 0
        self._running: Tensor | None = None

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the loss of the current batch."""
        loss = learn.loss.detach().float()
        loss = loss.mean() if loss.ndim else loss
        before = torch.zeros_like(loss) if self._running is None else self._running
        self._running = torch.lerp(loss, before.to(loss.device), self.beta)
        self.count += 1

    @property
    def value(self) -> Tensor | None:
        """The running mean; None before the first batch."""
        return None if self._running is None else self._running / (1.0 - self.beta**self.count)

    def gather(self) -> None:
        """Take the mean over the processes that have seen a batch."""
        value = self.value
        values = all_cat(None if value is None else value.reshape(1))
        counts = all_cat(torch.tensor([self.count]))
        if values is not None and counts is not None and world_size() > 1:
            self.count = int(counts.max())
            self._running = values.double().mean().float() * (1.0 - self.beta**self.count)

    def state_dict(self) -> dict[str, Any]:
        """Return the running mean and the number of batches in it."""
        return {"count": self.count, "running": self._running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.count, self._running = state["count"], state["running"]
