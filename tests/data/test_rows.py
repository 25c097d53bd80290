import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from presize.core.errors import DataError
from presize.data.rows import Rows, as_items, can_be_indexed, count, row, rows, walk


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


class Anew:
    """Items without positions that can be walked through again."""

    def __iter__(self):
        return iter("abc")


def test_what_can_be_walked_through_once_says_so_the_second_time():
    once = (o for o in "abc")
    assert list(walk(once)) == ["a", "b", "c"]
    with pytest.raises(DataError, match="The generator has no items left: .*list\\(items\\)"):
        list(walk(once))
    again = Anew()
    assert list(walk(again)) == list(walk(again)) == ["a", "b", "c"]
    assert list(walk(set())) == []


def test_what_has_positions_and_how_many():
    stream = itertools.count()
    for items, n, indexed, length in (
        ([1, 2], None, True, 2),
        ([1, 2], 1, True, 1),
        ({"a": 1}, None, False, 1),
        (stream, None, False, None),
        (stream, 5, False, 5),
    ):
        assert can_be_indexed(items, n) == indexed
        assert count(items, n, indexed=indexed) == length
