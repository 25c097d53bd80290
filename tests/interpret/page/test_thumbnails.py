import base64
import io

import numpy as np
import pytest
from PIL import Image

from presize.interpret.page.thumbnails import thumbnail


def _read(uri: str) -> Image.Image:
    head, data = uri.split(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def _noise(height: int, width: int) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def test_the_longer_side_is_as_wanted_and_small_pictures_keep_theirs() -> None:
    assert _read(thumbnail(_noise(300, 600), 160)).size == (160, 80)
    assert _read(thumbnail(_noise(60, 50), 160)).size == (50, 60)


def test_drawings_keep_every_pixel() -> None:
    digit = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    assert np.array_equal(np.asarray(_read(thumbnail(digit, 160))), np.asarray(digit))


@pytest.mark.parametrize("most", [2000, 6000, 24_000])
def test_no_picture_takes_more_than_its_share_not_even_noise(most: int) -> None:
    uri = thumbnail(_noise(700, 900), 320, most=most)
    assert len(uri) <= most
    assert max(_read(uri).size) >= 24


def test_a_photo_gives_up_quality_before_size() -> None:
    rows = np.linspace(0, 255, 400)[:, None, None]
    smooth = np.repeat(np.repeat(rows, 400, 1), 3, 2)
    noisy = (smooth + np.random.default_rng(0).normal(0, 12, smooth.shape)).clip(0, 255)
    assert _read(thumbnail(Image.fromarray(noisy.astype(np.uint8)), 160, most=8000)).size == (
        160,
        160,
    )


def test_modes_of_all_kinds_are_shown() -> None:
    clear = Image.new("RGBA", (50, 50), (200, 0, 0, 0))
    assert _read(thumbnail(clear, 50)).getpixel((25, 25)) == (255, 255, 255)
    assert _read(thumbnail(clear.convert("P"), 50)).mode == "RGB"
    assert _read(thumbnail(Image.new("CMYK", (50, 50)), 50)).getpixel((0, 0)) == (255, 255, 255)
    deep = np.linspace(0, 60_000, 2500, dtype=np.uint16).reshape(50, 50)
    shown = np.asarray(_read(thumbnail(Image.fromarray(deep), 50)))
    assert shown[0].max() < 20 and shown[-1].min() > 235
    _read(thumbnail(Image.new("1", (50, 50)), 50))


def test_the_picture_itself_is_left_as_it_is() -> None:
    picture = _noise(300, 300)
    thumbnail(picture, 40)
    assert picture.size == (300, 300)


def test_impossible_wishes_are_named() -> None:
    with pytest.raises(ValueError, match="got 0, 24000"):
        thumbnail(_noise(9, 9), 0)


def test_a_picture_with_nan_is_drawn() -> None:
    deep = Image.fromarray(np.array([[np.nan, 0.0], [1.0, 2.0]], np.float32))
    assert thumbnail(deep, 16).startswith("data:image/png")
