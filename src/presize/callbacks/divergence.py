"""Ends a fit whose loss is no number any more, and says where it began.

Nothing waits for a GPU: losses are copied while it goes on, a few together, and looked at once they
have arrived. On a CPU, where a loss is there as soon as it is computed, it is looked at before the
weights are changed by it.
"""

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.core.errors import TrainingError
from presize.data.batchfiles import files_of_batch
from presize.data.loader import DataLoader

if TYPE_CHECKING:
    from presize.learner import Learner

# On a GPU one copy, with its event, takes the program about as long as a small layer: four losses
# share one. Where there is no event to ask, reading waits, and more of them share it.
_TOGETHER = 4
_TOGETHER_WAITING = 16
_SHOWN = 8


class DivergenceWatch(Callback):
    """Raises when the loss of a training step is nan or infinite; a learner always has one.

    The error names the step, the rate and the files of the batch, and says how the weights are: on
    a CPU those of before the step, on a GPU, where it is noticed a few steps later, perhaps nan. A
    callback that handles such losses itself, `raise CancelBatch` in `after_loss`, comes before.

    Raises:
        TrainingError: (in training) the loss is no number.
    """

    order = 90
    run_valid = False

    def __init__(self) -> None:
        self._resting = False
        self._forget()

    def _forget(self) -> None:
        self._losses: list[Tensor] = []
        self._steps: list[Step] = []
        self._sent: deque[Sent] = deque()

    def before_fit(self, learn: "Learner") -> None:
        """Watch, unless `lr_find` looks for a rate, which goes up to where losses diverge."""
        self._resting = looks_for_rate(learn)
        if not self._resting:
            self._forget()

    def before_backward(self, learn: "Learner") -> None:
        """Look at the loss, or at those that have arrived from the device."""
        loss = learn.loss
        if self._resting or loss.numel() != 1:
            return
        if loss.is_cpu:
            value = loss.item()
            if not math.isfinite(value):
                raise _diverged(learn, value, Step.now(learn), at_once=True)
            return
        self._losses.append(loss.detach())
        self._steps.append(Step.now(learn))
        if len(self._losses) >= (_TOGETHER if loss.is_cuda else _TOGETHER_WAITING):
            self._send()
        while self._sent and self._sent[0].arrived():
            self._look(learn)

    def after_train(self, learn: "Learner") -> None:
        """Look at all losses of the epoch that are still under way."""
        self._look_at_all(learn)

    def after_cancel_epoch(self, learn: "Learner") -> None:
        """Look at all losses that are still under way."""
        self._look_at_all(learn)

    def after_cancel_fit(self, learn: "Learner") -> None:
        """Look at all losses that are still under way."""
        self._look_at_all(learn)

    def after_fit(self, learn: "Learner") -> None:
        """Let go of the losses; after lr_find in the middle of a fit go on with those of that."""
        if not self._resting:
            self._forget()
        self._resting = False

    def _look_at_all(self, learn: "Learner") -> None:
        if self._resting:
            return
        self._send()
        while self._sent:
            self._look(learn)

    def _send(self) -> None:
        if self._losses:
            self._sent.append(Sent(self._losses, self._steps))
            self._losses, self._steps = [], []

    def _look(self, learn: "Learner") -> None:
        """Look at the losses that were sent first."""
        sent = self._sent.popleft()
        for value, step in zip(sent.read(), sent.steps, strict=True):
            if not math.isfinite(value):
                raise _diverged(learn, value, step, at_once=False)


class Step(NamedTuple):
    """Which step of a fit it was, counted from 0, and its rate."""

    train_iter: int
    epoch: int
    iter: int
    rate: float

    @classmethod
    def now(cls, learn: "Learner") -> "Step":
        """Return the step that the learner is at."""
        assert learn.opt is not None
        return cls(learn.train_iter, learn.epoch, learn.iter, learn.opt.param_groups[-1]["lr"])


class Sent:
    """Losses on their way from a device.

    Args:
        losses: one number each, on the device.
        steps: the step of each.
    """

    def __init__(self, losses: list[Tensor], steps: list[Step]) -> None:
        self.steps = steps
        self._values = torch.stack([loss.reshape(()).float() for loss in losses])
        self._event: torch.cuda.Event | None = None
        if self._values.is_cuda:
            there = self._values
            self._values = torch.empty(len(losses), dtype=torch.float32, pin_memory=True)
            self._values.copy_(there, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(torch.cuda.current_stream(there.device))

    def arrived(self) -> bool:
        """Say whether they are there, without waiting; True where that cannot be asked."""
        return self._event is None or self._event.query()

    def read(self) -> list[float]:
        """Return them, waiting if need be."""
        if self._event is not None:
            self._event.synchronize()
        values: list[float] = self._values.tolist()
        return values


def _diverged(learn: "Learner", value: float, step: Step, *, at_once: bool) -> TrainingError:
    """Return the error for a loss that is no number.

    Args:
        at_once: the batch is still there, and the weights have not been changed by it.
    """
    files = _files(learn, step)
    process = f" in process {learn.ranks.number}" if learn.ranks.world > 1 else ""
    inputs = _odd_rows(learn.xb) if at_once else []
    text = (
        f"The loss became {value:g} at step {step.train_iter + 1} (epoch {step.epoch}, batch "
        f"{step.iter + 1} of {learn.n_iter}){process}, with the rate {step.rate:.3g}."
        f"{_whose(learn, files, inputs, at_once=at_once)} {_weights(learn, at_once=at_once)} "
    )
    if inputs:
        return TrainingError(text + "Look at these pictures and at what the transforms do to them.")
    precision = learn.precision.kind == "fp16"
    return TrainingError(
        f"{text}Train with a lower rate, which learn.lr_find() suggests, or with smaller steps, "
        f"cbs=GradientClip(1.0){', or in bf16, whose numbers go further' * precision}; if it "
        f"happens again at the same batch, look at {'these files' if files else 'its items'} and "
        "their labels."
    )


def _whose(learn: "Learner", files: list[str], inputs: list[int], *, at_once: bool) -> str:
    """Say which files it came from, as closely as that is known."""
    outputs = _odd_rows((learn.pred,)) if at_once else []
    for what, rows in (("inputs", inputs), ("outputs", outputs)):
        n = len(learn.xb[0]) if rows else 0
        if (rows and len(rows) < n) or (what == "inputs" and rows):
            named = [files[i] for i in rows] if len(files) == n else []
            who = _listed(named) if named else f"{len(rows)} of its {n} items"
            return f" The model's {what} are no numbers for {who}."
    return f" The batch was made of {_listed(files)}." if files else ""


def _listed(files: list[str]) -> str:
    more = len(files) - _SHOWN
    names = ", ".join(f"`{name}`" for name in files[:_SHOWN])
    return names + (f" and {more} more" if more > 0 else "")


def _files(learn: "Learner", step: Step) -> list[str]:
    """Return the files of the batch of a step."""
    dl = learn.dl
    if not isinstance(dl, DataLoader):
        return []
    handed_out = dl.state_dict()["batch"]  # 0 between passes
    if handed_out not in (0, learn.iter + 1):
        return []  # of some batches nothing could be read, so that the numbers are others
    # A loader counts its epochs when a pass begins; that of validation has but one.
    epoch = dl.epoch if dl.split_idx == 1 else dl.epoch - 1 - (learn.epoch - step.epoch)
    return files_of_batch(dl, epoch, step.iter)


def _odd_rows(values: tuple[object, ...]) -> list[int]:
    """Return the items of a batch in whose values there is one that is no finite number."""
    for value in values:
        if isinstance(value, Tensor) and value.ndim and value.is_floating_point():
            odd = ~torch.isfinite(value.detach()).reshape(len(value), -1).all(1)
            if odd.any():
                rows: list[int] = odd.nonzero().flatten().tolist()
                return rows
    return []


def _weights(learn: "Learner", *, at_once: bool) -> str:
    """Say how the weights are."""
    weights = [
        w for w in (*learn.model.parameters(), *learn.model.buffers()) if w.is_floating_point()
    ]
    odd = sum(not bool(torch.isfinite(w).all()) for w in weights)
    if not odd:
        return (
            "The weights are those of before this step." if at_once else "The weights are finite."
        )
    return (
        f"Of the {len(weights)} tensors of weights {odd} hold numbers that are none: put back what "
        "was saved, learn.load(...) or learn.resume(), or make the learner anew."
    )
