"""Marks know files again, wherever the data lies, and tell little else."""

import base64

import pytest

from presize.core.paths import Path
from presize.data.marks import MOST, from_text, mark, to_text


def test_a_file_is_known_again_by_its_path_in_the_data():
    assert mark("/here/pets/train/cat/1.jpg", "/here/pets") == mark(
        Path("/there/train/cat/1.jpg"), Path("/there")
    )
    assert mark("/pets/train/cat/1.jpg", "/pets") != mark("/pets/valid/cat/1.jpg", "/pets")


def test_without_a_folder_of_the_data_the_last_folder_counts():
    assert mark("/here/pets/cat/1.jpg") == mark(Path("cat/1.jpg"))
    assert mark("/here/cat/1.jpg", "/elsewhere") == mark("cat/1.jpg")
    assert mark("cat/1.jpg") != mark("dog/1.jpg")
    assert mark("cat/1.jpg") != mark("cat/2.jpg")


def test_marks_go_through_text():
    files = [f"cat/{i}.jpg" for i in range(1000)]
    known = from_text(to_text(files))
    assert known == {mark(file) for file in files}
    assert not any(mark(f"dog/{i}.jpg") in known for i in range(1000))


def test_names_that_are_no_valid_text_have_marks():
    assert len(mark("cat/\udcff.jpg")) == 8


def test_no_files_and_too_many_have_no_marks():
    assert to_text([]) is None
    assert to_text(str(i) for i in range(MOST + 1)) is None


def test_a_text_that_is_cut_off_is_refused():
    with pytest.raises(ValueError, match="cut off"):
        from_text(base64.b64encode(b"123456789").decode())
