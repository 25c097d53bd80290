import copy
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from presize.core.errors import DataError, ImageError
from presize.core.foundation import tensor
from presize.data.images import PILBase, PILImage, PILImageBW, PILMask

PIXELS = np.random.default_rng(3).integers(0, 256, (11, 7, 3), dtype=np.uint8)
PLANE = PIXELS[..., 0]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_text_is_kind_mode_and_width_by_height() -> None:
    im = PILImage.create(PIXELS)
    assert str(im) == repr(im) == f"{im}" == "PILImage mode=RGB size=7x11"
    assert str(PILImageBW.create(PLANE)) == "PILImageBW mode=L size=7x11"
    assert str((PILMask.create(PLANE), 3)) == "(PILMask mode=L size=7x11, 3)"
    assert PILImage.create.__qualname__ == PILMask.__mro__[1].create.__qualname__
    assert PILImage.create.__qualname__ == "PILBase.create"


def test_the_round_trip_is_exact_from_everything(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(PIXELS))
    first = torch.from_numpy(PIXELS).permute(2, 0, 1)
    with path.open("rb") as file:
        sources = [
            PIXELS,
            PIXELS / 255,
            (PIXELS / 255).astype(np.float32),
            PIXELS.astype(np.int64),
            PIXELS.transpose(2, 0, 1),
            first,
            first / 255,
            (first / 255).double(),
            first.permute(1, 2, 0),
            Image.fromarray(PIXELS),
            PILImage.create(PIXELS),
            path,
            str(path),
            path.read_bytes(),
            bytearray(path.read_bytes()),
            io.BytesIO(path.read_bytes()),
            file,
        ]
        for source in sources:
            im = PILImage.create(source)
            assert type(im) is PILImage
            assert im.mode == "RGB"
            assert np.array_equal(np.asarray(im), PIXELS)
            assert im == PILImage.create(np.asarray(im))


def test_gray_and_masks_from_arrays_and_tensors() -> None:
    plane = torch.from_numpy(PLANE)
    for source in (PLANE, PLANE[..., None], PLANE[None], plane, plane[None], png(PLANE)):
        for kind in (PILImageBW, PILMask):
            im = kind.create(source)
            assert type(im) is kind
            assert im.mode == "L"
            assert np.array_equal(np.asarray(im), PLANE)
    expected = np.asarray(Image.fromarray(PIXELS).convert("L"))
    assert np.array_equal(np.asarray(PILImageBW.create(PIXELS)), expected)
    assert np.array_equal(np.asarray(PILImage.create(PLANE)), np.repeat(PLANE[..., None], 3, 2))
    assert PILMask.create(np.array([[0, 1], [2, 3]])).getextrema() == (0, 3)
    assert PILMask.create(torch.tensor([[0.0, 2.0]])).getextrema() == (0, 2)
    assert np.asarray(PILMask.create(np.array([[True, False]]))).tolist() == [[1, 0]]


def test_where_both_ends_could_be_channels_the_kind_of_source_decides() -> None:
    cube = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert np.array_equal(np.asarray(PILImage.create(cube)), cube)
    assert np.array_equal(
        np.asarray(PILImage.create(torch.from_numpy(cube))), cube.transpose(1, 2, 0)
    )


def test_sizes() -> None:
    im = PILImage.create(PIXELS)
    assert (im.shape, im.size, im.n_px) == ((11, 7), (7, 11), 77)
    assert im.aspect == pytest.approx(7 / 11)


def test_what_is_made_from_a_picture_is_of_its_kind() -> None:
    im = PILImage.create(PIXELS)
    made = {
        "resize": im.resize((3, 4)),
        "crop": im.crop((1, 1, 4, 4)),
        "transpose": im.transpose(Image.Transpose.ROTATE_90),
        "convert": im.convert("L"),
        "copy": im.copy(),
        "filter": im.filter(ImageFilter.BLUR),
        "rotate": im.rotate(10),
        "rotate back": im.rotate(180),
        "transform": im.transform((3, 3), Image.Transform.EXTENT, (0, 0, 2, 2)),
        "reduce": im.reduce(2),
        "band": im.getchannel("R"),
        "point": im.point(lambda v: 255 - v),
        "thumb": im.to_thumb(4),
    }
    assert {name: type(value) for name, value in made.items()} == dict.fromkeys(made, PILImage)
    plain = Image.fromarray(PIXELS)
    assert np.array_equal(np.asarray(made["resize"]), np.asarray(plain.resize((3, 4))))
    assert np.array_equal(np.asarray(made["rotate"]), np.asarray(plain.rotate(10)))
    assert type(PILMask.create(PLANE).resize((2, 2))) is PILMask
    palette = im.convert("P")
    assert (type(palette), palette.convert("RGB").size) == (PILImage, (7, 11))


def test_a_thumb_fits_and_leaves_the_picture_alone() -> None:
    im = PILImage.create(np.zeros((100, 200, 3), np.uint8))
    assert im.to_thumb(20).size == (20, 10)
    assert im.to_thumb(20, 80).size == (40, 20)
    assert im.size == (200, 100)


def test_pictures_pickle_and_copy() -> None:
    for im in (
        PILImage.create(PIXELS),
        PILMask.create(PLANE),
        PILImage.create(PIXELS).convert("P"),
    ):
        for twin in (pickle.loads(pickle.dumps(im)), copy.deepcopy(im), copy.copy(im)):
            assert type(twin) is type(im)
            assert np.array_equal(np.asarray(twin), np.asarray(im))


def test_a_picture_does_not_share_pixels_with_its_source() -> None:
    plain, array = Image.fromarray(PIXELS), PIXELS.copy()
    for source in (plain, PILImage.create(PIXELS), array):
        im = PILImage.create(source)
        im.putpixel((0, 0), (1, 2, 3))
        assert np.array_equal(np.asarray(source), PIXELS)


def test_arrays_and_tensors_of_pictures() -> None:
    im = PILImage.create(PIXELS)
    assert np.array_equal(np.array(im), PIXELS)
    assert torch.equal(tensor(im), torch.from_numpy(PIXELS))
    assert im._repr_png_().startswith(b"\x89PNG")


def test_show_draws_on_the_axes_it_is_given() -> None:
    from matplotlib import pyplot as plt

    _, axes = plt.subplots()
    assert PILImage.create(PIXELS).show(ctx=axes, title="seven") is axes
    assert axes.get_title() == "seven"
    assert PILMask.create(PLANE).show(ctx=axes) is axes
    assert [drawn.get_alpha() for drawn in axes.images] == [None, 0.5]
    gray = PILImageBW.create(PLANE).show()
    assert gray.images[0].get_cmap().name == "gray"


def test_exif_is_honoured_and_can_be_switched_off(odd_images_path: Path) -> None:
    path = odd_images_path / "orientation_rectangle.jpg"

    class Stored(PILImage):
        orient = False

    assert PILImage.create(path).shape == (2, 1)
    assert Stored.create(path).shape == (1, 2)
    with Image.open(path) as opened:
        assert PILImage.create(opened).shape == (2, 1)
        assert Stored.create(opened).shape == (1, 2)
        # A picture that the user has worked on is taken as it is.
        assert PILImage.create(opened.crop((0, 0, 2, 1))).shape == (1, 2)


def test_min_size_is_for_pictures_not_for_masks(pets_path: Path) -> None:
    path = next(iter(sorted(pets_path.glob("*.jpg"))))
    whole = PILImage.create(path)
    small = PILImage.create(path, min_size=min(whole.shape) // 2)
    assert small.n_px < whole.n_px
    assert PILMask.create(png(PLANE), min_size=1).shape == PLANE.shape


def test_class_attributes_say_how_files_are_read() -> None:
    class OnBlack(PILImage):
        background = (0, 0, 0)
        white_level = 4095

    clear = Image.new("RGBA", (2, 2), (9, 9, 9, 0))
    assert PILImage.create(clear).getpixel((0, 0)) == (255, 255, 255)
    assert OnBlack.create(clear).getpixel((0, 0)) == (0, 0, 0)
    assert OnBlack.create(np.full((2, 2), 4095, np.uint16)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (np.zeros((2, 5, 6, 3), np.uint8), DataError, r"\[2, 5, 6, 3\].*a batch: take one.*x\[0\]"),
        (torch.zeros(5, 6, 7), DataError, r"with 1, 3 or 4 channels, but this Tensor has \[5, 6"),
        (np.zeros((0, 5)), DataError, r"of shape \[0, 5\] has no pixels"),
        (np.full((2, 2), 300), DataError, r"A picture of int64 has values from 0 to 255, but"),
        (
            torch.randn(3, 4, 4) * 9,
            DataError,
            r"float32 has values from 0 to 1, but.*Undo the",
        ),
        (("a.jpg", 3), TypeError, r"got \('a.jpg', 3\) \(tuple\).*let get_x pick"),
        (7, TypeError, r"PILImage.create makes a picture of a path.*got 7 \(int\)"),
        ("no_such.jpg", ImageError, "There is no picture at `no_such.jpg`"),
    ],
)
def test_what_is_no_picture(source: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        PILImage.create(source)


def test_a_mask_with_colours_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(png(PIXELS))
    with pytest.raises(ImageError, match=rf"^`{path}` cannot be used: a mask has one class"):
        PILMask.create(path)
    with pytest.raises(DataError, match="a mask has one class number per pixel, whole"):
        PILMask.create(np.array([[0.5]]))


def test_the_base_is_a_kind_too() -> None:
    assert str(PILBase.create(PIXELS)) == "PILBase mode=RGB size=7x11"
