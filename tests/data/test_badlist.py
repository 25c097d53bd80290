import csv
import os
import sys
from pathlib import Path

import pytest

from presize.core.errors import ImageError
from presize.data.badlist import BadList, BadPicture
from presize.data.decode import load_image


def bad(path, reason="it is empty (0 bytes)", index=3):
    path = None if path is None else Path(path)
    return BadPicture(path, None, reason, 0, index, 0, "replaced")


def rows(folder):
    with (folder / "quarantine.csv").open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_an_error_becomes_a_reason_without_the_path_and_the_advice(tmp_path):
    path = tmp_path / "x.jpg"
    path.touch()
    with pytest.raises(ImageError) as raised:
        load_image(path)
    one = BadPicture.of(raised.value, split=1, index=2, epoch=0, done="left out")
    assert one == BadPicture(path, None, "it is empty (0 bytes)", 1, 2, 0, "left out")
    assert one.where == f"`{path}`"
    assert one.part == "valid"


def test_what_has_no_file_is_named_by_its_number():
    one = BadPicture.of(
        ImageError("The picture in memory cannot be read: it is empty (0 bytes)."),
        split=0,
        index=7,
        epoch=0,
        done="replaced",
    )
    assert one.where == "item 7 (train)"
    assert one.reason == "it is empty (0 bytes)"
    assert bad(None).where == "item 3 (train)"
    assert BadPicture(None, None, "", None, 3, 0, "replaced").where == "item 3"


def test_what_is_in_a_shard_has_a_name(tmp_path):
    error = ImageError("`a.tar/07.jpg` cannot be read: it is empty (0 bytes).")
    one = BadPicture.of(error, name="a.tar/07", split=0, index=7, epoch=0, done="left out")
    assert (one.where, one.reason) == ("`a.tar/07`", "it is empty (0 bytes)")
    for _ in range(2):
        BadList(tmp_path).append(one)
    assert [row["path"] for row in rows(tmp_path)] == ["a.tar/07"]


def test_lines_are_added_at_once_and_the_folder_is_made(tmp_path):
    folder = tmp_path / "not/there"
    listing = BadList(folder)
    assert not folder.exists()
    for n in range(3):
        listing.append(bad(f"/data/{n}.jpg", index=n))
        assert [row["path"] for row in rows(folder)] == [f"/data/{i}.jpg" for i in range(n + 1)]
    assert list(rows(folder)[0]) == ["path", "reason", "split", "index", "done", "time"]
    assert rows(folder)[2]["index"] == "2"


def test_paths_are_absolute_so_that_the_list_means_the_same_anywhere(tmp_path):
    BadList(tmp_path).append(bad("here.jpg"))
    assert rows(tmp_path)[0]["path"] == str(Path.cwd() / "here.jpg")


@pytest.mark.parametrize("name", ['a,"b".jpg', "two\nlines.jpg", "ünï 漢.jpg", "\udcff.jpg"])
def test_any_file_name_comes_back(tmp_path, name):
    for _ in range(2):  # and is known again
        BadList(tmp_path).append(bad(f"/data/{name}"))
    assert [row["path"] for row in rows(tmp_path)] == [f"/data/{name}"]


def test_what_is_listed_stays_and_is_not_listed_again(tmp_path):
    BadList(tmp_path).append(bad("/data/1.jpg"))
    second = BadList(tmp_path)
    for one in (bad("/data/1.jpg"), bad("/data/2.jpg"), bad("/data/1.jpg", "other"), bad(None)):
        second.append(one)
    second.append(bad(None))  # what has no file cannot be told from another
    assert [row["path"] for row in rows(tmp_path)] == [
        "/data/1.jpg",
        "/data/2.jpg",
        "/data/1.jpg",
        "",
        "",
    ]


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path):
    BadList(tmp_path).append(bad("/data/1.jpg"))
    file = tmp_path / "quarantine.csv"
    os.truncate(file, file.stat().st_size - 12)
    BadList(tmp_path).append(bad("/data/2.jpg"))
    assert [row["path"] for row in rows(tmp_path)] == ["/data/1.jpg", "/data/2.jpg"]


def test_a_file_of_somebody_else_is_left_alone(tmp_path):
    file = tmp_path / "quarantine.csv"
    file.write_text("species,age\ncat,3\n")
    listing = BadList(tmp_path)
    listing.append(bad("/data/1.jpg"))
    assert file.read_text() == "species,age\ncat,3\n"
    assert listing.problem == "there is a file of that name with other columns"


def test_an_empty_file_is_begun(tmp_path):
    (tmp_path / "quarantine.csv").touch()
    BadList(tmp_path).append(bad("/data/1.jpg"))
    assert len(rows(tmp_path)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the words are those of POSIX")
def test_what_cannot_be_written_is_said_and_not_raised(tmp_path):
    (tmp_path / "file").touch()
    listing = BadList(tmp_path / "file")
    listing.append(bad("/data/1.jpg"))
    assert listing.problem == "Not a directory"
    listing.append(bad("/data/2.jpg"))
