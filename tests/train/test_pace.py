"""How many steps fit into a time: beside a count of them, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.train.pace import Pace, steps_that_fit

seconds = st.floats(0.1, 10)


def counted(time: float, step: float, validation: float, to_end: int, in_epoch: int) -> int:
    """Make steps while the next one, and the validations that it needs, still fit."""
    made, used, left = 0, 0.0, to_end
    while True:
        if left == 0:  # this epoch's validation, and then another epoch
            used, left = used + validation, in_epoch
        if used + step + validation > time:
            return made
        made, used, left = made + 1, used + step, left - 1


@given(st.floats(0, 200), seconds, st.floats(0, 10), st.integers(1, 9), st.integers(1, 9))
def test_as_many_as_one_counts(
    time: float, step: float, validation: float, to_end: int, in_epoch: int
) -> None:
    to_end = min(to_end, in_epoch)
    fit = steps_that_fit(time, step, validation, to_end, in_epoch)
    exact = counted(time, step, validation, to_end, in_epoch)
    near = {counted(time * f, step, validation, to_end, in_epoch) for f in (1 - 1e-6, 1 + 1e-6)}
    assert int(fit + 1e-7) in near | {exact}


def test_parts_of_a_step_are_told() -> None:
    assert steps_that_fit(10.0, 2.0, 1.0, 20, 20) == 4.5
    assert steps_that_fit(0.5, 2.0, 1.0, 20, 20) == 0.0


def test_no_epoch_is_begun_for_a_validation_alone() -> None:
    # Ten steps and their validation take 12; the next epoch needs 1 + 2 for a single step.
    assert steps_that_fit(14.9, 1.0, 2.0, 10, 10) == 10.0
    assert steps_that_fit(15.0, 1.0, 2.0, 10, 10) == 11.0


def test_the_first_step_is_forgotten_when_there_is_another() -> None:
    pace = Pace()
    pace.add_step(30.0)
    assert (pace.step, pace.settled) == (30.0, False)
    pace.add_step(0.1)
    assert (pace.step, pace.settled) == (0.1, True)


def test_the_mean_is_plain_at_first_and_follows_later() -> None:
    pace = Pace()
    for step in (9.0, 1.0, 2.0):
        pace.add_step(step)
    # Weights .95 and 1 of the two that count.
    assert pace.step == pytest.approx((0.95 * 1.0 + 2.0) / 1.95)
    for _ in range(200):
        pace.add_step(5.0)
    assert pace.step == pytest.approx(5.0, rel=1e-3)


def test_a_clock_that_stands_still() -> None:
    pace = Pace()
    pace.add_step(0.0)
    assert pace.step is not None
    assert pace.step > 0


def test_a_validation_is_guessed_until_one_was_seen() -> None:
    pace = Pace()
    assert pace.validation_or_guess(10) == 0.0
    pace.add_step(3.0, waited=1.0)
    assert pace.validation_or_guess(10) == 10 * (1.0 + 2.0 / 2)
    pace.add_step(2.0, waited=2.0)
    assert pace.validation_or_guess(10) == 20.0
    pace.validation = 0.0
    assert pace.validation_or_guess(10) == 0.0
