import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from presize.core.errors import ImageError
from presize.data.decode import load_image
from presize.data.namedbytes import NamedBytes
from presize.data.reading import Decoded, read_pixels

NEARLY_BLACK = "ignore:A 16-bit picture uses less"


def photo(height: int = 50, width: int = 75) -> Image.Image:
    """A smooth picture without any symmetry, so that every turn of it differs."""
    rows, columns = np.mgrid[:height, :width]
    red, green = rows * 255 // height, columns * 255 // width
    return Image.fromarray(np.stack([red, green, (red + 2 * green) // 3], 2).astype(np.uint8))


def encoded(im: Image.Image, kind: str, turned: int | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    if turned is not None:
        exif = Image.Exif()
        exif[0x0112] = turned
        options["exif"] = exif
    im.save(file, kind, **options)
    return file.getvalue()


def as_loaded(source: Path | bytes, mode: str = "RGB", **options: object) -> np.ndarray:
    """Return what `load_image` gives as [h,w,c]."""
    pixels = np.asarray(load_image(source, mode, **options))
    return pixels.reshape(*pixels.shape[:2], -1)


def same(found: Decoded, expected: np.ndarray) -> bool:
    sound = found.pixels.dtype == np.uint8 and found.pixels.flags.c_contiguous
    return sound and found.pixels.flags.writeable and np.array_equal(found.pixels, expected)


def outcome(read: Callable[[], np.ndarray]) -> str | bytes:
    try:
        pixels = read()
    except ImageError as error:
        return str(error)
    return f"{pixels.shape}".encode() + pixels.tobytes()


@pytest.mark.filterwarnings(NEARLY_BLACK)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_odd_pictures_come_as_load_image_gives_them(odd_images_path: Path, mode: str) -> None:
    for file in odd_images_path.iterdir():
        found = outcome(lambda file=file: read_pixels(file, mode).pixels)
        assert found == outcome(lambda file=file: as_loaded(file, mode)), file.name
        found = outcome(lambda file=file: read_pixels(file, mode, orient=False).pixels)
        assert found == outcome(lambda file=file: as_loaded(file, mode, orient=False)), file.name


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_photos_come_as_load_image_gives_them(
    pets_path: Path, imagenette_path: Path, mode: str
) -> None:
    files = sorted(pets_path.iterdir())[::8] + sorted(imagenette_path.rglob("*.JPEG"))[::60]
    assert len(files) > 60
    for file in files:
        assert same(read_pixels(file, mode), as_loaded(file, mode)), file


def test_digits_come_as_load_image_gives_them(mnist_path: Path) -> None:
    for file in sorted(mnist_path.rglob("*.png"))[::400]:
        for mode in ("RGB", "L"):
            assert same(read_pixels(file, mode), as_loaded(file, mode)), file


KINDS = {  # how to save each, and the modes that it can hold
    "JPEG": ({}, "RGB L CMYK 1"),
    "PNG": ({}, "RGB L P RGBA LA 1 I;16"),
    "WEBP": ({"lossless": True}, "RGB L P RGBA LA"),
    "GIF": ({}, "RGB L P RGBA 1"),
    "BMP": ({}, "RGB L P RGBA 1"),
    "TIFF": ({"compression": "tiff_lzw"}, "RGB L P RGBA LA CMYK 1 I;16"),
    "PPM": ({}, "RGB L 1 I;16"),
}


def stored_as(mode: str) -> Image.Image:
    """Return the photo in a mode, more transparent from left to right if there is alpha."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(photo().convert("L")).astype(np.uint16) * 257)
    im = photo().convert(mode)
    if mode in ("RGBA", "LA"):
        im.putalpha(Image.fromarray(np.tile(np.arange(75, dtype=np.uint8) * 3, (50, 1))))
    return im


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_kind_and_mode_comes_as_load_image_gives_it(kind: str, mode: str) -> None:
    options, modes = KINDS[kind]
    for stored in modes.split():
        data = encoded(stored_as(stored), kind, **options)
        for background in ((255, 255, 255), (0, 90, 0)):
            found = read_pixels(data, mode, background=background)
            assert same(found, as_loaded(data, mode, background=background)), stored
            assert found.full == (50, 75)


def test_transparent_parts_show_the_background() -> None:
    clear = encoded(Image.new("RGBA", (2, 1), (9, 9, 9, 0)), "PNG")
    assert (read_pixels(clear).pixels == 255).all()
    assert (read_pixels(clear, background=(1, 2, 3)).pixels == (1, 2, 3)).all()


def test_white_level_is_passed_on() -> None:
    deep = encoded(Image.fromarray(np.full((2, 2), 4095, np.uint16)), "PNG")
    assert (read_pixels(deep, "L", white_level=4095).pixels == 255).all()
    with pytest.warns(UserWarning, match="nearly black"):
        assert (read_pixels(deep, "L").pixels == 16).all()
    with pytest.raises(ImageError, match="cannot be used: a picture of uint16 has values from 0"):
        read_pixels(deep, "L", white_level=100)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("orient", [True, False])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_exif_is_honoured_unless_told_not_to(
    kind: str, turned: int, orient: bool, mode: str
) -> None:
    data = encoded(photo(), kind, turned)
    found = read_pixels(data, mode, orient=orient)
    assert same(found, as_loaded(data, mode, orient=orient))
    sideways = turned > 4 and (orient or kind == "TIFF")
    assert found.full == found.pixels.shape[:2] == ((75, 50) if sideways else (50, 75))


@pytest.mark.parametrize("turned", [1, 3, 6])
@pytest.mark.parametrize("orient", [True, False])
@pytest.mark.parametrize("stored", ["RGB", "L", "CMYK"])
def test_reduce_is_asked_about_the_upright_size(turned: int, orient: bool, stored: str) -> None:
    data = encoded(photo(100, 301).convert(stored), "JPEG", turned)
    upright = (301, 100) if orient and turned == 6 else (100, 301)
    for times in (1, 2, 4, 8):
        asked: list[tuple[int, int]] = []

        def reduce(
            full: tuple[int, int],
            times: int = times,
            asked: list[tuple[int, int]] = asked,
        ) -> int:
            asked.append(full)
            return times

        found = read_pixels(data, reduce=reduce, orient=orient)
        assert asked == [upright]
        assert found.full == upright
        assert found.pixels.shape[:2] == tuple(-(-side // times) for side in upright)
        small = tuple(side // times for side in upright)
        assert same(found, as_loaded(data, min_size=small, orient=orient))


def test_only_a_jpeg_is_reduced() -> None:
    for kind in ("PNG", "WEBP", "TIFF", "GIF", "BMP"):
        found = read_pixels(encoded(photo(), kind), reduce=lambda full: 8)
        assert found.full == found.pixels.shape[:2] == (50, 75)


def test_a_fault_of_reduce_is_not_the_pictures() -> None:
    for stored in ("RGB", "CMYK"):  # the fast way, and the careful one
        data = encoded(photo().convert(stored), "JPEG")
        with pytest.raises(ValueError, match="`reduce` returned 16") as caught:
            read_pixels(data, reduce=lambda full: 16)
        assert not isinstance(caught.value, ImageError)


@given(
    height=st.integers(1, 40) | st.integers(1, 300),
    width=st.integers(1, 40) | st.integers(1, 3),
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF"]),
    stored=st.sampled_from(["RGB", "L"]),
    mode=st.sampled_from(["RGB", "L"]),
    times=st.sampled_from([1, 2, 4, 8]),
    turned=st.sampled_from([None, 1, 5, 8]),
)
@settings(max_examples=300, deadline=None)
def test_any_size_comes_as_load_image_gives_it(
    height: int, width: int, kind: str, stored: str, mode: str, times: int, turned: int | None
) -> None:
    data = encoded(photo(height, width).convert(stored), kind, turned if kind != "BMP" else None)
    whole = as_loaded(data, mode)
    assert same(read_pixels(data, mode), whole)
    found = read_pixels(data, mode, reduce=lambda full: times)
    assert found.full == whole.shape[:2]
    if kind != "JPEG":
        times = 1
    assert found.pixels.shape[:2] == tuple(-(-side // times) for side in found.full)


def test_threads_get_what_one_alone_gets(pets_path: Path, imagenette_path: Path) -> None:
    files = sorted(pets_path.iterdir())[:20] + sorted(imagenette_path.rglob("*.JPEG"))[:60]
    alone = [read_pixels(file).pixels.tobytes() for file in files]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(2):
            assert list(pool.map(lambda f: read_pixels(f).pixels.tobytes(), files)) == alone


def test_a_path_may_be_given_in_any_form(tmp_path: Path) -> None:
    path = tmp_path / "ä b.jpg"
    path.write_bytes(encoded(photo(), "JPEG"))
    for source in (path, str(path), path.read_bytes()):
        assert same(read_pixels(source), as_loaded(path))


def test_what_cannot_be_read_is_told_as_load_image_tells_it(tmp_path: Path) -> None:
    whole = encoded(photo(), "JPEG")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    contents = {
        "empty.jpg": b"",
        "page.jpg": b"<html>",
        "short.jpg": whole[:-30],
        "text.png": b"hello",
        "short.png": encoded(photo(), "PNG")[:-40],
        "short.webp": encoded(photo(), "WEBP")[:-9],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "folder", "link.jpg", "missing.jpg", "gone/missing.jpg"):
        with pytest.raises(ImageError) as expected:
            load_image(tmp_path / name)
        with pytest.raises(ImageError) as found:
            read_pixels(tmp_path / name)
        assert str(found.value) == str(expected.value)
        assert found.value.path == tmp_path / name


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(photo(), "PNG"))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(io, "FileIO", refuse)
    with pytest.raises(ImageError, match=r"a.png` cannot be opened: Permission denied\.$"):
        read_pixels(path)


def test_bytes_that_know_where_they_lie_are_named() -> None:
    data = encoded(photo(), "JPEG")
    assert same(read_pixels(NamedBytes(data, "a.tar/1.jpg")), as_loaded(data))
    for read in (read_pixels, load_image):
        with pytest.raises(ImageError, match="^`a.tar/1.jpg` cannot be read: .* is cut short"):
            read(NamedBytes(data[:-30], "a.tar/1.jpg"))


@pytest.mark.filterwarnings("ignore")
def test_too_large_to_be_trusted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(photo(), kind)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        with pytest.raises(ImageError, match=r"3750 pixels.*set PIL\.Image\.MAX_IMAGE_PIXELS"):
            read_pixels(data)


def test_a_jpeg_that_is_cut_short_writes_nothing_to_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = encoded(photo(), "JPEG")
    foreign = data[:-60] + b"\xff\x37" + data[-58:]
    for broken in (data[:-2], data[:-60], foreign):
        with pytest.raises(ImageError):
            read_pixels(broken)
    assert capfd.readouterr() == ("", "")


def test_pillows_switch_for_pictures_cut_short_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photo(), "JPEG")[:-60]
    with pytest.raises(ImageError):
        read_pixels(data)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert same(read_pixels(data), as_loaded(data))


FILES = {
    "JPEG": encoded(photo(), "JPEG", 6),
    "JPEG, gray": encoded(photo().convert("L"), "JPEG"),
    "JPEG, progressive": encoded(photo(), "JPEG", progressive=True),
    "JPEG, with restarts": encoded(photo(), "JPEG", restart_marker_blocks=2),
    "PNG": encoded(photo(), "PNG"),
    "PNG, gray": encoded(photo().convert("L"), "PNG"),
    "WebP": encoded(photo(), "WEBP"),
    "WebP, lossless": encoded(photo(), "WEBP", lossless=True),
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns about what it skips in damaged files
@pytest.mark.parametrize("kind", FILES)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    hole=st.tuples(st.floats(0, 1), st.integers(0, 300)),
    kept=st.floats(0.2, 1) | st.just(1.0),
    mode=st.sampled_from(["RGB", "L"]),
)
@settings(max_examples=150, deadline=None)
def test_damaged_files_end_as_with_load_image(
    kind: str,
    changes: list[tuple[float, int]],
    hole: tuple[float, int],
    kept: float,
    mode: str,
) -> None:
    data = bytearray(FILES[kind])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    start = int(hole[0] * len(data))
    del data[start : start + hole[1]]
    broken = bytes(data[: int(kept * len(data))])
    found = outcome(lambda: read_pixels(broken, mode).pixels)
    assert found == outcome(lambda: as_loaded(broken, mode))
