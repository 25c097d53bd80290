"""Schedules: exact at their ends and joints, between them otherwise, on numbers and arrays."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.train.schedules import (
    SchedCos,
    SchedExp,
    SchedLin,
    SchedNo,
    SchedPoly,
    combine_scheds,
    combined_cos,
    flat_cos,
    one_cycle,
    sched_cos,
    sched_exp,
    sched_lin,
    sched_no,
    sched_poly,
    sgdr,
    sgdr_epochs,
)

rate = st.floats(1e-8, 1e3)
part = st.floats(0, 1)
KINDS = [SchedLin, SchedCos, SchedExp, lambda a, b: SchedPoly(a, b, 2.5)]


@given(rate, rate)
def test_ends_are_exact(start: float, end: float) -> None:
    for kind in KINDS:
        sched = kind(start, end)
        assert (sched(0.0), sched(1.0)) == (start, end)
    assert SchedNo(start, end)(0.7) == start


@given(rate, rate, part)
def test_never_outside_the_ends(start: float, end: float, pct: float) -> None:
    low, high = sorted((start, end))
    for kind in KINDS[:2]:
        assert low <= kind(start, end)(pct) <= high
    for kind in KINDS[2:]:
        assert low * (1 - 1e-12) <= kind(start, end)(pct) <= high * (1 + 1e-12)


@given(rate, rate, part)
def test_functions_are_their_formulas(start: float, end: float, pct: float) -> None:
    def near(x: float) -> object:
        return pytest.approx(x, rel=1e-9, abs=1e-9 * max(start, end))

    assert sched_lin(start, end, pct) == near(start + (end - start) * pct)
    cosine = start + (1 + math.cos(math.pi * (1 - pct))) * (end - start) / 2
    assert sched_cos(start, end, pct) == near(cosine)
    assert sched_exp(start, end, pct) == near(start * (end / start) ** pct)
    assert sched_poly(start, end, 3.0, pct) == near(start + (end - start) * pct**3)
    assert sched_no(start, end, pct) == start


@given(st.lists(rate, min_size=2, max_size=4), part)
def test_arrays_of_rates_are_each_rate_alone(starts: list[float], pct: float) -> None:
    ends = [value * 7 for value in reversed(starts)]
    for kind in KINDS:
        together = kind(np.array(starts), np.array(ends))(pct)
        alone = [kind(a, b)(pct) for a, b in zip(starts, ends, strict=True)]
        assert isinstance(together, np.ndarray)
        np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_lists_and_zero_dimensional_arrays_are_taken() -> None:
    np.testing.assert_allclose(SchedLin([0.0, 1.0], [1.0, 3.0])(0.5), [0.5, 2.0])
    assert SchedLin(np.float64(1), np.array(2.0))(0.5) == 1.5


@pytest.mark.parametrize("pct", [-0.1, 1.1, math.nan])
def test_asked_outside_of_training(pct: float) -> None:
    for sched in (SchedLin(1, 2), SchedCos(1, 2), SchedNo(1, 2), combined_cos(0.3, 1, 2, 1)):
        with pytest.raises(ValueError, match=r"from 0 \(start\) to 1 \(end\)"):
            sched(pct)


def test_a_rounding_beyond_the_end_is_the_end() -> None:
    done = sum([0.1] * 10) + 1e-10
    assert SchedLin(3.0, 5.0)(done) == 5.0
    assert SchedLin(3.0, 5.0)(-1e-12) == 3.0


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0), ([1.0, 0.0], [1.0, 1.0])])
def test_exponential_through_zero(ends: tuple[object, object]) -> None:
    with pytest.raises(ValueError, match=r"must be above 0 .* Use SchedLin or SchedCos"):
        SchedExp(*ends)


def test_rates_of_groups_that_end_alike_keep_their_shape() -> None:
    starts = np.array([1e-4, 1e-2])
    for kind in KINDS:
        for pct in (0.0, 0.3, 1.0):
            assert np.shape(kind(starts, 1e-5)(pct)) == (2,)
        np.testing.assert_array_equal(kind(starts, 1e-5)(1.0), [1e-5, 1e-5])


def test_power_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"power above 0, but got 0"):
        SchedPoly(1, 2, 0)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_combined_is_exact_at_joints_and_ends(weights: list[int]) -> None:
    pcts = [w / sum(weights) for w in weights]
    scheds = [SchedLin(10.0 * i + 1, 10.0 * i + 5) for i in range(len(pcts))]
    combined = combine_scheds(pcts, scheds)
    there = [i for i, w in enumerate(weights) if w]
    done = 0
    for index, weight in enumerate(weights):
        if weight:  # a joint belongs to what begins there
            assert combined(done / sum(weights)) == 10.0 * index + 1
        done += weight
    assert combined(1.0) == 10.0 * there[-1] + 5


def test_combined_sees_its_own_part_as_a_whole() -> None:
    combined = combine_scheds([0.3, 0.5, 0.2], [SchedLin(0, 1), SchedNo(1, 1), SchedCos(1, 0)])
    assert combined(0.15) == pytest.approx(0.5)
    assert combined(0.5) == 1
    assert combined(0.9) == pytest.approx(0.5)
    assert repr(combined).startswith("Combined(0.3: SchedLin(start=0.0, end=1.0), 0.5: SchedNo(")


@pytest.mark.parametrize(
    ("pcts", "text"),
    [
        ([0.3, 0.6], r"must add up to 1, but \[0.3, 0.6\] add up to 0.9"),
        ([1.2, -0.2], "cannot be negative"),
        ([1.0], r"1 part\(s\) and 2 schedule\(s\)"),
    ],
)
def test_parts_that_do_not_fit(pcts: list[float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        combine_scheds(pcts, [SchedLin(0, 1), SchedLin(1, 0)])


def test_no_schedules() -> None:
    with pytest.raises(ValueError, match=r"0 part\(s\)"):
        combine_scheds([], [])


@given(st.floats(1e-6, 1 - 1e-6), st.floats(1e-6, 1.0))
def test_combined_cos_turns_exactly_there(pct: float, top: float) -> None:
    sched = combined_cos(pct, top / 25, top, 0.0)
    assert [sched(0.0), sched(pct), sched(1.0)] == [top / 25, top, 0.0]


def test_combined_cos_of_one_part() -> None:
    assert [combined_cos(0, 1.0, 2.0, 3.0)(p) for p in (0, 1)] == [2.0, 3.0]
    assert [combined_cos(1, 1.0, 2.0, 3.0)(p) for p in (0, 1)] == [1.0, 2.0]


def test_combined_cos_outside() -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 25"):
        combined_cos(25, 1, 2, 1)


def test_one_cycle_has_the_issues_numbers() -> None:
    lr, mom = one_cycle(0.01).values()
    assert [lr(p) for p in (0.0, 0.25, 1.0)] == [0.01 / 25, 0.01, 0.01 / 1e5]
    assert [mom(p) for p in (0.0, 0.25, 1.0)] == [0.95, 0.85, 0.95]
    assert list(one_cycle(0.01, moms=None)) == ["lr"]


def test_one_cycle_is_torchs() -> None:
    import torch

    steps = 101
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    opt.step()
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        opt, 0.3, total_steps=steps, pct_start=0.25, div_factor=25, final_div_factor=4000,
        base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    ours = one_cycle(0.3, div_final=1e5)
    for step in range(steps):
        pct = step / (steps - 1)
        if pct in (0.0, 0.25, 1.0):  # between, torch turns one step earlier
            assert ours["lr"](pct) == pytest.approx(opt.param_groups[0]["lr"], rel=2e-3)
            assert ours["mom"](pct) == pytest.approx(opt.param_groups[0]["momentum"], rel=1e-3)
        opt.step()
        if step + 1 < steps:
            theirs.step()


def test_one_cycle_on_layer_groups() -> None:
    top = np.array([1e-5, 1e-3])
    lr = one_cycle(top)["lr"]
    np.testing.assert_array_equal(lr(0.25), top)
    np.testing.assert_array_equal(lr(0.0), top / 25)


def test_one_cycle_refuses() -> None:
    with pytest.raises(ValueError, match="three numbers"):
        one_cycle(0.1, moms=(0.9,))
    with pytest.raises(ValueError, match="divisors of one cycle must be above 0"):
        one_cycle(0.1, div=0)


def test_flat_cos() -> None:
    lr = flat_cos(0.1)["lr"]
    assert [lr(p) for p in (0.0, 0.5, 0.75, 1.0)] == [0.1, 0.1, 0.1, 0.1 / 1e5]


def test_warm_restarts() -> None:
    assert [sgdr_epochs(3, 1), sgdr_epochs(3, 2, 1), sgdr_epochs(2, 3, 3)] == [7, 6, 12]
    lr = sgdr(0.1, 3, 1)["lr"]
    assert [lr(p) for p in (0.0, 1 / 7, 3 / 7, 1.0)] == [0.1, 0.1, 0.1, 0.0]
    assert lr(1 / 7 - 1e-6) < 1e-9
    with pytest.raises(ValueError, match="at least one cycle of at least one epoch"):
        sgdr_epochs(0, 1)
