from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from presize.core import colour
from presize.core.homography import flip, resize
from presize.render.carry_out import carry_out
from presize.render.levels import MixedLevels
from presize.render.plan import PixelPlan, Reading
from presize.render.warp import write
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
    expected = carry_out(made, TensorImage(levels())).as_subclass(Tensor)
    torch.testing.assert_close(
        torch.from_numpy(np.stack(table)).reshape(2, 3, 16, 16), expected, rtol=1e-4, atol=2e-5
    )


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("more", [colour.brightness([0.1, 0.9, 0.3]), colour.contrast([3, 1, 0.2])])
def test_channels_that_mix_become_what_the_tensors_would(more: Any, normalise: bool) -> None:
    made = extended(PixelPlan.of(3, (40, 50)).as_floats(1 / 255, 1))
    made = extended(extended(made.lit(colour.saturation([1.9, 1, 0.0]))).lit(more))
    if normalise:
        made = extended(made.standardised(np.array([0.1, 0.2, 0.3]), np.array([0.5, 1, 2])))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 3, 40, 50), dtype=np.uint8)
    pixels[:, :, :4, :4] = rng.choice([0, 255], (3, 3, 4, 4))  # clipped channels beside others
    tables = made.tables(3)
    assert tables is not None
    assert [isinstance(t, MixedLevels) for t in tables] == [True, False, True]
    expected = carry_out(made, TensorImage(torch.from_numpy(pixels))).as_subclass(Tensor)
    for i, table in enumerate(tables):
        got = np.empty((3, 40, 50), np.float32)
        write(np.ascontiguousarray(pixels[i].transpose(1, 2, 0)), table, got)
        torch.testing.assert_close(torch.from_numpy(got), expected[i], rtol=1e-4, atol=3e-5)


def test_tables_of_one_channel_and_levels_that_stay() -> None:
    floats = extended(plan().as_floats(1 / 255, 1))
    strong = extended(floats.lit(colour.saturation([1.5, 1])))
    gray = strong.tables(1)
    assert gray is not None and not any(isinstance(t, MixedLevels) for t in gray)
    assert plan().tables(3) is None
    assert floats.without_movement().tables(3) is not None
