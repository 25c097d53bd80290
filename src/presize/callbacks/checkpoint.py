"""Keeps a run on disk while it trains, so that it can be gone on with after whatever ends it."""

import signal
import sys
from pathlib import Path as AnyPath
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.callbacks.run_snapshot import (
    can_stop_in_epoch,
    describe_data,
    finite,
    named,
    own_state,
    shared_state,
)
from presize.callbacks.saving import LOWER_IS_BETTER, require_values
from presize.callbacks.signals import Signals
from presize.core.errors import did_you_mean
from presize.data.warned import warn_user
from presize.train.checkpoint_files import CheckpointFolder
from presize.train.collective import all_parts, all_sum
from presize.train.random_state import random_state
from presize.train.run_state import pack, to_bytes

if TYPE_CHECKING:
    from presize.learner import Learner

FOLDER = "checkpoints"
# Validation can take long, and a run that is ended in it goes on from the checkpoint before. So
# one is written at its door if the last is older than this.
_DOOR_SECONDS = 60.0
# Processes that train together agree this often on whether it is time; it waits for the device.
_AGREE_EVERY = 16


class Checkpoints(Callback):
    """Writes checkpoints of the whole run, which `learn.resume()` goes on from to the bit.

    A checkpoint is one file, written whole or not at all, without pickle: weights, optimizer, loss
    scale, the place in the schedule and in the data, random states, the table so far, and the
    state of all callbacks. Checkpoints lie between two steps of the optimizer. SIGTERM and Ctrl-C
    are answered with a checkpoint at the end of the step; the second one ends the step too.

    When a new run begins, the checkpoints that lie there are moved into the subfolder "earlier",
    which is removed when the new run has written its first one.

    Args:
        every_epoch: at the end of each epoch.
        every_steps: also after so many steps of the optimizer.
        every_minutes: also after so many minutes.
        keep: how many of the last ones stay.
        monitor: a column of the table, "valid_loss" or a metric's name: the checkpoint of its best
            epoch stays as well, as best.safetensors, which `learn.load` reads. The lowest value is
            the best if the name has "loss" or "error" in it, else the highest.
        folder: where they go; None takes "checkpoints" in `learn.path`.

    Attributes:
        best: the value of the best epoch of the run, if one is kept.
        last: the last checkpoint of the run.
        note: JSON of whoever began the run, that is put into each checkpoint.

    Raises:
        ValueError: they would never be written, or none would stay.
    """

    order = 10000  # after all others, whose states it keeps

    def __init__(
        self,
        *,
        every_epoch: bool = True,
        every_steps: int | None = None,
        every_minutes: float | None = 10,
        keep: int = 2,
        monitor: str | None = None,
        folder: str | AnyPath | None = None,
    ) -> None:
        _check_options(every_epoch, every_steps, every_minutes, keep)
        self.every_epoch, self.every_steps = every_epoch, every_steps
        self.every_minutes, self.keep, self.monitor = every_minutes, keep, monitor
        self.folder = None if folder is None else AnyPath(folder)
        self.best: float | None = None
        self.last: AnyPath | None = None
        self.note: dict[str, Any] = {}
        self._signals = Signals()
        self._active = self._resting = False
        self._steps, self._unasked, self._written = 0, 0, 0.0
        self._data: dict[str, Any] = {}
        self._pass: dict[str, Any] | None = None
        self._call: dict[str, Any] | None = None  # the recipe whose run this is

    @property
    def settings(self) -> dict[str, Any]:
        """What it was made with, apart from the folder."""
        names = ("every_epoch", "every_steps", "every_minutes", "keep", "monitor")
        return {name: getattr(self, name) for name in names}

    def place(self, learn: "Learner") -> CheckpointFolder:
        """Return the folder of the checkpoints of a learner."""
        return CheckpointFolder(learn.path / FOLDER if self.folder is None else self.folder)

    def before_fit(self, learn: "Learner") -> None:
        """Start the clock, and catch signals; rest while a rate is looked for.

        Raises:
            TypeError: an argument of the call, or a callback's state, cannot be kept in a file.
            ValueError: there is another one in this fit, or no column to monitor.
        """
        self._resting = looks_for_rate(learn)
        if self._resting:
            return
        _check_alone(learn)
        if self.monitor is not None:
            require_values(learn, "Checkpoints", self.monitor, self._column(learn))
        pack(learn.run.call, "call")
        _check_states(learn)
        self._data = describe_data(learn)
        self._active, self._written = True, perf_counter()
        self._steps = self._unasked = 0
        self._pass = None
        if learn.ranks.is_main:
            self.place(learn).tidy()
        if learn.run.call is not self._call:  # else it is another fit of the same run
            self._begin_run(learn)
        self._signals.watch()

    def before_train(self, learn: "Learner") -> None:
        """Remember the random states that a sampler of the user's is about to draw from."""
        if self._active and not self._resting:
            self._pass = _state_of_order(learn)

    def after_batch(self, learn: "Learner") -> None:
        """Write a checkpoint if it is time, or a signal has come."""
        if not self._active or self._resting:
            return
        if not learn.training:
            if self._signals.pending is not None and learn.ranks.world == 1:
                self._leave(learn)
            return
        if not learn.stepped:
            return
        self._steps += 1
        due, leaving = self._due(learn)
        if due or leaving:
            self._write(learn, over=False)
        if leaving:
            self._leave(learn)

    def after_epoch(self, learn: "Learner") -> None:
        """Write a checkpoint of the epoch; keep it if it is the best one."""
        if not self._active or self._resting:
            return
        better = self.monitor is not None and self._agreed(learn, self._is_better(learn))
        leaving = self._agreed(learn, self._signals.pending is not None)
        if self.every_epoch or better or leaving:
            self._write(learn, over=True, best=better)
            # Writing takes a while, in which one may have come.
            leaving = leaving or self._agreed(learn, self._signals.pending is not None)
        if leaving:
            self._leave(learn)

    def after_fit(self, learn: "Learner") -> None:
        """Let signals do what they did before the fit, and answer one that has come since."""
        if self._resting:
            self._resting = False
            return
        active, self._active = self._active, False
        self._signals.rest()
        if learn.failing:  # the error ends it
            self._signals.pending = None
        elif active and self._agreed(learn, self._signals.pending is not None):
            self._leave(learn)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and the random states that the order of the epoch came from."""
        return {"best": self.best, "pass": self._pass}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the best value of a checkpoint."""
        self.best, self._pass = state["best"], state["pass"]

    def _begin_run(self, learn: "Learner") -> None:
        """Forget the run before; if this is that run, do what it may have been killed before."""
        self._call, self.best = learn.run.call, None
        place = self.place(learn)
        if not learn.run.goes_on:
            self.last = None
            if learn.ranks.is_main:
                place.set_aside()
        elif learn.ranks.is_main and (found := place.newest_meta()) is not None:
            path, meta = found
            if meta.get("best"):
                self._keep_best(place, path)

    def _due(self, learn: "Learner") -> tuple[bool, bool]:
        """Return whether to write now, and whether to end the fit then."""
        age = perf_counter() - self._written
        late = self.every_minutes is not None and age >= 60 * self.every_minutes
        if not late and age >= _DOOR_SECONDS and learn.iter + 1 == learn.n_iter:
            late = learn.dls.valid is not None
        leaving = self._signals.pending is not None
        if learn.ranks.world > 1:
            self._unasked += 1
            if self._unasked < _AGREE_EVERY:
                late = leaving = False
            else:
                self._unasked = 0
                late, leaving = self._agreed(learn, late), self._agreed(learn, leaving)
        return late or (self.every_steps is not None and self._steps >= self.every_steps), leaving

    def _agreed(self, learn: "Learner", wish: bool) -> bool:
        """Return whether any of the processes that train together wishes so."""
        return wish if learn.ranks.world == 1 else bool(all_sum(torch.tensor([int(wish)])) > 0)

    def _write(self, learn: "Learner", *, over: bool, best: bool = False) -> None:
        """Write a checkpoint, of the best epoch or not; one that cannot be written ends nothing."""
        why_not = None if over else can_stop_in_epoch(learn)
        self._written, self._steps = perf_counter(), 0
        if why_not is not None:
            warn_user(f"There are checkpoints at the ends of epochs only: {why_not}.")
            return
        if not over and not self._agreed_finite(learn):
            return
        before = self.best
        if best:
            self.best = learn.recorder.values[-1][self._column(learn)]
        own = own_state(learn, over=over)
        others = all_parts(to_bytes(own))[1:] if learn.ranks.world > 1 else []
        if not learn.ranks.is_main:
            return
        tensors, meta = shared_state(learn, self._data)
        packed, more = pack({"call": learn.run.call, "own": own}, "run")
        meta |= {"run": packed, "fit": learn.run.fits, "world": learn.ranks.world, "over": over}
        meta |= {"epoch": learn.epoch, "batch": learn.iter + 1, "n_epoch": learn.n_epoch}
        meta |= {"checkpoints": self.settings, "note": self.note, "best": best}
        meta["ended"] = learn.cbs.ending
        tensors |= more | {f"rank.{i}": sent for i, sent in enumerate(others, 1)}
        place = self.place(learn)
        try:
            self.last = place.write(tensors, meta, self.keep)
        except OSError as error:
            warn_user(f"A checkpoint could not be written, and training goes on: {error}.")
            self.best = before
            return
        if best and not self._keep_best(place, self.last):
            self.best = before

    def _keep_best(self, place: CheckpointFolder, path: AnyPath) -> bool:
        try:
            place.keep_best(path)
        except OSError as error:
            warn_user(f"The best checkpoint could not be kept, and training goes on: {error}.")
            return False
        return True

    def _agreed_finite(self, learn: "Learner") -> bool:
        # With a loss that is none the weights are lost; the fit is about to be ended for it.
        return not self._agreed(learn, not finite(learn))

    def _leave(self, learn: "Learner") -> None:
        caught = self._signals.pending or signal.SIGTERM  # that of another process
        self._signals.pending = caught
        name = "Ctrl-C" if caught is signal.SIGINT else caught.name
        if self.last is None:
            kept = "There is no checkpoint yet: begin again."
        else:
            kept = f"The last checkpoint is {self.last}; learn.resume() goes on from it."
        if learn.ranks.is_main:
            where = f"epoch {learn.epoch}, batch {learn.iter}"
            part = "" if learn.training else " of validation"
            print(f"{name} came, training stopped at {where}{part}. {kept}", file=sys.stderr)
        self._signals.raise_pending()

    def _column(self, learn: "Learner") -> int:
        names = [n for n in learn.recorder.metric_names if n not in ("epoch", "time")]
        if self.monitor not in names:
            raise ValueError(
                f"Checkpoints is to keep the best by `{self.monitor}`, but the table has "
                f"{', '.join(f'`{n}`' for n in names)}.{did_you_mean(self.monitor, names)}"
            )
        return names.index(self.monitor)

    def _is_better(self, learn: "Learner") -> bool:
        row, column = learn.recorder.values[-1], self._column(learn)
        value: float | None = row[column] if column < len(row) else None
        if value is None or value != value:
            return False
        lower = any(word in str(self.monitor) for word in LOWER_IS_BETTER)
        return self.best is None or (value < self.best if lower else value > self.best)

    def __repr__(self) -> str:
        usual = Checkpoints().settings | {"folder": None}
        mine = self.settings | {"folder": None if self.folder is None else str(self.folder)}
        told = ", ".join(f"{k}={v!r}" for k, v in mine.items() if v != usual[k])
        return f"Checkpoints({told})"


def _check_options(
    every_epoch: bool, every_steps: int | None, every_minutes: float | None, keep: int
) -> None:
    if not every_epoch and every_steps is None and every_minutes is None:
        raise ValueError(
            "Checkpoints would never write: give one of every_epoch=True, every_steps=, "
            "every_minutes=."
        )
    if every_steps is not None and every_steps < 1:
        raise ValueError(f"every_steps is a number of steps, 1 or more, but got {every_steps!r}.")
    if every_minutes is not None and not every_minutes >= 0:
        raise ValueError(f"every_minutes is a number of minutes, but got {every_minutes!r}.")
    if keep < 1:
        raise ValueError(f"keep is how many checkpoints stay, 1 or more, but got {keep!r}.")


def _check_alone(learn: "Learner") -> None:
    found = [cb for cb in learn.cbs if isinstance(cb, Checkpoints)]
    if len(found) > 1:
        raise ValueError(
            f"A fit has one Checkpoints, but got {' and '.join(map(repr, found))}. Take one off: "
            "learn.remove_cb(Checkpoints)."
        )


def _check_states(learn: "Learner") -> None:
    """Refuse states that no file can hold before training, not at the first checkpoint."""
    for name, cb in named(learn.cbs).items():
        try:
            state = cb.state_dict()
        except Exception:  # it may have none before its first batch
            continue
        pack(state, f"{name}.state_dict()")


def _state_of_order(learn: "Learner") -> dict[str, Any] | None:
    """Return what the order of the coming pass is drawn from, if it is not counted."""
    sampler = getattr(learn.dl, "sampler", None)
    own_order = "get_idxs" in getattr(learn.dl, "__dict__", {})
    if sampler is None and not own_order:
        return None
    state = random_state(learn.place)
    generator = getattr(sampler, "generator", None)
    if isinstance(generator, torch.Generator):
        state["sampler"] = generator.get_state()
    return state
