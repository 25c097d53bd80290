"""The learning-rate finder: a mock training with growing rates that leaves no trace.

Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from presize.callbacks.base import CancelFit, CancelValidate
from presize.callbacks.no_trace import no_trace as no_trace
from presize.callbacks.recorder_plots import plot_lr_find as plot_lr_find
from presize.callbacks.schedule import ParamScheduler
from presize.train.collective import all_sum
from presize.train.optim import set_hyper
from presize.train.rate_suggestions import Suggestion as Suggestion
from presize.train.rate_suggestions import minimum as minimum
from presize.train.rate_suggestions import slide as slide
from presize.train.rate_suggestions import steep as steep
from presize.train.rate_suggestions import suggested as suggested
from presize.train.rate_suggestions import valley as valley
from presize.train.schedules import SchedExp

if TYPE_CHECKING:
    from presize.learner import Learner


class LRFinder(ParamScheduler):
    """Multiplies the rate at every step and stops when the loss diverges.

    `lrs` and `losses` hold the rate of the last layer group and the smoothed loss of each step.

    Args:
        start_lr: the first rate, or one for each layer group.
        end_lr: the last rate, likewise.
        num_it: how many steps are taken.
        stop_div: stop when the smoothed loss is four times its lowest, or is no number.

    Raises:
        ValueError: the rates do not grow from above 0, or there is no step.
    """

    def __init__(
        self, start_lr: float = 1e-7, end_lr: float = 10, num_it: int = 100, stop_div: bool = True
    ) -> None:
        low, high = np.atleast_1d(start_lr).astype(float), np.atleast_1d(end_lr).astype(float)
        if num_it < 1 or not ((low > 0) & (low < high) & np.isfinite(high)).all():
            raise ValueError(
                "lr_find lets the rate grow from start_lr, more than 0, to end_lr in num_it steps, "
                f"but got start_lr={start_lr}, end_lr={end_lr}, num_it={num_it}."
            )
        curves = [SchedExp(a, b) for a, b in zip(*np.broadcast_arrays(low, high), strict=True)]
        # A single rate is for all layer groups.
        many = len(curves) > 1
        super().__init__({"lr": lambda p: [c(p) for c in curves] if many else curves[0](p)})
        self.num_it, self.stop_div = num_it, stop_div
        # At first the rate is too low to matter and the loss only jumps from batch to batch; the
        # suggestions leave this part out as well.
        self.quiet = num_it // 10
        self._start_over()

    def _start_over(self) -> None:
        self.lrs: list[float] = []
        self.losses: list[float] = []
        self.best, self._running = math.inf, 0.0

    def before_fit(self, learn: "Learner") -> None:
        """Begin a new record."""
        super().before_fit(learn)
        self._start_over()

    def before_batch(self, learn: "Learner") -> None:
        """Set the rate of this step."""
        assert learn.opt is not None
        progress = min(learn.train_iter / max(self.num_it - 1, 1), 1.0)
        set_hyper(learn.opt, "lr", self.scheds["lr"](progress))

    def after_batch(self, learn: "Learner") -> None:
        """Stop on divergence or at the last step. The loss is read: this is no real training."""
        super().after_batch(learn)
        if not learn.batch_cancelled:
            loss = self._smoothed(learn)
            if learn.train_iter >= self.quiet:
                self.best = min(self.best, loss)
            limit = self.best + 3 * abs(self.best)  # four times the lowest; losses can be negative
            if self.stop_div and (loss > limit or not math.isfinite(loss)):
                raise CancelFit
        if learn.train_iter >= self.num_it:
            raise CancelFit

    def before_validate(self, learn: "Learner") -> None:
        """Skip validation."""
        raise CancelValidate

    def _smoothed(self, learn: "Learner") -> float:
        """Take in the loss of this step; return the running mean, debiased, as the recorder's.

        Where several processes train together it is that of all of them, so that they stop at the
        same step and suggest the same.
        """
        assert learn.opt is not None
        loss = learn.loss.detach().float()
        if learn.ranks.world > 1:
            loss = all_sum(loss * learn.share) / learn.ranks.world
        beta = learn.recorder.beta
        self._running = beta * self._running + (1 - beta) * float(loss)
        self.lrs.append(learn.opt.param_groups[-1]["lr"])
        self.losses.append(self._running / (1 - beta ** (len(self.losses) + 1)))
        return self.losses[-1]
