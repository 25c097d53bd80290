"""Takes the time of training steps of a learner, computed in one way or another."""

import gc
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.core.device import map_tensors
from presize.core.errors import TrainingError
from presize.train.compiling import compile_model
from presize.train.layout import lay_out
from presize.train.memory_need import SavedBytes
from presize.train.microbatches import items_in, out_of_memory
from presize.train.optim import set_hyper
from presize.train.precision import Precision
from presize.train.switches import PLAIN, Switches, Trial, fastest

if TYPE_CHECKING:
    from presize.learner import Learner

# A step that is measured takes at least this long, by itself or several together.
_WORTH_A_CLOCK = 0.05
# On a CPU a part of the batch is measured, the first power of two that takes as long as this.
_ENOUGH_ON_A_CPU = 0.25
# After two rounds, of which one may be disturbed, a way is given up whose better one took so many
# times as long as the best way.
_HOPELESS = 1.5


class Measurement:
    """Trains a learner's model on one batch, in ways that can be changed, and takes the time.

    The rate is 0, so that every step computes the same.

    Args:
        learn: whose model, loss and optimizer.
        batch: from its training loader.
    """

    def __init__(self, learn: "Learner", batch: Any) -> None:
        self.learn, self.batch = learn, batch
        learn.take(0, batch)
        self.items = self.all_items = items_in(learn.xb)
        self.trials: list[Trial] = []
        self._made: dict[Switches, tuple[Precision, torch.optim.Optimizer]] = {}
        self._repeats: dict[Switches, int] = {}
        self._plain_loss = 0.0

    def compare(self, ways: list[Switches], rounds: int) -> None:
        """Measure ways in turns; the plain one takes part, and the best one of an earlier call.

        Raises:
            TrainingError: the loss of the plain way is not finite.
        """
        again = [t for t in self.trials if t.switches in (PLAIN, fastest(self.trials))]
        if not again:
            self._start()
        new = [Trial(way) for way in ways if way != PLAIN]
        for trial in new:
            trial.failure = self._failure(trial.switches)
        plain = [] if again else [Trial(PLAIN)]
        self.trials += plain + new
        running = [*again, *plain, *(trial for trial in new if trial.failure is None)]
        for _ in range(rounds):
            for trial in running:
                trial.seconds.append(self._seconds(trial.switches))
            best = min(trial.median for trial in running)
            running = [t for t in running if t.switches == PLAIN or not _hopeless(t, best)]

    def fits(self, way: Switches, items: int) -> bool:
        """Say whether so many items can be trained in the memory that is free."""
        self.items = items
        try:
            self._use(way)
            self._steps(2)
        except Exception as error:
            if not out_of_memory(error):
                raise
            return False
        finally:
            self.forget()
        return True

    def forget(self) -> None:
        """Let go of what the steps hold: gradients, averages of optimizers, the batch."""
        self._made.clear()
        self.learn.opt = None
        self.learn.forget_batch()
        self.learn.model.zero_grad()
        gc.collect()
        if self.learn.device.type == "cuda":
            torch.cuda.empty_cache()

    def saved(self, way: Switches, items: int) -> SavedBytes:
        """Return what the forward pass of so many items keeps for the backward pass."""
        self.items = items
        self._use(way)
        with SavedBytes(self.learn.model) as kept:
            self._loss()
        return kept

    def _start(self) -> None:
        """Take the plain loss, and the number of items and repeats that make a step of good length.

        Memory may run out: then a part of the batch is measured.
        """
        small = self.learn.device.type == "cpu"
        self.items = min(8, self.all_items) if small else self.all_items
        while True:
            try:
                self._use(PLAIN)
                loss = self._steps(2)
                taken = self._seconds(PLAIN)
            except Exception as error:
                if not out_of_memory(error) or self.items == 1:
                    raise
                self.forget()
                self.items, small = self.items // 2, False
                continue
            if not small or taken >= _ENOUGH_ON_A_CPU or self.items == self.all_items:
                break
            self.items = min(2 * self.items, self.all_items)
        self._plain_loss = float(loss)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss of a training batch is {float(loss):g} before any training. Check the "
                "targets, the loss function and the values of the pictures: dls.check()."
            )
        self._set_repeats(PLAIN, taken)

    def _failure(self, way: Switches) -> str | None:
        """Compute first steps in this way; return what is wrong with it, None if nothing is."""
        try:
            self._use(way)
            loss = float(self._steps(3))
            self._set_repeats(way, self._seconds(way))
        except Exception as error:  # whatever it is, the plain way works
            if out_of_memory(error):
                self.forget()
                return "does not fit into memory"
            return f"does not work here: {type(error).__name__}"
        off = abs(loss - self._plain_loss)
        if not off < float("inf"):
            return f"its loss is {loss:g}"
        # Random layers and rounding make a difference; one like this is of another kind.
        if off > 0.2 * abs(self._plain_loss) + 0.1:
            return f"its loss is {loss:.4g} instead of {self._plain_loss:.4g}"
        return None

    def _seconds(self, way: Switches) -> float:
        """Return what a step takes in this way."""
        self._use(way)
        on_cpu = self.learn.device.type == "cpu"
        if not on_cpu:
            self._steps(1)
            torch.accelerator.synchronize()
        repeats = self._repeats.get(way, 1)
        start = time.perf_counter()
        self._steps(repeats)
        if not on_cpu:
            torch.accelerator.synchronize()
        return (time.perf_counter() - start) / repeats

    def _set_repeats(self, way: Switches, taken: float) -> None:
        self._repeats[way] = max(1, round(_WORTH_A_CLOCK / max(taken, 1e-6)))

    def _use(self, way: Switches) -> None:
        learn = self.learn
        learn.opt = None  # the averages of another way stay in the layout of that way
        switch_to(learn, way, batch_size=self.items)
        if way not in self._made:
            learn.create_opt()
            assert learn.opt is not None
            set_hyper(learn.opt, "lr", 0.0)
            self._made[way] = learn.precision, learn.opt
        learn.precision, learn.opt = self._made[way]
        learn.take(0, _of_size(self.batch, self.all_items, self.items))

    def _steps(self, n: int) -> Tensor:
        """Compute `n` steps, and return their mean loss."""
        learn = self.learn
        losses = []
        with learn.precision.applied(learn.device):
            for _ in range(n):
                loss = self._loss()
                learn.precision.backward(loss)
                assert learn.opt is not None
                learn.precision.step(learn.opt)
                learn.opt.zero_grad()
                losses.append(loss.detach())
        return torch.stack(losses).float().mean()

    def _loss(self) -> Tensor:
        learn = self.learn
        with learn.precision.autocast(learn.device):
            # The model itself: processes that train together measure each for itself.
            loss: Tensor = learn.loss_func(learn.model(*learn.xb), *learn.yb)
        return loss


def _hopeless(trial: Trial, best: float) -> bool:
    return len(trial.seconds) >= 2 and min(trial.seconds) > _HOPELESS * best


def switch_to(learn: "Learner", way: Switches, batch_size: int | None = None) -> None:
    """Let a learner compute in this way.

    Args:
        learn: the learner.
        way: the settings it gets.
        batch_size: the items of a regular batch; without it a model is not compiled before it is
            next trained.
    """
    if learn.precision.kind != way.precision:
        learn.precision = Precision(way.precision)
    learn.channels_last, learn.compile = way.channels_last, way.compile
    lay_out(learn.model, learn.opt, channels_last=way.channels_last)
    if batch_size is not None or not way.compile:
        compile_model(learn.model, way.compile, batch_size=batch_size)


def _of_size(batch: Any, items: int, size: int) -> Any:
    """Return a batch of `size` items: the first ones, or all of them again and again."""

    def rows(value: Tensor) -> Tensor:
        if value.ndim == 0 or len(value) != items or size == items:
            return value
        if size < items:
            return value[:size]
        return value[torch.arange(size, device=value.device) % items]

    return map_tensors(rows, batch)
