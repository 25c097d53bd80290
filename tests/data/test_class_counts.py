"""Classes are counted from labels, without reading a picture."""

import numpy as np

from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock, RegressionBlock
from presize.data.class_counts import class_counts
from presize.data.datablock import DataBlock
from presize.data.splits import IndexSplitter


def dsets(block, get_y, items):
    # None of these files is there: reading one would fail.
    return DataBlock(
        blocks=(ImageBlock, block), get_y=get_y, splitter=IndexSplitter([0, 1])
    ).datasets(items)


def test_one_label_an_item():
    made = dsets(CategoryBlock, lambda f: f[0], ["a1", "b1", "a2", "a3", "b2", "c1"])
    assert class_counts(made.train) == {"a": 2, "b": 1, "c": 1}
    assert class_counts(made.valid) == {"a": 1, "b": 1, "c": 0}


def test_several_labels_an_item():
    made = dsets(MultiCategoryBlock, lambda f: f.split("_"), ["a", "a_b", "b", "a_b_c", "c"])
    assert class_counts(made.train) == {"a": 1, "b": 2, "c": 2}


def test_targets_that_are_no_classes_and_other_data_sets_have_no_counts():
    assert class_counts(dsets(RegressionBlock, float, ["1", "2", "3", "4"]).train) == {}
    assert class_counts([(np.zeros(3), 1)]) == {}
    assert class_counts(None) == {}


def test_an_item_whose_label_is_not_found_is_not_counted():
    labels = {"a1": "a", "b1": "b", "a2": "a", "b2": "b", "b3": "b"}
    made = dsets(CategoryBlock, labels.__getitem__, list(labels))
    del labels["b2"]
    assert class_counts(made.train) == {"a": 1, "b": 1}
