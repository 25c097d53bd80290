import numpy as np
import pytest
import torch
from torch import Tensor

from presize.core.parameters import Draw, check_chance, parameter
from presize.core.randomness import Draws, FloatArray, draws, sample_context


def rng(n: int = 6) -> Draws:
    return Draws(3, 0, np.arange(n), "test")


def drawn(r: Draws) -> FloatArray:
    return r.uniform(2, 3)


@pytest.mark.parametrize(
    "draw",
    [5, [5] * 6 + [9], np.full(6, 5), torch.full((6,), 5), lambda x: x.new_full((len(x),), 5.0)],
)
def test_a_given_number_comes_in_many_forms(draw: Draw) -> None:
    np.testing.assert_array_equal(parameter(rng(), drawn, draw=draw), np.full(6, 5.0))


def test_a_function_sees_the_shape_of_the_batch() -> None:
    seen: list[tuple[int, ...]] = []

    def draw(x: Tensor) -> float:
        seen.append(tuple(x.shape))
        return 1.0

    parameter(rng(4), drawn, draw=draw, hw=(30, 40))
    assert seen == [(4, 1, 30, 40)]


def test_chance_and_neutral() -> None:
    assert np.all(parameter(rng(), drawn, p=0, neutral=7) == 7)
    values = parameter(rng(2000), drawn, p=0.25, neutral=7)
    assert np.mean(values == 7) == pytest.approx(0.75, abs=0.03)
    assert np.all((values == 7) | ((values >= 2) & (values < 3)))


def test_batch_gives_all_the_number_and_the_luck_of_the_first() -> None:
    alone = parameter(rng(1), drawn, p=0.5)
    np.testing.assert_array_equal(parameter(rng(5), drawn, p=0.5, batch=True), np.repeat(alone, 5))


def test_a_sample_draws_the_same_in_any_batch() -> None:
    def numbers(indices: list[int]) -> FloatArray:
        with sample_context(1, 2, indices):
            return parameter(draws("op", len(indices)), drawn, p=0.7)

    np.testing.assert_array_equal(numbers([4, 9, 2])[[1, 0]], numbers([9, 4]))


def test_too_few_numbers() -> None:
    with pytest.raises(ValueError, match=r"draw= holds \[2\] numbers for 6 pictures"):
        parameter(rng(), drawn, draw=[1, 2])
    with pytest.raises(ValueError, match=r"p is a probability and must be in 0\.\.1, got 1\.5"):
        check_chance(1.5)
