import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor

from presize.core import colour


def pictures(n: int = 2) -> Tensor:
    return torch.rand(n, 3, 8, 9, generator=torch.Generator().manual_seed(0))


def logit(x: float) -> float:
    return float(np.log(x / (1 - x)))


def test_brightness_adds_the_logit_of_the_level() -> None:
    x = pictures()
    expected = torch.sigmoid(
        torch.logit(x) + torch.tensor([logit(0.7), logit(0.3)])[:, None, None, None]
    )
    torch.testing.assert_close(colour.light(x, colour.brightness([0.7, 0.3])), expected)
    gray = torch.full((1, 3, 1, 1), 0.5)
    torch.testing.assert_close(
        colour.light(gray, colour.brightness(0.7)), torch.full_like(gray, 0.7)
    )


def test_contrast_multiplies_logits() -> None:
    x = pictures()
    torch.testing.assert_close(
        colour.light(x, colour.contrast([1.5, 1.5])), torch.sigmoid(torch.logit(x) * 1.5)
    )


def test_saturation_keeps_gray_and_0_makes_it() -> None:
    gray = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4)
    torch.testing.assert_close(colour.light(gray, colour.saturation(1.8)), gray, atol=1e-5, rtol=0)
    r, g, b = colour.light(pictures(1), colour.saturation(0.0))[0]
    torch.testing.assert_close(r, g)
    torch.testing.assert_close(g, b)


def test_a_chain_is_one_matrix() -> None:
    x = pictures(3) * 0.9 + 0.05
    steps = [
        colour.brightness([0.4, 0.5, 0.6]),
        colour.contrast([0.8, 1.0, 1.2]),
        colour.saturation([0.7, 1.3, 1.0]),
    ]
    one_by_one = x
    for step in steps:
        one_by_one = colour.light(one_by_one, step)
    # Saturation narrows the range by half a level of 8 bits for its own time only.
    torch.testing.assert_close(
        colour.light(x, colour.compose(*steps)), one_by_one, rtol=0, atol=2 / 255
    )
    two = colour.compose(*steps[:2])
    torch.testing.assert_close(
        colour.light(x, two), colour.light(colour.light(x, steps[0]), steps[1]), rtol=0, atol=1e-6
    )


def test_black_and_white_stay() -> None:
    ends = torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2)
    for matrices in (colour.brightness(0.8), colour.contrast(1.7), colour.saturation(1.7)):
        torch.testing.assert_close(colour.light(ends, matrices), ends, rtol=0, atol=1e-3)


def test_nearly_white_stays_nearly_white_when_colours_grow() -> None:
    x = torch.tensor([255.0, 255.0, 250.0])[None, :, None, None] / 255
    assert float(colour.light(x, colour.saturation(1.25))[0, 2]) * 255 > 245


def test_neutral_matrices_return_the_picture_itself_or_a_neighbours_keep_it() -> None:
    x = pictures()
    assert colour.light(x, colour.contrast([1.0, 1.0])) is x
    for matrices in (colour.contrast([1.0, 1.5]), colour.saturation([1.0, 1.5])):
        torch.testing.assert_close(colour.light(x, matrices)[0], x[0], rtol=0, atol=1e-5)


def test_pictures_without_three_channels_have_light_but_no_saturation() -> None:
    gray = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(
        colour.light(gray, colour.saturation([0.2, 2.0])), gray, rtol=0, atol=1e-5
    )
    chain = colour.compose(colour.brightness([0.6, 0.6]), colour.saturation([0.2, 2.0]))
    torch.testing.assert_close(
        colour.light(gray, chain), colour.light(gray, colour.brightness([0.6, 0.6]))
    )
    assert colour.turn_hue(gray, [0.3, 0.3]) is gray


@pytest.mark.parametrize("turns", [0.1, 1 / 3, 0.5, -0.2, 1.05])
def test_hue_equals_the_standard_librarys(turns: float) -> None:
    x = pictures(1)
    got = colour.turn_hue(x, turns)[0].permute(1, 2, 0).reshape(-1, 3)
    pixels = x[0].permute(1, 2, 0).reshape(-1, 3)
    for before, after in zip(pixels.tolist(), got.tolist(), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*before)
        assert after == pytest.approx(colorsys.hsv_to_rgb((h + turns) % 1, s, v), abs=1e-5)


def test_hue_of_gray_and_whole_turns() -> None:
    gray = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4)
    torch.testing.assert_close(colour.turn_hue(gray, 0.4), gray)
    x = pictures()
    assert colour.turn_hue(x, [0.0, 1.0]) is x


def test_half_precision_is_worked_out_in_full() -> None:
    x = pictures().half()
    out = colour.light(x, colour.brightness([0.6, 0.4]))
    assert out.dtype == torch.float16
    expected = colour.light(x.float(), colour.brightness([0.6, 0.4]))
    torch.testing.assert_close(out.float(), expected, rtol=0, atol=1e-3)


def test_integers_are_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"floats in 0\.\.1, but got uint8 .* IntToFloatTensor"):
        colour.light(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), colour.contrast(1.1))
