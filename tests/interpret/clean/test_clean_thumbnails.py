import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from presize.interpret.clean import thumbnails
from presize.interpret.clean.thumbnails import Thumbnails, reduced


def size(made):
    return Image.open(io.BytesIO(made[1])).size


@pytest.fixture
def photo(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8)
    Image.fromarray(pixels).resize((1000, 600)).save(tmp_path / "photo.jpg")
    return str(tmp_path / "photo.jpg")


def test_large_pictures_are_reduced_and_small_ones_keep_every_pixel(photo, tmp_path):
    assert size(reduced(photo, 360)) == (360, 216)
    digit = np.random.default_rng(1).integers(0, 255, (28, 20), np.uint8)
    Image.fromarray(digit).save(tmp_path / "digit.png")
    kind, body = reduced(str(tmp_path / "digit.png"), 360)
    assert kind == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(body)).convert("L")), digit)


def test_odd_pictures_are_pictures_and_broken_ones_say_what_they_are(odd_images_path):
    kinds = {f.name: reduced(str(f), 360)[0] for f in sorted(odd_images_path.iterdir())}
    assert set(kinds.values()) == {"image/jpeg", "image/png", "image/svg+xml"}
    kind, body = reduced(str(odd_images_path / "not there <b>.jpg"), 360)
    assert kind == "image/svg+xml" and b"<b>" not in body and body.startswith(b"<svg")


def test_a_picture_is_made_once_and_the_last_ones_are_kept(photo, tmp_path, monkeypatch):
    made = []
    real = thumbnails.reduced
    monkeypatch.setattr(thumbnails, "reduced", lambda *a: (made.append(a), real(*a))[1])
    kept = Thumbnails()
    assert kept.get(photo) is kept.get(photo) and len(made) == 1
    kept.get(photo, 100)
    small = Thumbnails(most=len(kept.get(photo)[1]) + 10)
    copies = [tmp_path / f"{i}.jpg" for i in range(3)]
    for copy in copies:
        copy.write_bytes(Path(photo).read_bytes())
        small.get(str(copy))
    made.clear()
    small.get(str(copies[2]))
    small.get(str(copies[0]))
    assert [a[0] for a in made] == [str(copies[0])] and len(small._made) == 1


def test_threads_may_ask_at_once(photo):
    kept, got = Thumbnails(), []
    threads = [threading.Thread(target=lambda: got.append(kept.get(photo))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1 and len(got) == 8 and kept._held == len(got[0][1])
