import numpy as np
import pytest
from PIL import Image

from presize.data.modes import class_numbers, to_bytes, to_mode, whole_numbers

GRAYS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def colours() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8))


@pytest.mark.parametrize("source", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_mode_of_colour_converts(source: str, mode: str) -> None:
    found = to_mode(colours().convert(source), mode)
    assert (found.mode, found.size) == (mode, (9, 8))


def test_the_right_mode_is_left_alone() -> None:
    im = colours()
    assert to_mode(im, "RGB") is im


def test_transparent_parts_show_the_background() -> None:
    im = Image.new("RGBA", (3, 1), (200, 0, 0, 255))
    im.putpixel((1, 0), (200, 0, 0, 0))
    im.putpixel((2, 0), (200, 0, 0, 51))
    found = np.asarray(to_mode(im, "RGB"))[0].tolist()
    assert found == [[200, 0, 0], [255, 255, 255], [244, 204, 204]]
    black = np.asarray(to_mode(im, "RGB", background=(0, 0, 0)))[0].tolist()
    assert black == [[200, 0, 0], [0, 0, 0], [40, 0, 0]]


def test_a_transparent_palette_number_shows_the_background() -> None:
    im = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    im.putpalette([10, 20, 30, 40, 50, 60])
    im.info["transparency"] = 1
    assert np.asarray(to_mode(im, "RGB"))[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_opaque_alpha_changes_no_gray() -> None:
    im = Image.fromarray(GRAYS).convert("LA")
    assert np.array_equal(np.asarray(to_mode(im, "L")), GRAYS)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_16_bits_keep_their_place_in_the_whole_range(dtype: str) -> None:
    values = (GRAYS.astype(np.uint16) * 257).astype(dtype)
    im = Image.frombytes("I;16" if dtype == "<u2" else "I;16B", (16, 16), values.tobytes())
    assert np.array_equal(np.asarray(to_mode(im, "L")), GRAYS)
    assert np.array_equal(np.asarray(to_mode(im, "RGB"))[..., 1], GRAYS)


def test_white_level_gives_12_bits_their_range() -> None:
    values = (GRAYS.astype(np.uint16) * 16)[:4]
    im = Image.fromarray(values)
    with pytest.warns(UserWarning, match=r"nearly black.*PILImage\.white_level = 4095"):
        assert np.asarray(to_mode(im, "L")).max() < 5
    found = np.asarray(to_mode(im, "L", white_level=4095)).astype(int)
    assert np.abs(found - GRAYS[:4]).max() <= 1


def test_a_black_16_bit_picture_is_no_reason_to_warn() -> None:
    assert to_mode(Image.fromarray(np.zeros((2, 2), np.uint16)), "L").getextrema() == (0, 0)


def test_a_transparent_16_bit_gray_shows_the_background() -> None:
    im = Image.fromarray(np.array([[0, 65535, 30000]], np.uint16))
    im.info["transparency"] = 0
    assert np.asarray(to_mode(im, "RGB"))[0, :, 0].tolist() == [255, 255, 117]


def test_float_pictures_are_fractions() -> None:
    im = Image.fromarray((GRAYS / 255).astype(np.float32))
    assert np.array_equal(np.asarray(to_mode(im, "L")), GRAYS)
    high = Image.fromarray(GRAYS.astype(np.float32))
    with pytest.raises(ValueError, match=r"from 0 to 1, but these go from 0 to 255.*white_level="):
        to_mode(high, "L")
    assert np.array_equal(np.asarray(to_mode(high, "L", white_level=255)), GRAYS)


def test_to_bytes_of_each_kind_of_number() -> None:
    assert to_bytes(GRAYS) is GRAYS
    assert to_bytes(np.array([True, False])).tolist() == [255, 0]
    assert to_bytes(np.array([0, 255], np.int64)).tolist() == [0, 255]
    assert to_bytes(np.array([0.0, 0.5, 1.0])).tolist() == [0, 128, 255]
    assert to_bytes(np.array([0, 100], np.uint8), 100).tolist() == [0, 255]
    for wrong in (np.array([-1, 3]), np.array([256]), np.array([np.nan]), np.array([-0.5, 0.2])):
        with pytest.raises(ValueError, match="has values from 0 to"):
            to_bytes(wrong)


def test_masks_are_numbers_not_colours() -> None:
    numbers = (GRAYS % 5).astype(np.uint8)
    palette = Image.fromarray(numbers).convert("P")
    palette.putpalette([*range(250, 235, -1)])
    for im in (
        Image.fromarray(numbers),
        palette,
        Image.fromarray(numbers).convert("RGB"),
        Image.fromarray(numbers).convert("LA"),
        Image.fromarray(numbers).convert("RGBA"),
        Image.fromarray(numbers.astype(np.uint16)),
        Image.fromarray(numbers.astype(np.int32)),
        Image.fromarray(numbers.astype(np.float32)),
    ):
        assert np.array_equal(class_numbers(im), numbers), im.mode
    assert class_numbers(Image.new("1", (2, 2), 1)).tolist() == [[1, 1], [1, 1]]


def test_masks_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"this one has colours. Turn each colour"):
        class_numbers(colours())
    with pytest.raises(ValueError, match=r"whole and from 0 to 255, but .* from 0 to 300"):
        class_numbers(Image.fromarray(np.array([[0, 300]], np.uint16)))
    with pytest.raises(ValueError, match=r"whole and from 0 to 255, but .* from 0 to 0.5"):
        whole_numbers(np.array([0, 0.5]))
