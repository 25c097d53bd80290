"""Follows schedules: sets the optimizer's rates and momenta from the progress of training."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.train.optim import get_hyper, has_momentum, set_hyper

if TYPE_CHECKING:
    from presize.learner import Learner

Schedule = Callable[[float], Any]


class ParamScheduler(Callback):
    """Sets hyper-parameters before every batch of training.

    Args:
        scheds: name ("lr", "mom", "wd" …) -> a function of progress in 0..1 that returns one
            value, or one per layer group.
    """

    order = 60
    run_valid = False

    def __init__(self, scheds: Mapping[str, Schedule]) -> None:
        self.scheds = dict(scheds)

    def before_fit(self, learn: "Learner") -> None:
        """Start a new record of the values; leave momentum alone where the optimizer has none."""
        assert learn.opt is not None
        if not has_momentum(learn.opt):
            self.scheds.pop("mom", None)
        learn.recorder.hps = {name: [] for name in self.scheds}

    def before_batch(self, learn: "Learner") -> None:
        """Set each hyper-parameter to its value at this point of training."""
        assert learn.opt is not None
        for name, schedule in self.scheds.items():
            set_hyper(learn.opt, name, schedule(learn.pct_train))

    def after_batch(self, learn: "Learner") -> None:
        """Record the last group's values, which `plot_sched` draws."""
        assert learn.opt is not None
        for name in self.scheds:
            learn.recorder.hps[name].append(get_hyper(learn.opt, name)[-1])
