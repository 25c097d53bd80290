from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from presize.core.randomness import Samples
from presize.data.datasets import Datasets, TfmdLists
from presize.data.images import PILImage
from presize.data.labels import parent_label
from presize.data.replacement import class_codes, others
from presize.data.vocab import Categorize, MultiCategorize, OneHotEncode, RegressionSetup

FILES = [Path(f"{label}/{i}.jpg") for i, label in enumerate("abacabbb")]


def tried(pool, ref, codes=None, *, key=0, seed=0, epoch=0):
    return list(others(Samples(seed, epoch, [key]), 0, ref, pool, codes))


@given(st.data())
def test_stand_ins_are_others_of_the_class_first_and_none_comes_twice_in_a_row(data):
    n = data.draw(st.integers(1, 60))
    pool = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
    ref = data.draw(st.integers(0, n - 1))
    codes = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)), np.int32)
    found = tried(pool, ref, codes, key=data.draw(st.integers(0, 2**50)))
    mates = [i for i in pool if i != ref and codes[i] == codes[ref] != -1]
    first, rest = found[: min(8, len(mates))], found[min(8, len(mates)) :]
    assert ref not in found
    assert set(first) <= set(mates)
    assert len(set(first)) == len(first) == min(8, len(mates))
    assert set(rest) <= set(pool)
    assert len(set(rest)) == len(rest) == min(8, len([i for i in pool if i != ref]))


def test_every_other_item_is_as_likely():
    samples = Samples(3, 0, range(9000))
    first = [next(others(samples, i, 4, range(10), None)) for i in range(9000)]
    counts = np.bincount(first, minlength=10)
    assert counts[4] == 0
    # 1000 each are expected, with a spread of 30.
    assert np.abs(np.delete(counts, 4) - 1000).max() < 150


def test_draws_depend_on_the_sample_alone():
    together = Samples(1, 2, [10, 11, 12])
    for i, key in enumerate((10, 11, 12)):
        in_batch = list(others(together, i, 5, range(100), None))
        assert in_batch == tried(range(100), 5, key=key, seed=1, epoch=2)
    assert tried(range(100), 5, key=10) != tried(range(100), 5, key=11)
    assert tried(range(100), 5, epoch=0) != tried(range(100), 5, epoch=1)


def test_codes_are_those_of_the_classes_and_no_picture_is_read():
    dsets = Datasets(FILES, [PILImage.create, [parent_label, Categorize()]])  # no such files
    assert class_codes(dsets).tolist() == [0, 1, 0, 2, 0, 1, 1, 1]


def test_several_labels_are_a_class_where_all_agree():
    labels = [["x"], ["y", "x"], ["x", "y"], ["y"]]
    hot = Datasets(labels, [PILImage.create, [MultiCategorize(), OneHotEncode()]])
    assert class_codes(hot).tolist() == [0, 1, 1, 2]
    two = Datasets("abab", [PILImage.create, Categorize(), [str.isupper, Categorize()]], n_inp=1)
    assert class_codes(two).tolist() == [0, 1, 0, 1]


def test_an_item_whose_class_cannot_be_told_is_of_none():
    def label(path):
        return {"a": "a", "b": "b"}[path.parent.name]

    dsets = Datasets(FILES, [PILImage.create, [label, Categorize(vocab=["a", "b"])]])
    codes = class_codes(dsets)
    assert codes.tolist() == [0, 1, 0, -1, 0, 1, 1, 1]
    assert len(tried(range(8), 3, codes)) == 7


@pytest.mark.parametrize(
    "dataset",
    [
        Datasets([0.5, 1.5], [str, RegressionSetup()]),
        Datasets(FILES, [PILImage.create, [parent_label, Categorize()]]).unlabelled(),
        TfmdLists(["a", "b"], Categorize()),
        [(torch.zeros(1), 0)],
    ],
    ids=["numbers", "no labels", "one pipeline", "a list"],
)
def test_other_data_has_no_classes(dataset):
    assert class_codes(dataset) is None
