from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from presize.core.errors import ImageError
from presize.data.decode import load_image
from presize.data.verify import picture_error, verify_image, verify_images


def test_the_bad_pictures_are_found_in_order(picture_folder: Path) -> None:
    files = sorted(picture_folder.rglob("*.jpg"))
    assert verify_images(files) == []
    bad = [files[3], files[7]]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(bad[1].read_bytes()[:200])
    missing = picture_folder / "none.jpg"
    found = verify_images([*files, missing], max_workers=2)
    assert list(found) == [*bad, missing]
    assert repr(found).startswith("(#3) [")
    assert verify_image(files[0])
    assert not verify_image(bad[0])
    assert "0 bytes" in str(picture_error(bad[0]))
    assert picture_error(files[0]) is None


def verdict(path: Path) -> str | None:
    try:
        load_image(path)
    except ImageError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore:A 16-bit picture uses less")
def test_the_verdict_is_that_of_load_image(odd_images_path: Path) -> None:
    for file in odd_images_path.iterdir():
        error = picture_error(file)
        assert (None if error is None else str(error)) == verdict(file), file.name


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_cut_short_anywhere_is_found(tmp_path: Path, progressive: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, progressive=progressive)
    data = path.read_bytes()
    for n in range(0, len(data), 37):
        path.write_bytes(data[:n])
        assert str(picture_error(path)) == verdict(path)
    for at in range(700, len(data) - 4, 97):
        path.write_bytes(data[:at] + b"\xff\x37" + data[at + 2 :])
        error = picture_error(path)
        assert (None if error is None else str(error)) == verdict(path)
