"""Fits a training to a length of time: the schedule follows the clock and is done when it is."""

from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from presize.callbacks.base import Callback, CancelFit, CancelTrain
from presize.callbacks.bottleneck import tell
from presize.callbacks.resting import looks_for_rate
from presize.train.collective import all_cat
from presize.train.duration import Duration as Duration
from presize.train.duration import duration_text, in_seconds
from presize.train.pace import Pace, steps_that_fit

if TYPE_CHECKING:
    from presize.learner import Learner

# Processes that train together agree on a plan after this part of the steps that it had left.
_AGREE_AFTER = 1 / 16
_NEAR_END = 0.9


@dataclass
class _Course:
    """Where a fit with a limit is.

    Args:
        used: seconds that it had taken when last looked at.
        in_epoch: steps of an epoch; 0 before the first one.
        left: steps that are left, by the last plan.
        progress: of the schedule, 0 to 1.
        bound: whether the time was ever too short for all epochs.
        over: whether the time is used up.
        cut: how many steps are left out.
        reached: where the schedule was when the time was used up.
        pace: what steps and validations take.
    """

    used: float = 0.0
    in_epoch: int = 0
    left: float = 0.0
    progress: float = 0.0
    bound: bool = False
    over: bool = False
    cut: int = 0
    reached: float = 1.0
    pace: Pace = field(default_factory=Pace)


class TimeBudget(Callback):
    """Makes a fit take about so long: its schedule ends when the time does.

    After every step, the rest of the schedule is spread over the steps that still fit into the
    time, with the validations between them and one at the end. The fit ends before its last epoch
    when they are done, and with `n_epoch` epochs if all of them fit; then the schedule is what it
    is without a limit. What a validation takes is known from the one before; for the first it is
    guessed from the training steps, and it may take the fit some seconds past the limit.

    The rates of a run with a limit depend on how fast the machine is, so two such runs are not
    equal to the bit, also where they resume. Time in which a run was not alive does not count.

    Args:
        max_time: seconds, or text such as "90s", "20m", "1h30m". A step under way is finished,
            and one is made in any case.

    Attributes:
        earlier: seconds of the fit that had passed when the run was killed; 0 if it was not.

    Raises:
        ValueError, TypeError: `max_time` is no length of time.
    """

    order = -9  # right after the steps are counted, before anything looks at the progress
    run_valid = False

    def __init__(self, max_time: Duration) -> None:
        self.seconds = in_seconds(max_time)
        self.earlier = 0.0
        self._course = _Course()
        self._start = self._mark = self._arrived = 0.0
        self._since_plan = 0
        self._validating = self._resting = False

    def before_fit(self, learn: "Learner") -> None:
        """Start the clock; rest while a rate is looked for, also in the middle of a fit.

        Raises:
            ValueError: there is another budget in this fit.
        """
        self._resting = looks_for_rate(learn)
        if self._resting:
            return
        budgets = [cb for cb in learn.cbs if isinstance(cb, TimeBudget)]
        if len(budgets) > 1:
            raise ValueError(
                f"A fit has one limit of time, but got {' and '.join(map(repr, budgets))}. Leave "
                "out max_time=, or take the callback off: learn.remove_cb(TimeBudget)."
            )
        self._course, self.earlier = _Course(), 0.0
        self._start, self._since_plan, self._validating = perf_counter(), 0, False

    def before_epoch(self, learn: "Learner") -> None:
        """Go on where the schedule was; end the fit if no step of this epoch fits."""
        if self._resting:
            return
        course = self._course
        if self._validating:
            course.pace.validation = self._now() - self._mark
            self._validating = False
        if course.bound:
            learn.pct_train = course.progress
        if course.in_epoch and not course.over:
            course.left = self._planned(learn, 0)
            self._end_if_over(learn, 0)
        if course.over:
            learn.epoch -= 1  # this one does not take place
            learn.pct_train = course.progress
            raise CancelFit

    def before_train(self, learn: "Learner") -> None:
        """Take the time of the steps from here on."""
        if not self._resting:
            self._course.in_epoch, self._mark = learn.n_iter, self._now()

    def before_batch(self, learn: "Learner") -> None:
        """End the training part when the time is up: nobody has seen this batch yet."""
        if self._resting:
            return
        if self._course.over:
            raise CancelTrain
        self._arrived = perf_counter()

    def after_batch(self, learn: "Learner") -> None:
        """Plan anew, and move on by one of the steps that are left."""
        if self._resting:
            return
        now, course = self._now(), self._course
        course.pace.add_step(now - self._mark, self._arrived - self._mark)
        self._mark = now
        done = learn.iter + 1
        course.left = max(course.left - 1.0, 0.0)
        self._since_plan += 1
        if learn.ranks.world == 1 or self._since_plan >= course.left * _AGREE_AFTER:
            course.left, self._since_plan = self._planned(learn, done), 0
        counted = self._counted(learn, done)
        course.bound = course.bound or course.left < counted
        if not course.bound:
            # As long as all epochs fit, the progress is what it would be without a limit.
            course.progress = learn.pct_train
            return
        course.progress += (1.0 - course.progress) / (min(course.left, counted) + 1.0)
        if not learn.accumulation.pending:
            self._end_if_over(learn, done)
        learn.pct_train = course.progress

    def after_train(self, learn: "Learner") -> None:
        """Take the time of what lies between two training passes."""
        if not self._resting:
            self._validating, self._mark = True, self._now()

    def after_epoch(self, learn: "Learner") -> None:
        """Note the time, for a checkpoint."""
        if not self._resting:
            self._now()

    def after_fit(self, learn: "Learner") -> None:
        """Say in one line what became of the time; not on the way out of an error."""
        if self._resting:
            self._resting = False
            return
        silent = learn.failing or not learn.ranks.is_main
        if self._course.pace.steps and not silent:
            tell(learn, self._verdict(learn))

    def state_dict(self) -> dict[str, Any]:
        """Return the limit, the time that was used, the pace, and where the schedule is."""
        return {"seconds": self.seconds, **asdict(self._course)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the time that a killed run had left."""
        course = {name: value for name, value in state.items() if name != "seconds"}
        self._course = _Course(**course | {"pace": Pace(**state["pace"])})
        self.seconds, self.earlier = state["seconds"], self._course.used
        self._mark = perf_counter()
        self._start = self._mark - self._course.used

    def __repr__(self) -> str:
        return f"TimeBudget({duration_text(self.seconds)!r})"

    def _now(self) -> float:
        now = perf_counter()
        self._course.used = now - self._start
        return now

    def _counted(self, learn: "Learner", done: int) -> int:
        """Return how many steps there are without a limit, after `done` of the epoch."""
        return (learn.n_epoch - learn.epoch) * self._course.in_epoch - done

    def _planned(self, learn: "Learner", done: int) -> float:
        """Return how many steps are left; all processes that train together agree on it."""
        counted = float(self._counted(learn, done))
        pace, in_epoch = self._course.pace, self._course.in_epoch
        self._now()
        seconds, planned = self.seconds - self._course.used, 0.0
        if seconds > 0 and pace.settled and pace.step is not None:
            validation = pace.validation_or_guess(_validation_batches(learn))
            fit = steps_that_fit(seconds, pace.step, validation, in_epoch - done, in_epoch)
            planned = min(fit, counted)
        elif seconds > 0:
            planned = counted  # the first step tells nothing: it starts workers and kernels
        if learn.ranks.world > 1:
            plans = all_cat(torch.tensor([planned], dtype=torch.float64))
            assert plans is not None
            planned = float(plans.min())
        return planned

    def _end_if_over(self, learn: "Learner", done: int) -> None:
        course, counted = self._course, self._counted(learn, done)
        if course.left < 1.0 and counted:
            course.reached, course.progress = course.progress, 1.0
            course.over, course.cut = True, counted

    def _verdict(self, learn: "Learner") -> str:
        self._now()
        course, used = self._course, duration_text(self._course.used)
        start, steps = f"max_time={duration_text(self.seconds)}: ", course.pace.steps
        if not course.over:
            return f"{start}all {steps} steps of the schedule took {used}."
        fitted = "The schedule was fitted to them"
        if course.reached < _NEAR_END:
            fitted = f"The schedule came to {course.reached:.0%}, since a validation took longer"
        return (
            f"{start}{steps} steps of at most {steps + course.cut} took {used} with validation. "
            f"{fitted}; the last epoch is {learn.epoch}."
        )


def _validation_batches(learn: "Learner") -> float:
    """Return as how many batches of training a validation counts."""
    valid = learn.dls.valid
    if valid is None:
        return 0.0
    size, in_training = getattr(valid, "bs", None), getattr(learn.dls.train, "bs", None)
    ratio = size / in_training if size and in_training else 1.0
    return float(len(valid) * ratio)
