"""Records losses, metrics and rates; draws their curves."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from presize.callbacks import recorder_plots as plots
from presize.callbacks.base import Callback
from presize.callbacks.bottleneck import Waiting, tell
from presize.core.collections import L
from presize.core.errors import TrainingError
from presize.show.grids import Grid
from presize.train.collective import all_sum
from presize.train.loss_history import LossHistory
from presize.train.metrics import AvgLoss, Metric

if TYPE_CHECKING:
    from presize.learner import Learner


class Recorder(Callback):
    """Keeps what happened; always there as `learn.recorder`.

    One that is given to a fit, `learn.fit(1, cbs=Recorder(train_metrics=True))`, takes the place of
    the learner's own in that fit.

    `values` holds one list an epoch: train loss, valid loss, then the metrics. The train loss is
    a debiased running average (beta .98) over the batches. Losses of single steps stay on the
    device until they are read. `waited` is the part of the last fit's training passes that went by
    waiting for data, 0..1, and `verdict` what there is to say about it.

    Args:
        add_time: add the time of an epoch to its row.
        train_metrics: compute the metrics on training batches as well.
        valid_metrics: compute loss and metrics on the validation set.
        beta: the weight of the past in the running average.
    """

    order = 50

    def __init__(
        self,
        *,
        add_time: bool = True,
        train_metrics: bool = False,
        valid_metrics: bool = True,
        beta: float = 0.98,
    ) -> None:
        self.add_time, self.train_metrics = add_time, train_metrics
        self.valid_metrics = valid_metrics
        self.beta = beta
        self.loss, self.smooth_loss = AvgLoss(), LossHistory(beta)
        self.values: L[L[Any]] = L()
        self.shown: list[list[Any]] = []
        self.lrs: list[float] = []
        self.iters: list[int] = []
        self.hps: dict[str, list[float]] = {}
        self.metric_names: L[str] = L()
        self.row: list[Any] = []
        self.waited: float | None = None
        self.verdict: str | None = None
        self.rate_search: plots.RateSearch | None = None
        self._start = 0.0
        self._waiting = Waiting()

    @property
    def losses(self) -> list[float]:
        """The smoothed train loss after every step of the last fit."""
        return self.smooth_loss.smooth

    def before_fit(self, learn: "Learner") -> None:
        """Forget the last fit."""
        self.values, self.shown, self.lrs, self.iters = L(), [], [], []
        self.hps = {}
        names = [m.name for m in learn.metrics]
        train = [f"train_{n}" for n in names] if self.train_metrics else []
        valid = ["valid_loss", *names] if self.valid_metrics else []
        if self.train_metrics and self.valid_metrics:
            valid = ["valid_loss", *(f"valid_{n}" for n in names)]
        self.metric_names = L(["epoch", "train_loss", *train, *valid])
        if self.add_time:
            self.metric_names.append("time")
        # New ones: a fit that this one interrupts, as lr_find may, gets its own back.
        self.loss, self.smooth_loss = AvgLoss(), LossHistory(self.beta)
        self._waiting = Waiting()
        if learn.ranks.world > 1:
            for metric in learn.metrics:  # one that cannot be joined is told before any training
                metric.reset()
                metric.gather()

    def before_epoch(self, learn: "Learner") -> None:
        """Start the clock and an empty row."""
        self._start, self.row = time.perf_counter(), []

    def before_train(self, learn: "Learner") -> None:
        """Start the training metrics."""
        self._waiting.begin(learn.dl)
        self.loss.reset()
        if self.train_metrics:
            _reset(learn.metrics)

    def before_validate(self, learn: "Learner") -> None:
        """Start the validation metrics."""
        self.loss.reset()
        _reset(learn.metrics)

    def after_batch(self, learn: "Learner") -> None:
        """Add the batch to the averages; nothing is read from the device."""
        if not learn.yb or learn.batch_cancelled:
            return
        if not learn.training:
            self.loss.accumulate(learn)
            for metric in learn.metrics:
                metric.accumulate(learn)
            return
        assert learn.opt is not None
        self.smooth_loss.add(learn.loss if learn.share == 1.0 else learn.loss * learn.share)
        self.lrs.append(learn.opt.param_groups[-1]["lr"])
        if self.train_metrics:
            for metric in learn.metrics:
                metric.accumulate(learn)

    def after_train(self, learn: "Learner") -> None:
        """Put the train loss (and metrics) into the row."""
        self._waiting.add(learn.dl)
        if learn.ranks.world > 1:
            self.smooth_loss.gather(lambda losses: all_sum(losses) / learn.ranks.world)
        self.row.append(_number(self.smooth_loss.value))
        if self.train_metrics:
            self.row += _values(learn.metrics, learn.ranks.world)

    def after_validate(self, learn: "Learner") -> None:
        """Put the validation loss and metrics into the row."""
        if self.valid_metrics:
            self.row += _values([self.loss, *learn.metrics], learn.ranks.world)

    def after_epoch(self, learn: "Learner") -> None:
        """Keep the row, and log it."""
        self.iters.append(len(self.smooth_loss))
        self.values.append(L(self.row))
        cells = [learn.epoch, *self.row]
        if self.add_time:
            cells.append(format_time(time.perf_counter() - self._start))
        self.shown.append(cells)
        if learn.ranks.is_main:
            learn.logger(cells)

    def after_fit(self, learn: "Learner") -> None:
        """Say so if the model waited for data; not on the way out of an error."""
        self.waited = self._waiting.share
        self.verdict = None if learn.failing else self._waiting.verdict(learn.dls.train)
        if self.verdict is not None:
            tell(learn, self.verdict)

    def state_dict(self) -> dict[str, Any]:
        """Return the table and the losses so far, and how long the epoch has taken."""
        return {
            "values": [list(row) for row in self.values],
            "shown": [list(cells) for cells in self.shown],
            "row": list(self.row),
            "lrs": list(self.lrs),
            "iters": list(self.iters),
            "hps": {name: list(values) for name, values in self.hps.items()},
            "losses": self.smooth_loss.state_dict(),
            "seconds": time.perf_counter() - self._start,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the table and the losses of another run."""
        self.values = L(L(row) for row in state["values"])
        self.shown = [list(cells) for cells in state["shown"]]
        self.row, self.lrs, self.iters = (list(state[key]) for key in ("row", "lrs", "iters"))
        self.hps = {name: list(values) for name, values in state["hps"].items()}
        self.smooth_loss.load_state_dict(state["losses"])
        self._start = time.perf_counter() - state["seconds"]

    def final_record(self) -> L[Any]:
        """Return the last epoch's losses and metrics.

        Raises:
            TrainingError: nothing was trained yet.
        """
        if not self.values:
            raise TrainingError("There is no record yet: this learner has not trained. Call fit.")
        return self.values[-1]

    def plot_loss(
        self, skip_start: int = 5, with_valid: bool = True, *, log: bool = False, ax: Any = None
    ) -> Any:
        """Draw the smoothed train loss of every step and the valid loss of every epoch.

        Ends of epochs are marked, and named above as in the table. Drawn on axes that hold curves
        already, to compare runs, it adds only its own. Returns the axes.

        Args:
            skip_start: leave out so many first steps, whose losses are far off the scale.
            with_valid: draw the validation loss as well.
            log: a logarithmic scale of losses.
            ax: axes to draw on; new ones if None.

        Raises:
            TrainingError: nothing was trained yet.
        """
        return plots.plot_loss(self, skip_start, with_valid, log, ax)

    def plot_metrics(
        self,
        names: Sequence[str] | None = None,
        figsize: tuple[float, float] | None = None,
        *,
        ax: Any = None,
    ) -> Grid:
        """Draw losses and metrics of every epoch, a panel for each; return the axes.

        Args:
            names: the panels, "loss" or names of metrics; all if None.
            figsize: (width, height) in inches.
            ax: axes to draw on, one for each panel; new ones if None.

        Raises:
            TrainingError: no epoch has ended yet, or a name is not in the table.
        """
        return plots.plot_metrics(self, names, figsize, ax)

    def plot_sched(
        self,
        keys: Sequence[str] | None = None,
        figsize: tuple[float, float] | None = None,
        *,
        ax: Any = None,
    ) -> Grid:
        """Draw the course of the scheduled hyper-parameters, "lr" and "mom"; return the axes.

        Args:
            keys: those to draw; all if None.
            figsize: (width, height) in inches.
            ax: axes to draw on, one for each; new ones if None.

        Raises:
            TrainingError: the last fit had no schedule, or none of that name.
        """
        return plots.plot_sched(self, keys, figsize, ax)

    def plot_lr_find(self, skip_end: int = 5, *, ax: Any = None) -> Any:
        """Draw loss against rate as the last `lr_find` saw them; return the axes.

        Args:
            skip_end: leave out so many last steps, where the loss has diverged.
            ax: axes to draw on; new ones if None.

        Raises:
            TrainingError: no rate was looked for yet.
        """
        if self.rate_search is None:
            raise TrainingError(
                "plot_lr_find has nothing to draw: no rate was looked for yet. Call "
                "learn.lr_find() first."
            )
        return plots.plot_lr_find(*self.rate_search, skip_end=skip_end, ax=ax)


def _reset(metrics: list[Metric]) -> None:
    for metric in metrics:
        metric.reset()


def _values(metrics: list[Metric], world: int) -> list[float | None]:
    """Read metrics from the device, over all processes that train together."""
    if world > 1:
        for metric in metrics:
            metric.gather()
    return [_number(metric.value) for metric in metrics]


def _number(value: Any) -> float | None:
    """Read a value from the device."""
    return float(value) if value is not None else None


def format_time(seconds: float) -> str:
    """Return minutes and seconds as `00:19`, with hours where there are some."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
