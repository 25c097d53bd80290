"""How fast a fit goes, and how many of its steps still fit into a length of time."""

from dataclasses import dataclass

_KEPT = 0.95  # the weight of the past: the mean runs over about twenty steps
_NO_TIME = 1e-9


@dataclass
class Pace:
    """The seconds of a training step and of a validation, from those that were made.

    The first step of a fit starts workers and compiles kernels. It counts until there is another.

    Args:
        step: seconds of a step, a running mean; None before the first one.
        waited: the part of it in which the step waited for its batch.
        validation: seconds from the end of a training pass to the next one; None if there has
            not been any.
        steps: how many steps were seen.
    """

    step: float | None = None
    waited: float = 0.0
    validation: float | None = None
    steps: int = 0

    def add_step(self, seconds: float, waited: float = 0.0) -> None:
        """Add a step to the mean, and how long of it the batch was waited for."""
        self.steps += 1
        seconds = max(seconds, _NO_TIME)
        if self.step is None:
            self.step, self.waited = seconds, waited
            return
        seen = self.steps - 1  # with one seen, nothing of the very first step is kept
        kept = _KEPT * (1.0 - _KEPT ** (seen - 1)) / (1.0 - _KEPT**seen)
        self.step = kept * self.step + (1.0 - kept) * seconds
        self.waited = kept * self.waited + (1.0 - kept) * waited

    @property
    def settled(self) -> bool:
        """Whether a step was seen beside the first one."""
        return self.steps > 1

    def validation_or_guess(self, batches: float) -> float:
        """Return the seconds of a validation; before the first, of so many batches of training.

        They are waited for as long as in training, and computed in half of the time: a third of
        the work of a step is its forward pass, and a batch may be there later than asked for.
        """
        if self.validation is not None or self.step is None:
            return self.validation or 0.0
        return batches * (self.waited + (self.step - self.waited) / 2)


def steps_that_fit(
    seconds: float, step: float, validation: float, to_end: int, in_epoch: int
) -> float:
    """Return how many training steps fit into `seconds`, with a validation after the last one.

    Validations between epochs take their time as well, and an epoch is only begun when there is
    time for a step of it and one more validation.

    Args:
        seconds: the time that is left.
        step: seconds of a step, above 0.
        validation: seconds of a validation.
        to_end: steps until the end of the epoch under way.
        in_epoch: steps of a whole epoch.
    """
    seconds -= validation
    after = seconds - to_end * step
    if after < step + validation:
        return max(min(seconds / step, float(to_end)), 0.0)
    whole, rest = divmod(after, in_epoch * step + validation)
    part = (rest - validation) / step
    return to_end + whole * in_epoch + (part if part >= 1.0 else 0.0)
