import warnings

import pytest

from presize.core.pipeline import Pipeline
from presize.data.loader import DataLoader
from presize.data.warned import warn_user


def test_a_warning_points_at_the_line_outside_of_presize():
    with pytest.warns(UserWarning, match="the text") as told:
        Pipeline([lambda x: warn_user("the text")])(1)  # from inside of ours, and of ours again
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="larger than the data set") as told:
        DataLoader(range(3), 5, drop_last=True).new()
    assert {one.filename for one in told} == {__file__}


def test_each_line_is_told_once():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            DataLoader(range(3), 5, drop_last=True)
    assert len(told) == 1
