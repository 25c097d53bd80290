"""Learning rates per layer group, from a number, a slice or a list."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from presize.train.rates import even_mults, rates_for

rate = st.floats(1e-8, 10)
count = st.integers(2, 9)


@given(rate, rate, count)
def test_even_mults_have_one_ratio_and_exact_ends(start: float, stop: float, n: int) -> None:
    values = even_mults(start, stop, n)
    assert (len(values), values[0], values[-1]) == (n, start, stop)
    np.testing.assert_allclose(values[1:] / values[:-1], (stop / start) ** (1 / (n - 1)))


def test_even_mults_known_values() -> None:
    np.testing.assert_allclose(even_mults(2, 8, 3), [2, 4, 8])
    assert even_mults(2, 8, 1).tolist() == [8]


@pytest.mark.parametrize("ends", [(0, 1), (1, 0), (-1, 1)])
def test_even_mults_from_zero(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"start and stop above 0, but got"):
        even_mults(*ends, 3)


def test_even_mults_of_none() -> None:
    with pytest.raises(ValueError, match="at least one number"):
        even_mults(1, 2, 0)


@given(rate, st.integers(1, 5))
def test_a_number_is_for_all(lr: float, n: int) -> None:
    assert rates_for(lr, n).tolist() == [lr] * n
    assert rates_for(torch.tensor(lr, dtype=torch.float64), n).tolist() == [lr] * n


@given(rate, st.integers(1, 5))
def test_a_slice_with_its_end_alone(lr: float, n: int) -> None:
    assert rates_for(slice(lr), n).tolist() == [lr / 10] * (n - 1) + [lr]


@given(rate, rate, count)
def test_a_whole_slice_is_geometric(low: float, high: float, n: int) -> None:
    np.testing.assert_array_equal(rates_for(slice(low, high), n), even_mults(low, high, n))


def test_one_per_group() -> None:
    for lr in ([1e-3, 1e-2], (1e-3, 1e-2), np.array([1e-3, 1e-2])):
        assert rates_for(lr, 2).tolist() == [1e-3, 1e-2]
    given_ = np.array([1.0, 2.0])
    rates_for(given_, 2)[0] = 5
    assert given_[0] == 1  # a copy: schedules may not change what the user holds


@pytest.mark.parametrize(
    ("lr", "text"),
    [
        ([1e-3, 1e-2], r"3 layer group\(s\), but 2 learning rate\(s\) came: \[0.001, 0.01\]"),
        (slice(None), r"slice\(last\) or slice\(first, last\)"),
        (slice(1, None), "slice"),
        (slice(1, 2, 3), "slice"),
        (slice(0, 1e-3), "above 0"),
        (-1e-3, "finite and not negative, but got -0.001"),
        (float("nan"), "finite"),
    ],
)
def test_rates_that_cannot_be(lr: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        rates_for(lr, 3)


@pytest.mark.parametrize("lr", ["1e-3", None, {"a": 1}, object()])
def test_not_a_rate_at_all(lr: object) -> None:
    with pytest.raises(TypeError, match="A learning rate is a number, slice"):
        rates_for(lr, 3)
