import io
import pickle

from PIL import Image

from presize.data.images import PILImage
from presize.data.namedbytes import NamedBytes


def test_they_are_bytes_that_know_their_name() -> None:
    data = NamedBytes(b"abc", "a.tar/1.jpg")
    assert data == b"abc"
    assert data.name == "a.tar/1.jpg"
    assert repr(data) == "<3 bytes of a.tar/1.jpg>"


def test_they_go_to_other_processes() -> None:
    sent = pickle.loads(pickle.dumps(NamedBytes(b"abc", "a.tar/1.jpg")))
    assert (sent, sent.name) == (b"abc", "a.tar/1.jpg")


def test_a_picture_is_read_from_them() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 3)).save(file, "PNG")
    assert PILImage.create(NamedBytes(file.getvalue(), "x")).shape == (3, 4)
