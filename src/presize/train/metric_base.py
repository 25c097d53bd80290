"""What a metric is: what it reads of a learner, and what it must be able to do."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from presize.core.errors import TrainingError
from presize.train.collective import world_size
from presize.train.names import inner, name_of, snake_case

# Only who writes `reset` knows what is kept, so these count only together with it.
_GO_WITH_RESET = ("gather", "state_dict", "load_state_dict")


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

    `accumulate` runs after each batch and must not wait for the device; `value` is read once. To
    be used by several processes that train together it needs `gather`, and to be in checkpoints
    from the middle of an epoch `state_dict` and `load_state_dict`; a subclass that writes `reset`
    anew keeps something else, so it writes these anew as well.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "reset" in vars(cls):
            for name in _GO_WITH_RESET:
                if name not in vars(cls):
                    setattr(cls, name, getattr(Metric, name))

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

    def gather(self) -> None:
        """Take in what the other processes that train together have seen since `reset`.

        All of them call it after an epoch, also those that have seen nothing; with one process it
        does nothing. Then `value` is the same for all.

        Raises:
            TrainingError: there are several processes, and this metric does not know how.
        """
        if world_size() > 1:
            raise TrainingError(
                f"The metric `{self.name}` cannot be combined over {world_size()} processes: "
                f"{type(self).__name__} has no gather(self) that goes with its reset. Write one, "
                "with all_sum and all_cat of presize.train.collective; or leave the metric out."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what was accumulated: JSON values and tensors, for a checkpoint.

        Raises:
            NotImplementedError: this metric has none, see `resumable`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no state_dict(self) that goes with its reset, so there can "
            "be no checkpoint in the middle of an epoch that it measures."
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method load_state_dict(self, state)."
        )

    @property
    def resumable(self) -> bool:
        """Whether a checkpoint can hold what was accumulated: there is a `state_dict`."""
        return type(self).state_dict is not Metric.state_dict

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


def batch_size(learn: LearnerState) -> int:
    """Count the items of the current batch."""
    first = learn.yb[0] if learn.yb else learn.pred
    while isinstance(first, tuple | list) and first and isinstance(first[0], Tensor):
        first = first[0]
    return int(first.shape[0]) if isinstance(first, Tensor) and first.ndim else len(first)


def flat_pair(pred: Tensor, target: Tensor, who: str, way_out: str = "") -> tuple[Tensor, Tensor]:
    """Return both flat.

    Raises:
        ValueError: they differ in length; `who` is named in it, and the `way_out`.
    """
    if pred.ndim == 1 and pred.shape == target.shape:
        return pred, target
    if pred.numel() != target.numel():
        raise ValueError(
            f"`{who}` compares one prediction with one target, but got predictions of shape "
            f"{list(pred.shape)} and targets of shape {list(target.shape)}.{way_out}"
        )
    return pred.reshape(-1), target.reshape(-1)


def class_scores(inp: Tensor, targ: Tensor, axis: int, who: str) -> Tensor:
    """Return outputs with a score for each class; of a single score, for yes, those of no and yes.

    These are 0 and the score: their softmax is its sigmoid, and yes wins where that is above half.

    Raises:
        ValueError: there are no classes along `axis`, or a single score whose targets may be
            quantities, as they are no whole numbers; `who` is named in it.
    """
    if inp.ndim > 1:
        n = inp.shape[axis]
        if n > 1:
            return inp
        if n == 1 and not targ.is_floating_point():
            return torch.cat([torch.zeros_like(inp), inp], axis)
    raise ValueError(
        f"`{who}` needs a score for each of at least two classes, or one score for yes or no with "
        f"targets that are whole numbers, but got outputs of shape {list(inp.shape)} and targets "
        f"of {str(targ.dtype).removeprefix('torch.')}. Keep the targets whole numbers, 0 and 1 "
        "(BCEWithLogitsLossFlat takes them), or use accuracy_multi or a score ending in Multi; "
        "for quantities mae or R2Score."
    )


def function_name(func: object) -> str:
    """Return what the column of a function is called; "metric" for a lambda."""
    func = inner(func)
    if not hasattr(func, "__name__"):
        return snake_case(type(func).__name__)
    name = name_of(func)
    return name if name != "<lambda>" else "metric"
