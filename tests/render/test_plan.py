from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from presize.core import colour
from presize.core.homography import flip, resize
from presize.render.carry_out import carry_out
from presize.render.plan import PixelPlan, Reading
from presize.tensors import TensorImage

WAY = Reading()


def plan(n: int = 2) -> PixelPlan:
    return PixelPlan.of(n, (8, 8))


def extended(before: PixelPlan | None) -> PixelPlan:
    assert before is not None
    return before


def test_steps_that_cannot_follow_end_the_plan() -> None:
    lit = extended(plan().lit(colour.contrast([1.5, 2])))
    assert lit.moved(flip([1, 1]), (8, 8), WAY) is None
    assert lit.as_floats(1 / 255, 1) is None
    standard = extended(lit.standardised(np.zeros(3), np.ones(3)))
    assert standard.lit(colour.contrast([1, 1])) is None
    assert standard.standardised(np.zeros(3), np.ones(3)) is None
    floats = extended(plan().as_floats(1 / 255, 1))
    assert floats.as_floats(1 / 255, 1) is None
    moved = extended(floats.moved(flip([1, 0]), (8, 8), WAY))
    assert moved.moved(flip([1, 0]), (8, 8), Reading(pad_mode="zeros")) is None
    again = extended(moved.moved(resize(2, (8, 8), (4, 4)), (4, 4), WAY))
    assert again.size == (4, 4)
    np.testing.assert_allclose(again.maps, flip([1, 0]) @ resize(2, (8, 8), (4, 4)))


def levels() -> Tensor:
    return torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)


@pytest.mark.parametrize("light", [None, [0.3, 0.6]])
@pytest.mark.parametrize("normalise", [False, True])
def test_a_table_holds_what_the_tensors_would_become(light: Any, normalise: bool) -> None:
    made = extended(PixelPlan.of(2, (16, 16)).as_floats(1 / 255, 1))
    if light:
        made = extended(made.lit(colour.brightness(light)))
        made = extended(made.lit(colour.contrast([1.4, 0.7])))
    if normalise:
        made = extended(made.standardised(np.array([0.1, 0.2, 0.3]), np.array([0.5, 1, 2])))
    table = made.tables(3)
    assert table is not None
    assert table.shape == (2, 3, 256)
    expected = carry_out(made, TensorImage(levels())).as_subclass(Tensor)
    torch.testing.assert_close(
        torch.from_numpy(table).reshape(2, 3, 16, 16), expected, rtol=1e-4, atol=2e-5
    )


def test_no_table_where_channels_mix_or_levels_stay() -> None:
    floats = extended(plan().as_floats(1 / 255, 1))
    strong = extended(floats.lit(colour.saturation([1.5, 1])))
    assert strong.tables(3) is None
    assert strong.tables(1) is not None
    assert plan().tables(3) is None
    assert floats.without_movement().tables(3) is not None
