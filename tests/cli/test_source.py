"""What names data on the command line, and near misses."""

import pytest

from presize.cli.source import source_of


def test_folders_and_tables_are_taken_as_they_are(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("name,label\n", encoding="utf-8")
    assert source_of(str(tmp_path)) == tmp_path
    assert source_of(str(table), tables=True) == table
    with pytest.raises(NotADirectoryError, match="There is no folder"):
        source_of(str(table))


def test_the_embedded_digits_have_a_name():
    assert (source_of("digits") / "3").is_dir() or (source_of("digits") / "train").is_dir()


def test_a_near_miss_is_suggested(tmp_path):
    (tmp_path / "breeds").mkdir()
    with pytest.raises(NotADirectoryError, match=r"no folder `.*breedz`\. Did you mean `breeds`\?"):
        source_of(str(tmp_path / "breedz"))
    with pytest.raises(NotADirectoryError, match=r"no folder `.*x`, and no table of that name\."):
        source_of(str(tmp_path / "x"), tables=True)
