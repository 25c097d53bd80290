"""Metrics of all outputs and targets of an epoch at once."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from presize.train.collective import all_cat
from presize.train.metric_base import LearnerState, Metric, class_scores, flat_pair, function_name

MetricActivation: TypeAlias = Literal["no", "sigmoid", "softmax", "binary_softmax"]


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
        self.name = name or function_name(func)
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
        outputs, target = learn.pred.detach(), learn.yb[0].detach()
        if self.dim_argmax is not None or self.activation in ("softmax", "binary_softmax"):
            outputs = class_scores(outputs, target, self._axis, self.name)
        pred = self._prepared(outputs)
        if pred is outputs:
            pred = outputs.clone()  # a compiled model may write its next outputs to the same place
        pred, target = self._matched(pred, target)
        self._preds.append(pred)
        self._targets.append(target)

    def _matched(self, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return flat_pair(pred, target, self.name) if self.flatten else (pred, target)

    @property
    def _axis(self) -> int:
        return -1 if self.dim_argmax is None else self.dim_argmax

    def _prepared(self, pred: Tensor) -> Tensor:
        if pred.dtype in (torch.float16, torch.bfloat16):
            pred = pred.float()  # a ranking of probabilities needs more than three digits
        if self.activation == "sigmoid":
            pred = torch.sigmoid(pred)
        elif self.activation == "softmax":
            pred = torch.softmax(pred, self._axis)
        elif self.activation == "binary_softmax":
            pred = torch.softmax(pred, -1)[..., -1]
        if self.dim_argmax is not None:
            return pred.argmax(self.dim_argmax)
        return pred if self.thresh is None else pred > self.thresh

    @property
    def value(self) -> float | Tensor | None:
        """`func` of everything since `reset`; None if there was nothing."""
        pred, target = self._joined()
        if pred is None or target is None:
            return None
        pair = (target, pred) if self.invert_arg else (pred, target)
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

    def gather(self) -> None:
        """Take in what the other processes have seen."""
        pred, target = self._joined()
        pred, target = all_cat(pred), all_cat(target)
        if pred is not None and target is not None:
            self._preds, self._targets = [pred], [target]

    def state_dict(self) -> dict[str, Any]:
        """Return all outputs, as they are handed to `func`, and targets; None before a batch."""
        pred, target = self._joined()
        return {"preds": pred, "targets": target}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.reset()
        if state["preds"] is not None:
            self._preds, self._targets = [state["preds"]], [state["targets"]]

    def _joined(self) -> tuple[Tensor | None, Tensor | None]:
        if not self._preds:
            return None, None
        where = self._preds[-1].device  # those of a checkpoint may have come to another
        pred, target = ([t.to(where) for t in kept] for kept in (self._preds, self._targets))
        return torch.cat(pred), torch.cat(target)
