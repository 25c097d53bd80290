import csv

import pytest
import torch
from PIL import Image

from presize.core.errors import DataError, ImageError
from presize.interpret.suspected import LabelError, LabelErrors


def made(n=5, suspected=(1, 3, 4), files=None, **options):
    at = torch.zeros(n, dtype=torch.bool)
    at[list(suspected)] = True
    return LabelErrors(
        scores=torch.linspace(0.5, 0.9, n),
        suspected=at,
        indices=torch.arange(n) * 10,
        files=files or [f"pets/{i}.jpg" for i in range(n)],
        given=["cat"] * n,
        likely=["dog"] * n,
        **options,
    )


def test_the_most_suspicious_comes_first():
    errors = made()
    assert [e.index for e in errors] == [40, 30, 10]
    assert errors[0] == LabelError(40, "pets/4.jpg", "cat", "dog", pytest.approx(0.9))
    assert len(errors) == 3 and len(errors[:2]) == 2 and errors[-1].index == 10
    assert errors.scores.shape == (5,) and errors.files[2] == "pets/2.jpg"
    assert bool(errors) and not made(suspected=())


def test_equals_stay_in_the_order_of_the_data():
    errors = LabelErrors(
        scores=torch.full((300,), 0.7), suspected=torch.ones(300, dtype=torch.bool),
        indices=torch.arange(300), files=["x"] * 300, given=["a"] * 300, likely=["b"] * 300,
    )  # fmt: skip
    assert [e.index for e in errors] == list(range(300))


def test_its_text_is_a_short_table():
    assert repr(made()).splitlines() == [
        "3 labels of the 5 items (60.0%) may be wrong",
        "score  given  likely  file",
        "0.900  cat    dog     pets/4.jpg",
        "0.800  cat    dog     pets/3.jpg",
        "0.600  cat    dog     pets/1.jpg",
    ]
    assert repr(made(suspected=())) == "No label of the 5 items looks wrong"
    assert repr(made(suspected=[2])).startswith("1 label of the 5 items (20.0%) may be wrong")
    assert repr(made(1234, range(1200))).endswith("and 1,190 more")


def test_the_page_of_a_notebook_escapes_names():
    files = [f"<script>alert({i})</script>.jpg" for i in range(5)]
    page = made(files=files)._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;alert(4)&lt;/script&gt;.jpg" in page
    assert made(suspected=())._repr_html_() == "<p>No label of the 5 items looks wrong</p>"


def test_it_is_a_table_and_a_file(tmp_path):
    files = [f'a "quoted", name\n{i}.jpg' for i in range(5)]
    errors = made(files=files)
    frame = errors.to_frame()
    assert list(frame.columns) == ["index", "file", "given", "likely", "score"]
    assert frame["index"].tolist() == [40, 30, 10] and frame["file"][0] == files[4]
    assert list(made(suspected=()).to_frame().columns) == list(frame.columns)
    path = errors.save(tmp_path / "errors.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [files[4], files[3], files[1]]
    assert rows[0] == {
        "index": "40", "file": files[4], "given": "cat", "likely": "dog", "score": "0.900000",
    }  # fmt: skip


def shade(row):
    """The picture of a row: it is as light as its number."""
    if row == 3:
        raise ImageError("gone")
    return Image.new("RGB", (30, 20), (row * 20, 0, 0))


def test_pictures_are_read_again_when_they_are_shown():
    errors = made(suspected=(1, 2, 4), picture_of=shade)
    assert [errors.picture(i).getpixel((0, 0))[0] for i in range(3)] == [80, 40, 20]
    grid = errors.plot(2)
    assert [ax.get_title() for ax in grid][:2] == [
        "cat \u2192 dog\n0.900\n4.jpg", "cat \u2192 dog\n0.700\n2.jpg",
    ]  # fmt: skip
    assert grid[0].images[0].get_array()[0, 0, 0] == 80
    page = made(picture_of=shade)._repr_html_()
    assert page.count("<img") == 2 and page.count("<tr>") == 4  # one cannot be read


def test_what_has_no_picture_is_told():
    with pytest.raises(DataError, match="have no pictures"):
        made().picture(0)
    assert "<img" not in made()._repr_html_()
    with pytest.raises(DataError, match="nothing to draw: no label of the 5 items looks wrong"):
        made(suspected=()).plot()
