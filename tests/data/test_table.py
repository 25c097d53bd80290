import pickle

import numpy as np
import pandas as pd
import pytest

from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.data.datasets import Datasets, TfmdLists
from presize.data.labels import ColReader
from presize.data.rows import Rows, rows_for
from presize.data.table import Table
from presize.data.vocab import Categorize

FRAME = pd.DataFrame(
    {
        "name": ["a", None, "c"],
        "whole": [3, 1, 2],
        "part": [0.5, float("nan"), 1.5],
        "flag": [True, False, True],
        "kind": pd.Categorical(["x", "y", "x"]),
        "day": pd.to_datetime(["2026-01-02", "2026-01-03", None]),
        "any": [(1, 2), "text", 3],
        "maybe": pd.array([1, None, 3], dtype="Int64"),
        7: ["i", "j", "k"],
    },
    index=[30, 10, 20],
)


def alike(a, b) -> bool:
    return (pd.isna(a) is True and pd.isna(b) is True) or (type(a) is type(b) and a == b)


@pytest.mark.parametrize("col", [*FRAME.columns, 0, 1, 2, 3, 4, -1, -3])
def test_cells_are_those_of_the_true_rows(col) -> None:
    read = ColReader(col)
    for i, row in enumerate(Table(FRAME)):
        assert alike(read(row), read(FRAME.iloc[i])), (col, i)


def test_a_whole_number_stays_one_beside_fractions() -> None:
    frame = pd.DataFrame({"label": [3, 7], "score": [0.5, 1.0]})
    assert frame.iloc[0]["label"] == 3.0 and str(frame.iloc[0]["label"]) == "3.0"
    assert ColReader("label", suff=".jpg")(Table(frame)[0]) == "3.jpg"
    assert isinstance(ColReader("label")(Table(frame)[0]), np.integer)


def test_errors_are_those_of_the_true_rows() -> None:
    for col in ("nmae", 9, -10):
        said = []
        for row in (Table(FRAME)[0], FRAME.iloc[0]):
            with pytest.raises(DataError) as error:
                ColReader(col)(row)
            said.append(str(error.value))
        assert said[0] == said[1]
    with pytest.raises(IndexError):
        Table(FRAME)[3]


def test_places_can_be_counted_cut_and_printed() -> None:
    table = Table(FRAME)
    assert len(table) == len(list(table)) == 3
    assert [ColReader("whole")(row) for row in table[1:]] == [1, 2]
    assert ColReader("whole")(table[-1]) == 2
    assert repr(table[0]).startswith("{'name': 'a', 'whole': 3, ")


def test_a_table_travels_without_what_it_has_read() -> None:
    table = Table(FRAME)
    ColReader("name")(table[0])
    other = pickle.loads(pickle.dumps(table))
    assert table._columns and not other._columns
    assert ColReader("name")(other[2]) == "c"


def test_only_a_column_reader_gets_places() -> None:
    class Own(ColReader):
        def __call__(self, row):
            return row["whole"] + 1

    assert isinstance(rows_for(FRAME, Pipeline([ColReader(0)])), Table)
    for tfms in ([], [Own(0)], [lambda row: row.whole], [len, ColReader(0)]):
        assert isinstance(rows_for(FRAME, Pipeline(tfms)), Rows)
    assert isinstance(rows_for(["a"], Pipeline([ColReader(0)])), Rows)
    assert list(TfmdLists(FRAME, Own(0))) == [4, 2, 3]
    assert list(TfmdLists(FRAME, lambda row: row.whole)) == [3, 1, 2]


def test_data_sets_see_the_same_either_way() -> None:
    frame = pd.DataFrame({"name": list("abcd"), "label": ["x", "y", "x", "y"]})
    splits = [[3, 0, 1], [2]]
    tfms = [[ColReader("name", suff=".jpg")], [ColReader("label"), Categorize]]
    slow = [[lambda row: f"{row['name']}.jpg"], [lambda row: row.label, Categorize]]
    quick = Datasets(frame, tfms, splits=splits)
    plain = Datasets(frame, slow, splits=splits)
    assert isinstance(quick.tls[0].item(0).table, Table)
    for a, b in ((quick.train, plain.train), (quick.valid, plain.valid)):
        assert [(x, int(y)) for x, y in a] == [(x, int(y)) for x, y in b]
    assert quick.vocab == plain.vocab == ["x", "y"]


def test_an_error_on_the_way_shows_the_whole_row() -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "label": ["x", float("nan")]})
    with pytest.raises(
        DataError, match=r"number 1 of the training set, \{'name': 'b', 'label': nan\}"
    ):
        TfmdLists(frame, [ColReader("label"), Categorize])
