"""Reading one picture for the check: what is known of it, and that a broken one is found."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from presize.core.errors import ImageError
from presize.data.check.entries import Entry
from presize.data.check.facts import Facts, examined, reason
from presize.data.decode import image_size, load_image


def entry(source: object) -> Entry:
    return Entry(str(source), "all", (), source)  # type: ignore[arg-type]


def facts_of(source: object) -> Facts:
    return examined(entry(source))[0]


def picture(value: object) -> object:
    return lambda: value


def test_facts_of_a_jpeg(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.new("RGB", (60, 40), "red").save(file)
    facts = facts_of(file)
    assert (facts.size, facts.mode, facts.format) == ((40, 60), "RGB", "JPEG")
    assert not facts.turned
    assert not facts.dark


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_size_is_upright_and_the_look_too(tmp_path: Path, turn: int) -> None:
    file = tmp_path / "a.jpg"
    im = Image.new("RGB", (640, 320))
    im.paste("white", (0, 0, 320, 160))
    exif = Image.Exif()
    exif[0x0112] = turn
    im.save(file, exif=exif)
    facts, look = examined(entry(file))
    assert facts.size == image_size(file)
    assert facts.turned == (turn > 1)
    whole = load_image(file, "L").resize((32, 32), Image.Resampling.BILINEAR)
    # The chosen scale of the decoder differs, so edges do by a little.
    assert np.abs(np.asarray(whole, int) - look.gray).mean() < 2


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.98, 0.999])
def test_a_jpeg_that_is_cut_short_is_found_though_it_is_decoded_small(
    pets_path: Path, tmp_path: Path, progressive: bool, kept: float
) -> None:
    for number, source in enumerate(sorted(pets_path.iterdir())[:5]):
        held = io.BytesIO()
        Image.open(source).convert("RGB").save(held, "JPEG", progressive=progressive)
        data = held.getvalue()
        file = tmp_path / f"{number}.jpg"
        file.write_bytes(data)
        facts_of(file)
        file.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(ImageError, match="cut short"):
            facts_of(file)


def test_the_odd_pictures_are_read_where_loading_reads_them(odd_images_path: Path) -> None:
    for file in sorted(odd_images_path.iterdir()):
        try:
            load_image(file)
        except ImageError:
            with pytest.raises(ImageError):
                facts_of(file)
        except UserWarning:  # about 16 bits that are nearly black
            assert facts_of(file).dark
        else:
            facts = facts_of(file)
            assert facts.size == image_size(file)
            assert not facts.dark


def test_the_reason_is_told_without_the_name_and_the_way_out(odd_images_path: Path) -> None:
    file = odd_images_path / "zero_width.gif"
    with pytest.raises(ImageError) as error:
        facts_of(file)
    told = reason(entry(file), error.value)
    assert told == "it is a GIF picture without pixels: its header says 0x32"
    missing = odd_images_path / "none.gif"
    with pytest.raises(ImageError) as error:
        facts_of(missing)
    assert reason(entry(missing), error.value).startswith("There is no picture at")


def test_values_that_training_refuses_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "deep.tif"
    Image.fromarray(np.full((4, 4), 7.0, np.float32)).save(file)
    with pytest.raises(ImageError, match="values from 0 to 1") as error:
        facts_of(file)
    assert reason(entry(file), error.value).startswith("a picture of float32")


def test_the_same_bytes_have_the_same_digest(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    Image.new("L", (9, 9)).save(files[0])
    files[1].write_bytes(files[0].read_bytes())
    Image.new("L", (9, 9), 1).save(files[2])
    first, second, third = map(facts_of, files)
    assert first == second
    assert third.digest != first.digest


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 3), np.uint8),
        np.zeros((20, 30, 3), np.float32),
        torch.zeros(3, 20, 30),
        torch.randn(3, 20, 30),  # as after normalising
        np.arange(600).reshape(20, 30) - 300,
        Image.new("P", (30, 20)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_decoded_pictures_are_examined_too(value: object) -> None:
    facts, look = examined(entry(picture(value)))
    assert facts.size == (20, 30)
    assert look.gray.shape == (32, 32)
    assert facts.format is None


def test_bytes_and_paths_from_a_data_set_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (6, 5)).save(file)
    assert facts_of(picture(file)).size == facts_of(picture(file.read_bytes())).size == (5, 6)


def test_what_a_data_set_raises_is_told_as_the_reason() -> None:
    def broken() -> object:
        raise KeyError("shape")

    with pytest.raises(ImageError, match="KeyError: 'shape'"):
        examined(entry(broken))
    with pytest.raises(ImageError, match="has shape"):
        examined(entry(picture(torch.zeros(784))))
    with pytest.raises(ImageError, match="values"):
        examined(entry(picture(torch.full((3, 4, 4), torch.nan))))
