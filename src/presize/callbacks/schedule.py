"""Follows schedules: sets the optimizer's rates and momenta from the progress of training."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.train.optim import get_hyper, has_momentum, set_hyper

if TYPE_CHECKING:
    from presize.learner import Learner

Schedule = Callable[[float], Any]


class ParamScheduler(Callback):
    """Sets hyper-parameters before every batch of training.

    Any function of progress is a schedule, and so are those of `presize.train.schedules`:

        learn.fit(5, cbs=ParamScheduler({"lr": SchedExp(1e-2, 1e-4)}))
        rates = learn.rates(slice(1e-5, 1e-3))  # one for each layer group
        warm = combine_scheds([0.1, 0.9], [SchedLin(rates / 100, rates), SchedPoly(rates, 0, 2)])
        learn.fit(5, cbs=ParamScheduler({"lr": warm, "wd": SchedCos(0.0, 0.1)}))

    `plot_schedules` draws them before training, `learn.recorder.plot_sched` what was used.

    Args:
        scheds: name ("lr", "mom", "wd" …) -> a function of progress in 0..1 that returns one
            value, or one per layer group.

    Raises:
        TypeError: that is no mapping, or one of its values cannot be called.
    """

    order = 60
    run_valid = False

    def __init__(self, scheds: Mapping[str, Schedule]) -> None:
        if not isinstance(scheds, Mapping):
            raise TypeError(
                "ParamScheduler takes a dictionary of name and schedule, such as "
                f'{{"lr": SchedCos(1e-2, 1e-5)}}, but got {scheds!r}.'
            )
        for name, schedule in scheds.items():
            if not callable(schedule):
                raise TypeError(
                    f"A schedule is a function of the progress from 0 to 1, but `{name}` is "
                    f"{schedule!r}. SchedNo({schedule!r}, {schedule!r}) stays at one value."
                )
        self.scheds = dict(scheds)
        self._followed = self.scheds
        self._resting = False

    def before_fit(self, learn: "Learner") -> None:
        """Start a new record of the values; leave momentum alone where the optimizer has none.

        While `lr_find` looks for a rate, also in the middle of a fit, its own schedule is the one.

        Raises:
            ValueError: another callback of this fit has a schedule for the same.
        """
        assert learn.opt is not None
        looking = _looks_for_rate(learn)
        self._resting = looking and type(self).before_batch is ParamScheduler.before_batch
        if self._resting:
            return
        self._followed = dict(self.scheds)
        if not has_momentum(learn.opt):
            self._followed.pop("mom", None)
        if not looking:
            _check_alone(self, self._followed, learn)
        learn.recorder.hps |= {name: [] for name in self._followed}

    def before_batch(self, learn: "Learner") -> None:
        """Set each hyper-parameter to its value at this point of training."""
        assert learn.opt is not None
        if self._resting:
            return
        for name, schedule in self._followed.items():
            set_hyper(learn.opt, name, schedule(learn.pct_train))

    def after_batch(self, learn: "Learner") -> None:
        """Record the last group's values, which `plot_sched` draws."""
        assert learn.opt is not None
        if self._resting:
            return
        for name in self._followed:
            learn.recorder.hps[name].append(get_hyper(learn.opt, name)[-1])

    def after_fit(self, learn: "Learner") -> None:
        """Follow the schedules again, if lr_find was called in the middle of a fit."""
        self._resting = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.scheds)})"


def _looks_for_rate(learn: "Learner") -> bool:
    from presize.callbacks.resting import looks_for_rate  # here: lr_find is built on this file

    return looks_for_rate(learn)


def _check_alone(scheduler: ParamScheduler, names: Iterable[str], learn: "Learner") -> None:
    others = [cb for cb in learn.cbs if isinstance(cb, ParamScheduler) and cb is not scheduler]
    for name in names:
        if any(name in other.scheds for other in others):
            raise ValueError(
                f"Two schedules of this fit set `{name}`, and only one can. fit_one_cycle, "
                "fit_flat_cos, fit_sgdr and fine_tune bring their own: give yours to fit, or take "
                "off the one that the learner has, learn.remove_cb(ParamScheduler)."
            )
