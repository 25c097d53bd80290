import io
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from presize.data.header import Header, png_header, webp_header


def noise(height: int = 20, width: int = 30) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(im: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    im.save(file, kind, **options)
    return file.getvalue()


def with_chunk(name: bytes, body: bytes, *, sound: bool = True) -> bytes:
    data = encoded(noise(), "PNG")
    checksum = zlib.crc32(name + body) ^ (not sound)
    chunk = len(body).to_bytes(4) + name + body + checksum.to_bytes(4)
    return data[:33] + chunk + data[33:]


def test_size_and_channels_of_a_plain_png_are_read() -> None:
    assert png_header(encoded(noise(), "PNG")) == Header(20, 30, 3)
    assert png_header(encoded(noise(7, 1).convert("L"), "PNG", dpi=(72, 72))) == Header(7, 1, 1)
    assert png_header(with_chunk(b"tEXt", b"Software\0presize")) == Header(20, 30, 3)
    assert png_header(encoded(noise(), "PNG") + b"more") == Header(20, 30, 3)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def with_text(key: str, value: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, value)
    return encoded(noise(), "PNG", pnginfo=info)


PNG = encoded(noise(), "PNG")
ODD_PNGS = {
    "nothing": b"",
    "palette": encoded(noise().quantize(), "PNG"),
    "alpha": encoded(noise().convert("RGBA"), "PNG"),
    "gray and alpha": encoded(noise().convert("LA"), "PNG"),
    "one bit": encoded(noise().convert("1"), "PNG"),
    "16 bits": encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"),
    "a transparent colour": encoded(noise(), "PNG", transparency=(1, 2, 3)),
    "EXIF": encoded(noise(), "PNG", exif=turned()),
    "EXIF as text": with_chunk(b"tEXt", b"Raw profile type exif\0..."),
    "XMP": with_text("XML:com.adobe.xmp", "<x tiff:Orientation='6'/>"),
    "animated": encoded(noise(), "PNG", save_all=True, append_images=[noise().rotate(90)]),
    "a wrong checksum": with_chunk(b"tEXt", b"Software\0presize", sound=False),
    "a wrong length": with_chunk(b"gAMA", b"abc"),
    "no end": encoded(noise(), "PNG")[:-12],
    "no pixels": PNG[:33] + PNG[-12:],
    "interlaced": PNG[:28] + b"\1" + PNG[29:],
    "no columns": PNG[:16] + bytes(4) + PNG[20:],
}


@pytest.mark.parametrize("what", ODD_PNGS)
def test_of_an_odd_png_nothing_is_said(what: str) -> None:
    assert png_header(ODD_PNGS[what]) is None


def test_size_of_a_plain_webp_is_read() -> None:
    for options in ({"quality": 50}, {"lossless": True}):
        assert webp_header(encoded(noise(), "WEBP", **options)) == Header(20, 30, 3)
        assert webp_header(encoded(noise(1, 400), "WEBP", **options)) == Header(1, 400, 3)


ODD_WEBPS = {
    "nothing": b"",
    "alpha": encoded(Image.new("RGBA", (30, 20), (1, 2, 3, 100)), "WEBP"),
    "alpha, lossless": encoded(Image.new("RGBA", (9, 9), (1, 2, 3, 100)), "WEBP", lossless=True),
    "EXIF": encoded(noise(), "WEBP", exif=turned()),
    "animated": encoded(noise(), "WEBP", save_all=True, append_images=[noise().rotate(90)]),
    "cut short": encoded(noise(), "WEBP")[:-1],
    "a wave": b"RIFF\x20\0\0\0WAVEfmt " + bytes(40),
}


@pytest.mark.parametrize("what", ODD_WEBPS)
def test_of_an_odd_webp_nothing_is_said(what: str) -> None:
    assert webp_header(ODD_WEBPS[what]) is None
