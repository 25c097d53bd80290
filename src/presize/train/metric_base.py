"""What a metric is, and the two kinds: averaged over batches, or computed over a whole epoch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from presize.train.names import inner, name_of, snake_case

MetricActivation: TypeAlias = Literal["no", "sigmoid", "softmax", "binary_softmax"]


class LearnerState(Protocol):
    """What a metric reads of a learner after each batch."""

    @property
    def pred(self) -> Any:
        """The model's outputs."""
        ...

    @property
    def yb(self) -> tuple[Any, ...]:
        """The targets."""
        ...

    @property
    def loss(self) -> Tensor:
        """The mean loss of the batch, on the device."""
        ...


@dataclass
class GivenBatch:
    """A batch outside of training, to compute a metric on."""

    pred: Any
    yb: tuple[Any, ...]
    loss: Tensor = field(default_factory=lambda: torch.tensor(0.0))


class Metric:
    """A number for the table of training; subclass it and write `reset`, `accumulate`, `value`.

    `accumulate` runs after each batch and must not wait for the device; `value` is read once.
    """

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        raise NotImplementedError(f"{type(self).__name__} needs a method reset(self).")

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the batch that `learn` has just passed through the model."""
        raise NotImplementedError(f"{type(self).__name__} needs a method accumulate(self, learn).")

    @property
    def value(self) -> float | Tensor | None:
        """The metric over all batches since `reset`; None if there were none."""
        raise NotImplementedError(f"{type(self).__name__} needs a property value.")

    @property
    def name(self) -> str:
        """The heading of the column; the class name in snake case unless set."""
        given = self.__dict__.get("_name")
        return str(given) if given else snake_case(type(self).__name__)

    @name.setter
    def name(self, value: str | None) -> None:
        self.__dict__["_name"] = value

    def __call__(self, preds: Any, targets: Any) -> float | Tensor | None:
        """Return the metric of these outputs and targets alone."""
        self.reset()
        self.accumulate(GivenBatch(preds, targets if isinstance(targets, tuple) else (targets,)))
        return self.value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class RunningMean:
    """A mean weighted by item counts, kept on the device of what is added."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.count = 0

    def add(self, mean: Tensor, n: int) -> None:
        """Take in the mean of `n` items."""
        # Half and single precision would drift over thousands of batches; MPS has no double.
        kind = torch.float32 if mean.device.type == "mps" else torch.float64
        share = mean.detach().to(kind) * n
        self.total = share if self.total is None else self.total.to(share.device) + share
        self.count += n

    @property
    def mean(self) -> Tensor | None:
        """The mean so far; None if nothing came."""
        return None if self.total is None or not self.count else self.total / self.count


def batch_size(learn: LearnerState) -> int:
    """Count the items of the current batch."""
    first = learn.yb[0] if learn.yb else learn.pred
    while isinstance(first, tuple | list) and first and isinstance(first[0], Tensor):
        first = first[0]
    return int(first.shape[0]) if isinstance(first, Tensor) and first.ndim else len(first)


class AvgMetric(Metric):
    """The mean of `func(preds, targets)` over the batches, each weighted by its size.

    Args:
        func: returns one number, a scalar tensor if it is not to wait for the device.
        name: heading of the column; the function's name by default.
    """

    def __init__(self, func: Callable[..., Any], name: str | None = None) -> None:
        self.func = func
        self.name = name or _function_name(func)
        self.reset()

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._mean = RunningMean()

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the batch that `learn` has just passed through the model."""
        with torch.no_grad():
            result = self.func(learn.pred, *learn.yb)
        value = result if isinstance(result, Tensor) else torch.as_tensor(float(result))
        if value.numel() != 1:
            raise ValueError(
                f"The metric `{self.name}` must return one number for a batch, but it returned "
                f"shape {list(value.shape)}. Is a .mean() missing at its end?"
            )
        self._mean.add(value.reshape(()), batch_size(learn))

    @property
    def value(self) -> Tensor | None:
        """The mean over all items since `reset`."""
        return self._mean.mean


class AvgLoss(Metric):
    """The mean loss over the items of an epoch."""

    def __init__(self, name: str | None = "loss") -> None:
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._mean = RunningMean()

    def accumulate(self, learn: LearnerState) -> None:
        """Take in the loss of the current batch."""
        self._mean.add(learn.loss.mean(), batch_size(learn))

    @property
    def value(self) -> Tensor | None:
        """The mean over all items since `reset`."""
        return self._mean.mean


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
        loss = learn.loss.detach().float().mean()
        before = torch.zeros_like(loss) if self._running is None else self._running
        self._running = torch.lerp(loss, before.to(loss.device), self.beta)
        self.count += 1

    @property
    def value(self) -> Tensor | None:
        """The running mean; None before the first batch."""
        return None if self._running is None else self._running / (1.0 - self.beta**self.count)


class AccumMetric(Metric):
    """`func` of all outputs and targets of an epoch at once, for what is no mean over batches.

    Args:
        func: takes (outputs, targets) of the whole epoch and returns a number.
        name: heading of the column; the function's name by default.
        dim_argmax: replace outputs by the number of the highest along this axis.
        activation: what to apply to the outputs before: "sigmoid", "softmax", or
            "binary_softmax" for the probability of the last class alone.
        thresh: replace outputs by whether they are above this.
        to_np: hand NumPy arrays to `func`.
        invert_arg: call `func(targets, outputs)`, scikit-learn's order.
        flatten: make both flat, and check that they have the same length.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        name: str | None = None,
        *,
        dim_argmax: int | None = None,
        activation: MetricActivation = "no",
        thresh: float | None = None,
        to_np: bool = False,
        invert_arg: bool = False,
        flatten: bool = True,
    ) -> None:
        if dim_argmax is not None and thresh is not None:
            raise ValueError(
                "AccumMetric takes dim_argmax= (classes) or thresh= (labels), not both."
            )
        self.func = func
        self.name = name or _function_name(func)
        self.dim_argmax = dim_argmax
        self.activation: MetricActivation = activation
        self.thresh = thresh
        self.to_np = to_np
        self.invert_arg = invert_arg
        self.flatten = flatten
        self.reset()

    def reset(self) -> None:
        """Forget everything, before an epoch."""
        self._preds: list[Tensor] = []
        self._targets: list[Tensor] = []

    def accumulate(self, learn: LearnerState) -> None:
        """Keep the outputs and targets of the current batch, on the device."""
        pred, target = self._prepared(learn.pred.detach()), learn.yb[0].detach()
        if self.flatten:
            pred, target = flat_pair(pred, target, self.name)
        self._preds.append(pred)
        self._targets.append(target)

    def _prepared(self, pred: Tensor) -> Tensor:
        if self.activation == "sigmoid":
            pred = torch.sigmoid(pred)
        elif self.activation == "softmax":
            pred = torch.softmax(pred, -1 if self.dim_argmax is None else self.dim_argmax)
        elif self.activation == "binary_softmax":
            pred = torch.softmax(pred, -1)[..., -1]
        if self.dim_argmax is not None:
            return pred.argmax(self.dim_argmax)
        return pred if self.thresh is None else pred > self.thresh

    @property
    def value(self) -> float | Tensor | None:
        """`func` of everything since `reset`; None if there was nothing."""
        if not self._preds:
            return None
        pair = (torch.cat(self._preds), torch.cat(self._targets))
        if self.invert_arg:
            pair = (pair[1], pair[0])
        arguments = [t.float() if t.dtype == torch.bfloat16 else t for t in pair]
        try:
            if self.to_np:
                result = self.func(*(t.cpu().numpy() for t in arguments))
            else:
                result = self.func(*arguments)
        except ValueError as error:
            raise ValueError(
                f"The metric `{self.name}` could not be computed over {len(pair[0])} items: {error}"
            ) from error
        return result if isinstance(result, Tensor) else float(result)


def flat_pair(pred: Tensor, target: Tensor, who: str, way_out: str = "") -> tuple[Tensor, Tensor]:
    """Return both flat.

    Raises:
        ValueError: they differ in length; `who` is named in it, and the `way_out`.
    """
    if pred.numel() != target.numel():
        raise ValueError(
            f"`{who}` compares one prediction with one target, but got predictions of shape "
            f"{list(pred.shape)} and targets of shape {list(target.shape)}.{way_out}"
        )
    return pred.reshape(-1), target.reshape(-1)


def _function_name(func: object) -> str:
    func = inner(func)
    if not hasattr(func, "__name__"):
        return snake_case(type(func).__name__)
    name = name_of(func)
    return name if name != "<lambda>" else "metric"
