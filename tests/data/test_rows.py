import numpy as np
import pandas as pd
import torch

from presize.data.rows import Rows, as_items, row, rows


def test_items_of_any_collection():
    frame = pd.DataFrame({"a": [5, 6, 7]}, index=[9, 8, 7])
    for items in (range(5, 8), [5, 6, 7], np.arange(5, 8), torch.arange(5, 8)):
        assert row(items, 1) == 6
        assert [int(o) for o in rows(items, [2, 0])] == [7, 5]
        assert [int(o) for o in Rows(items)] == [5, 6, 7]
    assert row(frame, 1).a == 6
    assert list(rows(frame, [2, 0]).a) == [7, 5]
    assert [r.a for r in Rows(frame)] == [5, 6, 7]
    assert [r.a for r in Rows(frame)[1:]] == [6, 7]
    assert len(Rows(frame)) == 3


def test_what_has_no_positions_becomes_a_list():
    assert as_items(iter("ab")) == ["a", "b"]
    assert as_items({1}) == [1]
    assert as_items(range(3)) == range(3)
