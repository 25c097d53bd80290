import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from presize.data.decoders import TABLE, decode_plain


def photo(height: int = 50, width: int = 75) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    red, green = rows * 255 // height, columns * 255 // width
    return Image.fromarray(np.stack([red, green, (red + 2 * green) // 3], 2).astype(np.uint8))


def encoded(im: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    im.save(file, kind, **options)
    return file.getvalue()


def plain(data: bytes, mode: str = "RGB", times: int = 1) -> np.ndarray | None:
    found = decode_plain(data, mode, orient=True, reduce=lambda full: times)
    return None if found is None else found[0]


PLAIN = {
    "JPEG": encoded(photo(), "JPEG"),
    "JPEG, progressive": encoded(photo(), "JPEG", progressive=True),
    "JPEG, all colours": encoded(photo(), "JPEG", subsampling=0),
    "JPEG, gray": encoded(photo().convert("L"), "JPEG"),
    "PNG": encoded(photo(), "PNG"),
    "PNG, gray": encoded(photo().convert("L"), "PNG"),
    "WebP": encoded(photo(), "WEBP"),
    "WebP, lossless": encoded(photo(), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_pictures_are_decoded_to_pillows_pixels(kind: str, mode: str) -> None:
    found = plain(PLAIN[kind], mode)
    with Image.open(io.BytesIO(PLAIN[kind])) as im:
        expected = np.asarray(im.convert(mode))
    assert found is not None
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert found.shape == (50, 75, 3 if mode == "RGB" else 1)
    assert np.array_equal(found.squeeze(), expected)


@pytest.mark.parametrize("times", [2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", [kind for kind in PLAIN if "JPEG" in kind])
def test_a_jpeg_is_decoded_smaller_to_pillows_pixels(kind: str, mode: str, times: int) -> None:
    with Image.open(io.BytesIO(PLAIN[kind])) as im:
        im.draft(None, (75 // times, 50 // times))
        expected = np.asarray(im.convert(mode))
    found = plain(PLAIN[kind], mode, times)
    assert found is not None
    assert found.shape[:2] == (-(-50 // times), -(-75 // times))
    assert np.array_equal(found.squeeze(), expected)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "GIF", "PNG", "WEBP", "JPEG"])
def test_other_pictures_are_left_to_pillow(kind: str) -> None:
    odd = {"PNG": "RGBA", "WEBP": "RGBA", "JPEG": "CMYK"}.get(kind, "RGB")
    im = photo().convert(odd)
    if odd == "RGBA":
        im.putalpha(100)
    assert plain(encoded(im, kind)) is None


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.header.__name__)
def test_what_only_begins_like_a_picture_is_left_to_pillow(row: object) -> None:
    assert plain(row.begins) is None
    assert plain(row.begins + bytes(100)) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_what_opencv_refuses_is_left_to_pillow(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise cv2.error("no")

    for answer in (refuse, lambda *_: None, lambda *_: np.zeros((3, 4), np.uint8)):
        monkeypatch.setattr(cv2, "imdecode", answer)
        assert plain(PLAIN[kind]) is None


def test_the_guard_against_bombs_is_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50 * 75)
    assert plain(PLAIN["PNG"]) is not None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50 * 75 - 1)
    assert plain(PLAIN["PNG"]) is None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert plain(PLAIN["PNG"]) is not None


def test_a_scale_that_no_decoder_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`reduce` returned 3 for \(50, 75\); it should be 1, 2,"):
        plain(PLAIN["JPEG"], times=3)


# Large, turned and in gray, with OpenCV free to use threads: where it would, if it did. All that
# the process works is worked by this thread then, and no other is left.
THREADS = """
import io, os, time
import numpy as np
from PIL import Image
import torch
from presize.data.reading import read_pixels
exif = Image.Exif()
exif[0x0112] = 6
large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1000, 1500, 3), np.uint8))
files = []
for kind, options in (
    ("JPEG", {"exif": exif}), ("PNG", {"compress_level": 0}), ("WEBP", {"method": 0})
):
    file = io.BytesIO()
    large.save(file, kind, **options)
    files.append(file.getvalue())
read_pixels(files[0])
before = len(os.listdir("/proc/self/task")), time.process_time() - time.thread_time()
for data in files:
    for mode in ("RGB", "L"):
        for times in (1, 2):
            read_pixels(data, mode, reduce=lambda full: times)
after = len(os.listdir("/proc/self/task")), time.process_time() - time.thread_time()
print(after[0] - before[0], after[1] - before[1])
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_no_decoder_starts_threads() -> None:
    command = [sys.executable, "-W", "ignore", "-c", THREADS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    threads, seconds = done.stdout.split()
    assert threads == "0"
    assert float(seconds) < 0.02
