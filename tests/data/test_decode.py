import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from presize.core.errors import ImageError
from presize.data.decode import (
    image_size,
    load_image,
    orientation,
    read_carefully,
    upright,
)

GOOD = {  # (height, width) of the odd pictures that can be read, upright
    "16bit.cropped.tif": (64, 64),
    "dispose_bgnd.gif": (100, 100),
    "hopper_16bit.pgm": (128, 128),
    "hopper_gray.jpg": (128, 128),
    "hopper_orientation_5.jpg": (128, 128),
    "hopper_orientation_6.webp": (128, 128),
    "i_trns.png": (64, 64),
    "iss634.webp": (245, 245),
    "l_trns.png": (64, 64),
    "lab.tif": (10, 10),
    "orientation_rectangle.jpg": (2, 1),
    "pil_sample_cmyk.jpg": (100, 100),
    "sugarshack.mpo": (480, 640),
    "transparent.gif": (150, 200),
    "transparent.webp": (150, 200),
}
BAD = {
    "broken.png": "is a PNG picture by its first bytes, but what follows is damaged",
    "truncated_jpeg.jpg": "is a JPEG picture that is cut short",
    "zero_width.gif": "is a GIF picture without pixels: its header says 0x32",
}
NEARLY_BLACK = "ignore:A 16-bit picture uses less"


def photo(height: int = 40, width: int = 60) -> Image.Image:
    """A smooth picture without any symmetry, so that every turn of it differs."""
    rows, columns = np.mgrid[:height, :width]
    red, green = rows * 255 // height, columns * 255 // width
    return Image.fromarray(np.stack([red, green, (red + 2 * green) // 3], 2).astype(np.uint8))


def encoded(im: Image.Image, kind: str, turned: int | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    if turned is not None:
        exif = im.getexif()
        exif[274] = turned
        options["exif"] = exif
    im.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.filterwarnings(NEARLY_BLACK)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_odd_picture_loads_or_is_named_with_its_fault(
    odd_images_path: Path, mode: str
) -> None:
    files = {file.name: file for file in odd_images_path.iterdir()}
    assert set(files) == set(GOOD) | set(BAD)
    for name, size in GOOD.items():
        im = load_image(files[name], mode)
        assert (im.mode, im.size) == (mode, size[::-1]), name
        assert image_size(files[name]) == size, name
    for name, fault in BAD.items():
        with pytest.raises(ImageError) as caught:
            load_image(files[name], mode)
        assert str(files[name]) in str(caught.value)
        assert fault in str(caught.value)
        assert "verify_images" in str(caught.value)
        assert caught.value.path == files[name]


def test_odd_pictures_look_as_they_should(odd_images_path: Path) -> None:
    def mean(name: str) -> list[float]:
        return np.asarray(load_image(odd_images_path / name)).mean((0, 1)).tolist()

    # CMYK and LAB: the colours that viewers show. The palette's transparent rim is white.
    assert mean("lab.tif") == pytest.approx([254, 255, 254], abs=1)
    assert load_image(odd_images_path / "transparent.gif").getpixel((0, 0)) == (255, 255, 255)
    assert load_image(odd_images_path / "transparent.webp").getpixel((0, 0)) == (255, 255, 255)
    # The same face, once in 16 bits and once in JPEG's 8: nearly the same grays.
    deep = np.asarray(load_image(odd_images_path / "hopper_16bit.pgm", "L")).astype(int)
    gray = np.asarray(load_image(odd_images_path / "hopper_gray.jpg", "L")).astype(int)
    assert np.abs(deep - gray).mean() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_exif_orientation_is_honoured(kind: str, turned: int) -> None:
    file = encoded(photo(), kind, turned, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(io.BytesIO(file)) as im:
        expected = np.asarray(ImageOps.exif_transpose(im))
    found = load_image(file)
    assert np.array_equal(np.asarray(found), expected)
    assert image_size(file) == expected.shape[:2] == ((60, 40) if turned > 4 else (40, 60))


@pytest.mark.parametrize("turned", [3, 6])
def test_orientation_can_be_left_as_stored(turned: int) -> None:
    file = encoded(photo(), "PNG", turned)
    assert np.array_equal(np.asarray(load_image(file, orient=False)), np.asarray(photo()))
    assert image_size(file, orient=False) == (40, 60)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_orientation_out_of_range_or_broken_means_upright() -> None:
    assert orientation(photo()) == 1
    odd = photo()
    odd.getexif()[274] = 17
    assert orientation(odd) == 1
    assert upright(odd) is odd
    broken = encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0nonsense")
    assert load_image(broken).size == (60, 40)


def test_bytes_files_and_paths_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(photo(), "PNG"))
    with path.open("rb") as file:
        loaded = [load_image(s) for s in (path, str(path), path.read_bytes(), file)]
    assert all(np.array_equal(np.asarray(im), np.asarray(photo())) for im in loaded)
    with path.open() as text, pytest.raises(TypeError, match=r"use open\(path, 'rb'\)"):
        load_image(text)


def test_min_size_decodes_a_jpeg_smaller_but_never_too_small() -> None:
    file = encoded(photo(400, 640), "JPEG", 6)  # upright it is 640 x 400
    for asked, got in ((100, (160, 100)), (101, (320, 200)), ((640, 10), (640, 400))):
        im = load_image(file, min_size=asked)
        assert (im.height, im.width) == got
    small = np.asarray(load_image(file, min_size=100).resize((400, 640))).astype(int)
    assert np.abs(small - np.asarray(load_image(file)).astype(int)).mean() < 3
    assert load_image(encoded(photo(), "PNG"), min_size=4).size == (60, 40)


def test_min_size_is_that_of_the_stored_picture_where_it_is_not_turned() -> None:
    file = encoded(photo(400, 640), "JPEG", 6)
    im = load_image(file, min_size=(320, 10), orient=False)
    assert (im.height, im.width) == (400, 640)
    assert load_image(file, min_size=(320, 10)).size == (200, 320)


def test_a_careful_reading_tells_the_full_size() -> None:
    file = encoded(photo(400, 640), "JPEG", 6)
    im, full = read_carefully(file, enough=lambda full: (full[0] // 8, full[1] // 8))
    assert (im.size, full) == ((50, 80), (640, 400))
    im, full = read_carefully(file, orient=False, enough=lambda full: (100, 1))
    assert (im.size, full) == ((160, 100), (400, 640))


def test_a_png_that_is_turned_by_its_end_tells_its_upright_size() -> None:
    data = encoded(photo(), "PNG", 6)
    at = data.index(b"eXIf") - 4
    n = 12 + int.from_bytes(data[at : at + 4])
    moved = data[:at] + data[at + n : -12] + data[at : at + n] + data[-12:]
    im, full = read_carefully(moved)
    assert (im.size, full) == ((40, 60), (60, 40))
    assert np.array_equal(np.asarray(im), np.asarray(load_image(data)))


def test_a_missing_picture_is_told_with_its_nearest_names(tmp_path: Path) -> None:
    (tmp_path / "persian_12.jpg").touch()
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / "Persian_12.jpeg")
    assert str(caught.value) == (
        f"There is no picture at `{tmp_path}/Persian_12.jpeg`. Did you mean `persian_12.jpg`?"
    )
    with pytest.raises(ImageError, match=r"has no name like it\.$"):
        load_image(tmp_path / "zzz.png")
    with pytest.raises(ImageError, match=rf"no folder `{tmp_path}/a/b`; .* is `{tmp_path}`\.$"):
        load_image(tmp_path / "a/b/c.png")
    (tmp_path / "void").mkdir()
    with pytest.raises(ImageError, match=r"The folder `.*void` is empty\."):
        load_image(tmp_path / "void/c.png")
    with pytest.raises(ImageError, match=r"is a folder, not a picture; `get_image_files` lists"):
        load_image(tmp_path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", r"it is empty \(0 bytes\)"),
        (b"\n<!DOCTYPE html><html>", "it is not a picture but a web page, perhaps the error page"),
        (b"<svg xmlns='x'>", r"it is not a picture but a drawing \(SVG\)"),
        # Pillow knows it, and would start Ghostscript for it.
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "PostScript"),
        (b"version https://git-lfs.github.com/spec/v1\n", "fetch the pictures with `git lfs pull`"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "pillow-heif"),
        (b"hello", r"not a picture of any known kind \(5 bytes that begin with b'hello'\)"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "it is a WebP picture"),
    ],
)
def test_what_is_not_a_picture_is_told_apart(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for read in (load_image, image_size):
        with pytest.raises(ImageError, match=rf"^`{path}` cannot be read: .*{fault}"):
            read(path)
    with pytest.raises(ImageError, match=rf"^The picture in memory cannot be read: .*{fault}"):
        load_image(content)


def test_a_picture_too_large_to_be_trusted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match=r"2400 pixels.*set PIL\.Image\.MAX_IMAGE_PIXELS"):
        load_image(encoded(photo(), "PNG"))


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(photo(), "PNG"))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(ImageError, match=r"cannot be opened: Permission denied\.$"):
        load_image(path)


@pytest.mark.filterwarnings("ignore")  # Pillow warns about what it skips in damaged files
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damaged_files_load_or_raise_an_image_error(kind: str) -> None:
    rng = np.random.default_rng(0)
    whole = np.frombuffer(encoded(photo(), kind), np.uint8)
    refused = 0
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 4)] = rng.integers(0, 256, 4)
        data = damaged[: rng.integers(1, len(whole) * 2)].tobytes()
        for read in (load_image, image_size):
            try:
                read(data)
            except ImageError as error:
                refused += 1
                assert "The picture in memory" in str(error)
    assert refused


def test_a_mapped_file_does_not_change_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(photo(), "TIFF"))
    im = load_image(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert np.array_equal(np.asarray(im), np.asarray(photo()))


def test_a_broken_link_is_told_with_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").symlink_to("gone/cat.jpg")
    with pytest.raises(ImageError, match="is a link to `gone/cat.jpg`, which does not exist"):
        load_image(tmp_path / "cat.jpg")
