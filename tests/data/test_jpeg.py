import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from presize.data.decode import orientation
from presize.data.header import Header
from presize.data.jpeg import _STEP, _next_marker, jpeg_header

EXIF = b"Exif\0\0"


def noise(height: int = 40, width: int = 60, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels)


def jpeg(im: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (im or noise()).save(file, "JPEG", **options)
    return file.getvalue()


def with_segment(marker: int, body: bytes) -> bytes:
    data = jpeg()
    return data[:2] + bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body + data[2:]


def exif(*entries: bytes, order: str = "little") -> bytes:
    head = b"II*\0\x08\0\0\0" if order == "little" else b"MM\0*\0\0\0\x08"
    return EXIF + head + len(entries).to_bytes(2, order) + b"".join(entries) + bytes(4)


def test_size_and_channels_are_read() -> None:
    assert jpeg_header(jpeg()) == Header(40, 60, 3, 1)
    assert jpeg_header(jpeg(noise(3, 300, 1))) == Header(3, 300, 1, 1)
    assert jpeg_header(jpeg(progressive=True)) == Header(40, 60, 3, 1)
    assert jpeg_header(jpeg(restart_marker_blocks=1, subsampling=0)) == Header(40, 60, 3, 1)
    assert jpeg_header(jpeg(comment=b"of a cat", icc_profile=bytes(70_000))) == Header(40, 60, 3)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("order", ["little", "big"])
def test_the_orientation_is_read(turned: int, order: str) -> None:
    make = (0x010F).to_bytes(2, order) + b"\0\0\0\0\0\0\0\0\0\0"  # of a kind that is not known
    number, kind, count = ((n).to_bytes(k, order) for n, k in ((0x0112, 2), (3, 2), (1, 4)))
    entry = number + kind + count + turned.to_bytes(2, order) + b"\0\0"
    data = with_segment(0xE1, exif(make, entry, order=order))
    assert jpeg_header(data) == Header(40, 60, 3, turned)
    assert orientation(Image.open(io.BytesIO(data))) == turned


def test_exif_without_orientation_means_upright() -> None:
    assert jpeg_header(with_segment(0xE1, exif())) == Header(40, 60, 3, 1)
    assert jpeg_header(with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")) is not None
    assert jpeg_header(with_segment(0xE1, b"something else")) is not None


def patched(data: bytes, marker: int, offset: int, *new: int) -> bytes:
    """Return the data with other bytes at `offset` behind a marker."""
    at = data.index(bytes([0xFF, marker])) + offset
    return data[:at] + bytes(new) + data[at + len(new) :]


ODD = {
    "nothing": b"",
    "only a start": b"\xff\xd8\xff",
    "CMYK": jpeg(noise().convert("CMYK")),
    "12 bits": patched(jpeg(), 0xC0, 4, 12),
    "no rows": patched(jpeg(), 0xC0, 5, 0, 0),
    "lossless": patched(jpeg(), 0xC0, 0, 0xFF, 0xC3),
    "arithmetic": patched(jpeg(), 0xC0, 0, 0xFF, 0xC9),
    "a segment of length 0": patched(jpeg(), 0xDB, 2, 0, 0),
    "filling before a marker": with_segment(0xFF, b""),
    "two frames": with_segment(0xC0, jpeg()[jpeg().index(b"\xff\xc0") + 4 :][:15]),
    "a short JFIF segment": with_segment(0xE0, b"JFIF"),
    "an orientation in XMP": with_segment(
        0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>"
    ),
    "an orientation of 9": with_segment(0xE1, exif(b"\x12\x01\3\0\1\0\0\0\x09\0\0\0")),
    "an orientation of bytes": with_segment(0xE1, exif(b"\x12\x01\1\0\1\0\0\0\6\0\0\0")),
    "EXIF that points nowhere": with_segment(0xE1, EXIF + b"II*\0\xff\0\0\0"),
    "a tag that points nowhere": with_segment(0xE1, exif(b"\x0f\x01\2\0\x20\0\0\0\xff\0\0\0")),
    "EXIF twice": with_segment(0xE1, exif())[:2] + with_segment(0xE1, exif())[2:24] + jpeg()[2:],
    "no end marker": jpeg()[:-2],
    "a foreign marker": jpeg()[:-200] + b"\xff\x37" + jpeg()[-198:],
    "a table in the data": jpeg()[:-200] + b"\xff\xc4" + jpeg()[-198:],
    "the end is filling": jpeg()[:-1] + b"\xff\xff\xff",
}


@pytest.mark.parametrize("what", ODD)
def test_of_what_is_odd_nothing_is_said(what: str) -> None:
    assert jpeg_header(ODD[what]) is None


def test_data_that_is_cut_short_anywhere_is_noticed() -> None:
    for data in (jpeg(), jpeg(progressive=True), jpeg(restart_marker_blocks=3)):
        assert all(jpeg_header(data[:n]) is None for n in range(len(data)))
        assert jpeg_header(data + b"more") is not None


@given(
    plain=st.binary(max_size=200),
    at=st.integers(_STEP - 210, _STEP + 10),
    tail=st.binary(max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_the_next_marker_is_found_across_parts(plain: bytes, at: int, tail: bytes) -> None:
    data = bytes(at) + plain + tail.replace(b"\1", b"\xff")
    expected = re.search(rb"\xff[^\x00\xd0-\xd7\xff]", data)
    found = _next_marker(np.frombuffer(data, np.uint8), 0)
    assert found == (-1 if expected is None else expected.start())
