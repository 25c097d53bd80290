"""Callbacks that follow one figure: keep the best weights, stop early, lower the rate."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from presize.callbacks.base import Callback, CancelFit
from presize.callbacks.resting import looks_for_rate
from presize.callbacks.schedule import ParamScheduler
from presize.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from presize.learner import Learner

LOWER_IS_BETTER = ("loss", "error")


class TrackerCallback(Callback):
    """Notices when a column of the table has a new best value.

    Args:
        monitor: the column: "train_loss", "valid_loss" or a metric's name.
        comp: `numpy.less` or `numpy.greater`; None minimises what has "loss" or "error" in its
            name and maximises the rest.
        min_delta: how much better a value must be to count.
        reset_on_fit: forget the best value when a new fit begins.
    """

    order = 60

    def __init__(
        self,
        monitor: str = "valid_loss",
        *,
        comp: np.ufunc | None = None,
        min_delta: float = 0.0,
        reset_on_fit: bool = True,
    ) -> None:
        lower = any(word in monitor for word in LOWER_IS_BETTER)
        self.monitor, self.comp = monitor, comp or (np.less if lower else np.greater)
        self.min_delta = -min_delta if self.comp is np.less else min_delta
        self.reset_on_fit = reset_on_fit
        self.best: float | None = None
        self.value: float | None = None
        self.new_best = False
        self._column: int | None = None
        self._aside = False

    def before_fit(self, learn: "Learner") -> None:
        """Find the column; rest, and forget nothing, while a rate is looked for.

        Raises:
            ValueError: the table has no such column, or the column would stay empty.
        """
        self._aside = looks_for_rate(learn)
        if self._aside:
            return
        self._column = None
        names = [n for n in learn.recorder.metric_names if n not in ("epoch", "time")]
        if self.monitor not in names:
            raise ValueError(
                f"{type(self).__name__} is to follow `{self.monitor}`, but the table has "
                f"{', '.join(f'`{n}`' for n in names)}.{did_you_mean(self.monitor, names)}"
            )
        column = names.index(self.monitor)
        if self._follows:
            require_values(learn, type(self).__name__, self.monitor, column)
        self._column = column
        if self.reset_on_fit or self.best is None:
            self.best = float("inf") if self.comp is np.less else -float("inf")

    def after_epoch(self, learn: "Learner") -> None:
        """Compare this epoch's value with the best one."""
        if self.resting:
            return
        assert self._column is not None
        row = learn.recorder.values[-1]
        self.value = row[self._column] if self._column < len(row) else None
        self.new_best = False
        if self.value is not None and self.comp(self.value - self.min_delta, self.best):
            self.best, self.new_best = self.value, True

    def after_fit(self, learn: "Learner") -> None:
        """Go on after a search for a rate in the middle of a fit."""
        self._aside = False

    @property
    def resting(self) -> bool:
        """Whether there is nothing to follow, as during lr_find."""
        return self._aside or self._column is None

    @property
    def _follows(self) -> bool:
        """Whether it needs the figure at all."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the best value of a checkpoint."""
        self.best = state["best"]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.monitor!r})"


class SaveModelCallback(TrackerCallback):
    """Saves the model when the followed figure improves, and loads the best at the end.

    Args:
        monitor: the column to follow.
        comp: see TrackerCallback.
        min_delta: see TrackerCallback.
        fname: the file's name in the learner's model folder.
        every_epoch: save at the end of every epoch (or every so many) instead, as `fname_0`,
            `fname_1` …
        at_end: also save when the fit ends (with `every_epoch`).
        with_opt: save the optimizer's state as well.
        reset_on_fit: see TrackerCallback.
    """

    order = 61

    def __init__(
        self,
        monitor: str = "valid_loss",
        *,
        comp: np.ufunc | None = None,
        min_delta: float = 0.0,
        fname: str = "model",
        every_epoch: bool | int = False,
        at_end: bool = False,
        with_opt: bool = False,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp=comp, min_delta=min_delta, reset_on_fit=reset_on_fit)
        self.fname, self.with_opt = fname, with_opt
        self.every_epoch, self.at_end = int(every_epoch), at_end
        self._saved = False

    def before_fit(self, learn: "Learner") -> None:
        """Find the column; nothing is saved yet."""
        super().before_fit(learn)
        if not self.resting:
            self._saved = False

    def after_epoch(self, learn: "Learner") -> None:
        """Save, if it is time or there is a new best."""
        super().after_epoch(learn)
        if self.resting:
            return
        if self.every_epoch:
            if learn.epoch % self.every_epoch == 0:
                learn.save(f"{self.fname}_{learn.epoch}", with_opt=self.with_opt)
        elif self.new_best:
            _say(
                learn,
                f"Better model found at epoch {learn.epoch} with {self.monitor}: {self.best}.",
            )
            learn.save(self.fname, with_opt=self.with_opt)
            self._saved = True

    def after_fit(self, learn: "Learner") -> None:
        """Load the best weights, unless every epoch was saved."""
        resting = self.resting
        super().after_fit(learn)
        if resting:
            return
        if self.every_epoch:
            if self.at_end:
                learn.save(self.fname, with_opt=self.with_opt)
        elif self._saved:
            learn.load(self.fname, with_opt=self.with_opt)

    @property
    def _follows(self) -> bool:
        return not self.every_epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and whether it was saved."""
        return super().state_dict() | {"saved": self._saved}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as a checkpoint says; the best weights are in the model folder."""
        super().load_state_dict(state)
        self._saved = bool(state["saved"])


class PatienceCallback(TrackerCallback):
    """Counts the epochs in which the followed figure has not improved.

    Args:
        monitor: the column to follow.
        comp: see TrackerCallback.
        min_delta: see TrackerCallback.
        patience: how many epochs to wait for a better value.
        reset_on_fit: see TrackerCallback.
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        *,
        comp: np.ufunc | None = None,
        min_delta: float = 0.0,
        patience: int = 1,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp=comp, min_delta=min_delta, reset_on_fit=reset_on_fit)
        self.patience, self.wait = patience, 0

    def before_fit(self, learn: "Learner") -> None:
        """Start to wait."""
        super().before_fit(learn)
        if not self.resting:
            self.wait = 0

    def after_epoch(self, learn: "Learner") -> None:
        """Count, and act when the patience is at its end; an epoch without a value is none."""
        super().after_epoch(learn)
        if self.resting or self.value is None:
            return
        self.wait = 0 if self.new_best else self.wait + 1
        if self.wait >= self.patience:
            self.give_up(learn)

    def give_up(self, learn: "Learner") -> None:
        """Do what is to be done when the figure has not improved for too long."""
        raise NotImplementedError(f"{type(self).__name__} needs a method give_up(self, learn).")

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and for how many epochs it has been waited for."""
        return super().state_dict() | {"wait": self.wait}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on waiting."""
        super().load_state_dict(state)
        self.wait = int(state["wait"])


class EarlyStoppingCallback(PatienceCallback):
    """Stops training when the followed figure has not improved for `patience` epochs.

    With one-cycle training the best results come at the end, when the rate is lowest; stopping
    before that seldom helps. Train again with fewer epochs instead. Arguments: PatienceCallback.
    """

    order = 63

    def give_up(self, learn: "Learner") -> None:
        """End the fit."""
        epochs = "1 epoch" if self.wait == 1 else f"{self.wait} epochs"
        _say(learn, f"No improvement of {self.monitor} in {epochs}: stopping.")
        raise CancelFit


class ReduceLROnPlateau(PatienceCallback):
    """Divides the rate when the followed figure has not improved for `patience` epochs.

    Args:
        monitor: the column to follow.
        factor: what the rate is divided by.
        min_lr: the rate below which it does not go.
        patience: how many epochs to wait for a better value.
        comp: see TrackerCallback.
        min_delta: see TrackerCallback.
        reset_on_fit: see TrackerCallback.
    """

    order = 65

    def __init__(
        self,
        monitor: str = "valid_loss",
        *,
        factor: float = 10.0,
        min_lr: float = 0.0,
        patience: int = 1,
        comp: np.ufunc | None = None,
        min_delta: float = 0.0,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(
            monitor, comp=comp, min_delta=min_delta, patience=patience, reset_on_fit=reset_on_fit
        )
        self.factor, self.min_lr = factor, min_lr

    def before_fit(self, learn: "Learner") -> None:
        """Start to wait; say so if the rate is not this callback's to set."""
        super().before_fit(learn)
        scheduled = any(isinstance(cb, ParamScheduler) and "lr" in cb.scheds for cb in learn.cbs)
        if scheduled and not self.resting:
            warnings.warn(
                "ReduceLROnPlateau has no effect in this fit: a schedule sets the rate of every "
                "step, as in fit_one_cycle and fine_tune. Use it with fit, whose rate stays.",
                stacklevel=2,
            )

    def give_up(self, learn: "Learner") -> None:
        """Lower the rate, and wait again."""
        assert learn.opt is not None
        for group in learn.opt.param_groups:
            group["lr"] = max(group["lr"] / self.factor, self.min_lr)
        self.wait = 0
        rate = learn.opt.param_groups[-1]["lr"]
        _say(learn, f"Epoch {learn.epoch}: learning rate lowered to {rate:.2e}.")


def require_values(learn: "Learner", who: str, monitor: str, column: int) -> None:
    """Refuse to follow a figure of validation where there is no validation.

    Args:
        who: what is to follow it, for the error.
        monitor: the name of the figure.
        column: its place in `learn.recorder.values`.

    Raises:
        DataError: the column would stay empty.
    """
    in_training = 1 + len(learn.metrics) * learn.recorder.train_metrics
    if column >= in_training and learn.dls.valid is None:
        raise DataError(
            f"{who} is to follow `{monitor}`, a figure of validation, but the data has no "
            "validation set. Follow one of training, monitor='train_loss', or give a validation "
            "set, DataLoaders(train, valid)."
        )


def _say(learn: "Learner", text: str) -> None:
    """Print a line, once where several processes train together."""
    if learn.ranks.is_main:
        print(text)
