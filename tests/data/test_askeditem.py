import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from presize.core.errors import ImageError
from presize.data.askeditem import asked_item, check_kind, name_of
from presize.data.datasets import Datasets
from presize.data.images import PILImage, PILImageBW
from presize.data.namedbytes import NamedBytes

PICTURES = Datasets([], [[PILImage.create], None], n_inp=1, do_setup=False)
ROWS = Datasets([{"f": "a.png"}], [[dict.copy, PILImage.create]], n_inp=1, do_setup=False)
ARRAYS = Datasets([np.zeros((4, 4))], [[np.asarray, PILImage.create]], n_inp=1, do_setup=False)
NUMBERS = Datasets([1.0], [[abs]], n_inp=1, do_setup=False)


def test_what_data_takes_is_left_as_it_is():
    array = np.zeros((4, 4))
    assert asked_item(ARRAYS, array) is array  # its own pipeline knows what to do with it
    assert isinstance(asked_item(ROWS, array), Image.Image)  # here it would be taken for a row
    for item in (Path("a.png"), "a.png", {"f": "b.png"}, b"bytes", 3):
        assert asked_item(ROWS, item) is item
    text = "https://only.text/"
    assert asked_item(NUMBERS, text) is text  # not a data set of pictures
    assert asked_item(None, text) is text


def test_bytes_and_files_are_read_and_keep_their_names(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"0123")
    with file.open("rb") as opened:
        opened.seek(1)
        read = asked_item(PICTURES, opened)
        assert (read, read.name) == (b"123", str(file))
        assert name_of(opened) == str(file)
    with pytest.raises(
        ImageError, match=r"cannot be read: .*closed file\. Give a file that is open"
    ):
        asked_item(PICTURES, opened)
    for kind in (bytearray, memoryview, io.BytesIO):
        assert asked_item(PICTURES, kind(b"123")) == b"123"
    named = asked_item(PICTURES, b"123", "upload.png")
    assert (type(named), named.name) == (NamedBytes, "upload.png")
    with pytest.raises(TypeError, match="open in binary mode"):
        asked_item(PICTURES, io.StringIO("text"))


def test_arrays_keep_their_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for item in (pixels, torch.from_numpy(pixels).permute(2, 0, 1), pixels / 255):
        assert np.array_equal(asked_item(PICTURES, item), pixels)
    gray = Datasets([], [[PILImageBW.create]], n_inp=1, do_setup=False)
    assert asked_item(gray, pixels[..., 0]).mode == "L"
    with pytest.raises(ImageError, match="`frame 3`: A picture has shape"):
        asked_item(PICTURES, np.zeros(3), "frame 3")


def test_addresses_are_refused_unless_they_are_files(tmp_path, monkeypatch):
    with pytest.raises(ImageError, match="nothing is fetched from the network"):
        asked_item(PICTURES, "s3://bucket/cat.jpg")
    with pytest.raises(ImageError) as caught:
        asked_item(PICTURES, "data:image/png;base64," + "A" * 5000)
    assert len(str(caught.value)) < 300
    monkeypatch.chdir(tmp_path)
    for name in ("C:/cat.jpg", "odd:name.jpg", "data:1.jpg"):
        assert asked_item(PICTURES, name) == name
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:" / "a.jpg").touch()
    assert asked_item(PICTURES, "http://a.jpg") == "http://a.jpg"


def test_only_pictures_are_asked_about_where_items_are_pictures():
    check_kind(PICTURES, "a.png")
    check_kind(ROWS, {"f": "a.png"})
    check_kind(NUMBERS, 3)
    with pytest.raises(TypeError, match=r"but got \{'f': 'a.png'\} \(dict\)"):
        check_kind(PICTURES, {"f": "a.png"})


def test_names():
    assert name_of(Path("a/b.png")) == "a/b.png"
    assert name_of(NamedBytes(b"", "in.tar/1.png")) == "in.tar/1.png"
    for nameless in (b"", np.zeros(3), Image.new("L", (1, 1)), io.BytesIO()):
        assert name_of(nameless) is None
