import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from presize.core.homography import compose, identity, resize, rotate, to_pixels, warp, zoom
from presize.core.sampling import sample
from presize.render.warp import averaged, steps, write
from presize.render.warp import warp as warped

HW = (120, 160)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5).reshape(height, width, channels)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_identity_returns_the_picture_exactly(mode: str, channels: int) -> None:
    pixels = picture(*HW, channels)
    assert warped(pixels, np.eye(3), HW, mode=mode) is pixels
    # By way of a whole turn, which is the identity but for rounding.
    whole = to_pixels(rotate(360), HW)[0]
    assert np.array_equal(warped(pixels, whole, HW, mode=mode), pixels)


@pytest.mark.parametrize("pad_mode", ["reflection", "border", "zeros"])
def test_it_reads_what_grid_sample_reads(pad_mode: str) -> None:
    pixels, size = picture(*HW), (90, 100)
    maps = compose(rotate(20), zoom(0.8, 0.3, 0.6, HW), warp(0.1, -0.2, HW), resize(1, HW, size))
    got = warped(pixels, to_pixels(maps, HW, size)[0], size, pad_mode=pad_mode)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    exact = sample(x, maps, size, pad_mode=pad_mode, antialias=False)[0].permute(1, 2, 0).numpy()
    assert np.abs(got - exact).max() <= 0.51  # rounding to whole levels, and nothing else


def test_flipping_twice_is_nothing() -> None:
    pixels = picture(*HW)
    mirror = np.array([[-1, 0, HW[1] - 1], [0, 1, 0], [0, 0, 1.0]])
    once = warped(pixels, mirror, HW)
    assert np.array_equal(once, pixels[:, ::-1])
    assert np.array_equal(warped(once, mirror, HW), pixels)


def test_where_the_map_shrinks_blocks_are_averaged() -> None:
    # A board of single black and white pixels: one reading would show stripes, the mean is gray.
    board = np.indices((300, 300)).sum(0).astype(np.uint8)[..., None] % 2 * 255
    for size in ((100, 100), (60, 60), (37, 53), (7, 7)):
        maps = compose(rotate(13), zoom(1.2, 0.5, 0.5), resize(1, (300, 300), size))
        got = warped(board, to_pixels(maps, (300, 300), size)[0], size).astype(float)
        assert abs(got.mean() - 127.5) < 2
        assert got.std() < 30
    assert warped(board, np.diag([7.0, 7, 1]), (10, 10), mode="nearest").std() > 100


def test_shrinking_comes_near_the_area_mean() -> None:
    pixels = picture(600, 800)
    for shrink in (2.2, 3, 5.3):
        size = (int(400 / shrink), int(500 / shrink))
        box = (31.5, 42.5, 31.5 + size[1] * shrink, 42.5 + size[0] * shrink)
        exact = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BOX, box=box)
        matrix = np.array([[shrink, 0, 31.5], [0, shrink, 42.5], [0, 0, 1]])
        matrix[:2, 2] += shrink / 2 - 0.5
        single = cv2.warpPerspective(pixels, matrix, size[::-1], flags=cv2.WARP_INVERSE_MAP | 1)
        errors = (
            np.asarray(exact).astype(float) - got for got in (warped(pixels, matrix, size), single)
        )
        averaged_error, single_error = ((error**2).mean() ** 0.5 for error in errors)
        assert averaged_error < 5
        assert shrink < 2.5 or averaged_error < single_error


def test_steps_are_the_least_over_the_picture() -> None:
    assert steps(np.diag([2.0, 3, 1]), (10, 20)) == pytest.approx((3, 2))
    tilted = np.array([[2, 0, 0], [0, 2, 0], [0.01, 0, 1.0]])
    assert min(steps(tilted, (11, 11))) < 2


@settings(deadline=None, max_examples=60)
@given(
    hw=st.one_of(
        st.tuples(st.integers(1, 60), st.integers(1, 60)),
        st.sampled_from([(1, 1), (10000, 3), (3, 10000), (1, 5000)]),
    ),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    mode=st.sampled_from(["bilinear", "nearest", "bicubic"]),
    pad_mode=st.sampled_from(["reflection", "border", "zeros"]),
    degrees=st.floats(-180, 180),
)
def test_any_picture_comes_out_at_the_size(
    hw: tuple[int, int], size: tuple[int, int], mode: str, pad_mode: str, degrees: float
) -> None:
    maps = compose(rotate(degrees), resize(1, hw, size))
    pixels = np.full((*hw, 3), 77, np.uint8)
    got = warped(pixels, to_pixels(maps, hw, size)[0], size, mode=mode, pad_mode=pad_mode)
    assert got.shape == (*size, 3)
    assert pad_mode == "zeros" or (got == 77).all()


def test_averaged_covers_every_pixel() -> None:
    pixels = picture(9, 14)
    assert averaged(pixels, 4).shape == (3, 4, 3)
    assert averaged(np.full((7, 7, 1), 9, np.uint8), 2).shape == (4, 4, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_write_puts_planes_and_levels_into_the_slot(channels: int) -> None:
    pixels = picture(12, 10, channels)
    slot = np.zeros((2, channels, 12, 10), np.uint8)
    write(pixels, None, slot[1])
    assert np.array_equal(slot[1], pixels.transpose(2, 0, 1))
    assert not slot[0].any()
    table = np.random.default_rng(0).random((channels, 256), dtype=np.float32)
    floats = np.zeros((channels, 12, 10), np.float32)
    write(pixels, table, floats)
    for c in range(channels):
        assert np.array_equal(floats[c], table[c][pixels[..., c]])


def test_the_picture_of_a_mapped_file_may_be_read_only() -> None:
    pixels = picture(*HW)
    pixels.flags.writeable = False
    matrix = to_pixels(compose(identity(1), resize(1, HW, (20, 20))), HW, (20, 20))[0]
    assert warped(pixels, matrix, (20, 20)).shape == (20, 20, 3)
