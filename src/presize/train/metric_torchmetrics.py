"""Metrics in the manner of torchmetrics, in the table of training."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from presize.core.errors import TrainingError
from presize.train.collective import all_parts, all_sum, world_size
from presize.train.metric_base import LearnerState, Metric
from presize.train.names import snake_case


@runtime_checkable
class UpdateCompute(Protocol):
    """A metric in the manner of torchmetrics."""

    def update(self, *args: Any) -> None:
        """Take in outputs and targets."""
        ...

    def compute(self) -> Any:
        """Return the value so far."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...


@runtime_checkable
class _HasState(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class UpdateComputeMetric(Metric):
    """A torchmetrics metric in the table of training; it moves to the device of the outputs.

    Args:
        metric: has `update(preds, targets)`, `compute()` and `reset()`; what it computes is one
            number.
        name: heading of the column; its class in snake case by default.

    Raises:
        ValueError: it computes several numbers, as far as that is known before the first batch;
            else `value` raises it.
    """

    def __init__(self, metric: UpdateCompute, name: str | None = None) -> None:
        self.metric = metric
        self.name = name or snake_case(type(metric).__name__)
        self._forget()
        self._one_number(_of_nothing(metric))

    def _forget(self) -> None:
        self._seen = self._placed = False
        self._combined: Any = None  # the value of all processes

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self.metric.reset()
        self._forget()

    def accumulate(self, learn: LearnerState) -> None:
        """Hand over the current batch."""
        if not self._placed and isinstance(self.metric, nn.Module):
            self.metric.to(learn.pred.device)
        self.metric.update(learn.pred.detach(), *learn.yb)
        self._seen = self._placed = True

    @property
    def value(self) -> float | Tensor | None:
        """What the metric computes; None before the first batch."""
        if not self._seen:
            return None
        result = self._computed() if self._combined is None else self._combined
        result = self._one_number(result)
        return result.reshape(()) if isinstance(result, Tensor) else float(result)

    def _one_number(self, result: Any) -> Any:
        if isinstance(result, Tensor) and result.numel() != 1:
            several = f"a tensor of shape {list(result.shape)}"
        elif isinstance(result, dict | list | tuple):
            several = f"a {type(result).__name__} of {len(result)}"
        else:
            return result
        raise ValueError(
            f"The metric `{self.name}` computes several numbers ({several}), but a column of the "
            'table holds one. Let it combine them, with average="macro" for instance, or leave it '
            "out and compute it of learn.get_preds() after training."
        )

    def _computed(self) -> Any:
        with warnings.catch_warnings():
            # Where the batches were those of a checkpoint, or of another process.
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
            return self.metric.compute()

    def gather(self) -> None:
        """Compute the value over all processes, with the metric's own way to join its state."""
        if world_size() == 1:
            return
        if not hasattr(self.metric, "dist_sync_fn"):
            raise TrainingError(
                f"The metric `{self.name}` cannot be combined over {world_size()} processes: "
                f"{type(self.metric).__name__} has no dist_sync_fn, with which torchmetrics' own "
                "join their state. Write a Metric with a gather(self), or leave it out."
            )
        if not all_sum(torch.tensor(int(self._seen))):
            return
        with _sent_by_us(self.metric):
            self._combined, self._seen = self._computed(), True

    @property
    def resumable(self) -> bool:
        """Whether the metric can hand out what it has accumulated."""
        if isinstance(self.metric, nn.Module):
            return hasattr(self.metric, "persistent")
        return isinstance(self.metric, _HasState)

    def state_dict(self) -> dict[str, Any]:
        """Return the metric's own state, and whether it has seen anything."""
        if not self.resumable:
            raise NotImplementedError(
                f"{type(self.metric).__name__} has no state_dict and load_state_dict, so there can "
                "be no checkpoint in the middle of an epoch that it measures."
            )
        assert isinstance(self.metric, _HasState)
        _keep_state(self.metric)
        return {"seen": self._seen, "metric": dict(self.metric.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        assert isinstance(self.metric, _HasState)
        self.reset()
        _keep_state(self.metric)
        self.metric.load_state_dict(state["metric"])
        self._seen = state["seen"]


def _of_nothing(metric: Any) -> Any:
    """Return what a metric of torchmetrics computes without data; None if it refuses to."""
    # Without what is wrapped around it, which would ask the other processes and keep the result.
    compute = getattr(metric.compute, "__wrapped__", None)
    if compute is None or not isinstance(metric, nn.Module):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = compute()
        except Exception:  # whatever it misses
            return None
    # No list yet may become one of whatever length.
    return None if isinstance(result, list) and not result else result


def _modules(metric: Any) -> list[Any]:
    return list(metric.modules()) if isinstance(metric, nn.Module) else []


@contextmanager
def _sent_by_us(metric: Any) -> Iterator[None]:
    """Let a metric send its state in our way, which takes a process that has seen nothing."""
    modules = [m for m in _modules(metric) if getattr(m, "dist_sync_fn", 1) is None]
    for module in modules:
        module.dist_sync_fn = _parts
    try:
        yield
    finally:
        for module in modules:
            module.dist_sync_fn = None


def _parts(state: Tensor, group: object = None) -> list[Tensor]:
    """Return the state of each process, without that of those where it is empty."""
    if not state.ndim:
        return [part.reshape(()) for part in all_parts(state.reshape(1))]
    return all_parts(state if state.numel() else None)


def _keep_state(metric: Any) -> None:
    """Let a metric count what it accumulates as its state, which is not so by default."""
    for module in _modules(metric):
        if hasattr(module, "persistent"):
            module.persistent(True)
