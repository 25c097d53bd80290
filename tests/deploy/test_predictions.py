import csv
import json
import math

import pandas as pd
import pytest

from presize.core.errors import DataError
from presize.deploy.prediction import Failed, Prediction
from presize.deploy.prediction_table import CHANCE, columns, table_writer
from presize.deploy.predictions import Predictions

VOCAB = ["cat", "dog, large", "<b>Zoë</b>"]


def one(index, file=None, unknown=None):
    chances = {name: 0.7 if i == index else 0.15 for i, name in enumerate(VOCAB)}
    return Prediction(VOCAB[index], index, 0.7, chances, unknown, file)


@pytest.fixture
def rows():
    several = Prediction(
        ("cat", "<b>Zoë</b>"),
        (0, 2),
        0.6,
        dict(zip(VOCAB, (0.9, 0.1, 0.6), strict=True)),
        False,
        "s",
    )
    nothing = Prediction((), (), 0.9, dict.fromkeys(VOCAB, 0.1), None, "n.png")
    bad = Failed("it is no picture,\nbut text", "x.jpg")
    return Predictions([one(0, "a.jpg", True), bad, several, nothing, one(1)], VOCAB)


def test_a_prediction_tells_the_likeliest_first():
    found = one(1, "photos/a.jpg")
    assert found.top(2) == [("dog, large", 0.7), ("cat", 0.15)]
    assert found.top(0) == []
    assert len(found.top(99)) == 3
    assert repr(found).startswith("Prediction of photos/a.jpg: dog, large (70.0%, cat 15.0%")
    assert found.to_dict() == {
        "file": "photos/a.jpg",
        "labels": ["dog, large"],
        "confidence": 0.7,
        "probabilities": {"cat": 0.15, "dog, large": 0.7, "<b>Zoë</b>": 0.15},
    }
    assert found.to_dict(top=1)["probabilities"] == {"dog, large": 0.7}
    assert "none of these, nearest cat" in repr(one(0, unknown=True))
    assert one(0, unknown=False).to_dict()["unknown"] is False


def test_html_escapes_names(rows):
    for shown in (one(2, "<script>")._repr_html_(), rows._repr_html_()):
        assert "<b>Zo" not in shown
        assert "<script>" not in shown
    assert "&lt;b&gt;Zoë&lt;/b&gt;" in one(2)._repr_html_()
    assert "none of these (nearest: cat)" in one(0, unknown=True)._repr_html_()


def test_a_sequence_of_rows(rows):
    assert len(rows) == 5
    assert isinstance(rows[1:3], Predictions)
    assert [row.file for row in rows[1:3]] == ["x.jpg", "s"]
    assert rows.failed == [rows[1]]
    assert rows.counts() == {"cat": 1, "dog, large": 1, "<b>Zoë</b>": 1}
    text = repr(rows)
    assert text.startswith("5 predictions, 1 of them of pictures that cannot be read")
    assert "and 2 more" in repr(Predictions([one(0)] * 12, VOCAB))


def test_all_files_tell_what_the_table_tells(rows, tmp_path):
    table = rows.to_frame()
    assert list(table.columns) == columns(VOCAB)
    assert table["labels"].tolist()[2:] == ["cat;<b>Zoë</b>", "", "dog, large"]
    assert table[CHANCE + "cat"].tolist()[0] == 0.7
    assert math.isnan(table[CHANCE + "cat"][1])
    with rows.save(tmp_path / "new" / "t.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["file"] for row in read] == ["a.jpg", "x.jpg", "s", "n.png", ""]
    assert read[1]["error"] == "it is no picture,\nbut text"
    assert float(read[2][CHANCE + "<b>Zoë</b>"]) == 0.6
    assert [row["unknown"] for row in read] == ["True", "", "False", "", ""]
    whole = json.loads(rows.save(tmp_path / "t.json").read_text(encoding="utf-8"))
    assert whole == json.loads(json.dumps([row.to_dict() for row in rows]))
    lines = rows.save(tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == whole
    pytest.importorskip("pyarrow")
    kept = pd.read_parquet(rows.save(tmp_path / "t.parquet"))
    pd.testing.assert_frame_equal(kept, table, check_dtype=False)
    assert sorted(f.name for f in tmp_path.iterdir() if f.is_file()) == [
        "t.json",
        "t.jsonl",
        "t.parquet",
    ]


def test_a_table_without_rows_is_one(tmp_path):
    nothing = Predictions([], VOCAB)
    assert json.loads(nothing.save(tmp_path / "t.json").read_text()) == []
    assert list(pd.read_csv(nothing.save(tmp_path / "t.csv")).columns) == columns(VOCAB)
    pytest.importorskip("pyarrow")
    assert list(pd.read_parquet(nothing.save(tmp_path / "t.parquet")).columns) == columns(VOCAB)


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_half_a_table_is_not_taken_for_a_whole_one(rows, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"t.{ending}"
    path.write_text("the one before")

    def broken_off():
        with table_writer(path, VOCAB) as writer:
            writer.write(rows[0])
            writer.write(rows[2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert path.read_text() == "the one before"
    half = path.with_name(path.name + ".part")
    read = {
        "csv": lambda: len(pd.read_csv(half)),
        "json": lambda: len(json.loads(half.read_text(encoding="utf-8"))),
        "jsonl": lambda: len(half.read_text(encoding="utf-8").splitlines()),
        "parquet": lambda: len(pd.read_parquet(half)),
    }
    assert read[ending]() == 2


def test_another_ending_is_refused(rows, tmp_path):
    with pytest.raises(DataError, match=r"ends in \.cvs\. Did you mean `\.csv`"):
        rows.save(tmp_path / "t.cvs")
    with pytest.raises(DataError, match="ends in none of these"):
        rows.save(tmp_path / "table")


def test_names_that_are_no_text_are_kept_as_they_can_be(tmp_path):
    odd = "a\udcff.png"  # as Python reads a name with the byte FF
    rows = Predictions([one(0, odd)], VOCAB)
    assert b"a\xff.png,cat" in rows.save(tmp_path / "t.csv").read_bytes()
    assert json.loads(rows.save(tmp_path / "t.json").read_text())[0]["file"] == odd
    assert json.loads(rows.save(tmp_path / "t.jsonl").read_text())["file"] == odd
    pytest.importorskip("pyarrow")
    table = pd.read_parquet(rows.save(tmp_path / "t.parquet"))
    assert table["file"].tolist() == ["a?.png"]
