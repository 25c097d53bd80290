import numpy as np
import pytest
import torch
from PIL import Image

from presize.core.pixels import as_pixels, gray_range


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (5, 7)),
        ((1, 5, 7), (5, 7)),
        ((5, 7, 1), (5, 7)),
        ((3, 5, 7), (5, 7, 3)),
        ((5, 7, 3), (5, 7, 3)),
        ((4, 5, 7), (5, 7, 4)),
    ],
)
@pytest.mark.parametrize("kind", [torch.ones, np.ones])
def test_channels_are_found_first_and_last(shape, expected, kind):
    assert as_pixels(kind(shape)).shape == expected


def test_where_both_ends_could_be_channels_tensors_have_them_first():
    a = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert (as_pixels(a) == a).all()
    assert (as_pixels(torch.from_numpy(a)) == a.transpose(1, 2, 0)).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.uint8(200), 200),
        (np.int64(300), 255),
        (np.int64(-1), 0),
        (True, 255),
        (np.float64(0.25), 0.25),
        (np.float32(1.5), 1.0),
        (np.float32(127.5), 0.5),
        (np.float32(-3), 0.0),
        (np.float32("nan"), 0.0),
        (np.float16(0.5), 0.5),
    ],
)
def test_colours_come_in_matplotlibs_range(value, expected):
    assert as_pixels(np.full((2, 2, 3), value)).max() == expected


def test_gray_values_are_left_as_they_are():
    for a in (np.eye(3) * 7 - 2, np.eye(3, dtype=np.int64) * 30, np.eye(3, dtype=bool)):
        assert (as_pixels(a) == a).all()
    assert as_pixels(torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)).max() == 1


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I", "F"])
def test_gray_pil_pictures(mode):
    assert as_pixels(Image.new(mode, (7, 5))).shape == (5, 7)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK", "YCbCr", "HSV"])
def test_coloured_pil_pictures_of_any_mode(mode):
    red = Image.new("RGB", (7, 5), (255, 0, 0))
    picture = red.convert("L").convert("LA") if mode == "LA" else red.convert(mode)
    pixels = as_pixels(picture)
    assert pixels.shape[:2] == (5, 7) and pixels.dtype == np.uint8
    if mode != "LA":
        assert pixels[0, 0, 0] >= 253 and pixels[0, 0, 1] <= 2


def test_what_is_no_picture_says_so():
    with pytest.raises(ValueError, match=r"1, 3 or 4 channels; got \[2, 5, 7\]"):
        as_pixels(torch.ones(2, 5, 7))
    with pytest.raises(ValueError, match=r"got \[8, 3, 5, 7\]. This may be a batch"):
        as_pixels(torch.ones(8, 3, 5, 7))
    with pytest.raises(TypeError, match=r"got str 'cat.jpg'. A file is opened first"):
        as_pixels("cat.jpg")


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.full((2, 2), 90, np.uint8), (0, 255)),
        (np.ones((2, 2), bool), (0, 1)),
        (np.full((2, 2), 0.5), (0, 1)),
        (np.full((2, 2), -0.5), (None, None)),
        (np.full((2, 2), 7), (None, None)),
        (np.full((2, 2), np.nan), (None, None)),
    ],
)
def test_black_and_white_of_gray_pictures(picture, expected):
    assert gray_range(picture) == expected


def test_colours_of_16_bits_keep_their_shades():
    deep = np.array([[[0, 32768, 65535]]], np.uint16)
    assert as_pixels(deep).tolist() == [[[0, 128, 255]]]
    assert as_pixels(deep // 257).tolist() == [[[0, 127, 255]]]  # bytes in a wider type
