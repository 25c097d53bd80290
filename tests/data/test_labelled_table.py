"""Tables of pictures and labels."""

import pytest

from presize.core.errors import DataError
from presize.data.labelled_table import read_labelled


def test_labels_are_text_as_it_stands_there(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("name,label\na.jpg,007\nb.jpg,NA\nc.jpg,\n", encoding="utf-8")
    assert read_labelled(file).to_dict("list") == {
        "name": ["a.jpg", "b.jpg", "c.jpg"], "label": ["007", "NA", ""],
    }  # fmt: skip


def test_tabs_separate_what_is_called_tsv(tmp_path):
    file = tmp_path / "labels.TSV"
    file.write_text("name\tlabel\tis_valid\na, b.jpg\tcat\tYes\nc.jpg\tdog\t0\n", encoding="utf-8")
    table = read_labelled(file)
    assert list(table["name"]) == ["a, b.jpg", "c.jpg"]
    assert list(table["is_valid"]) == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"labels.csv` is no table of pictures and labels \(CSV\): .* Give a folder"),
        ("name\na.jpg\n", "has 1 column, but it takes two: the files"),
        ("name,label,is_valid\na.jpg,cat,perhaps\n", "True or False .* but has 'perhaps'"),
    ],
)
def test_what_is_no_such_table_is_told(tmp_path, text, said):
    file = tmp_path / "labels.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_labelled(file)
