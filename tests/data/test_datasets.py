import operator
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from presize.core.collections import L
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform
from presize.data import datasets
from presize.data.datasets import Datasets, TfmdLists
from presize.data.images import PILImage
from presize.data.labels import ColReader
from presize.data.splits import RandomSplitter
from presize.data.vocab import Categorize, MultiCategorize, OneHotEncode, RegressionSetup
from presize.tensors import TitledInt

neg = operator.neg


def int2f(x):
    return float(x)


class Norm(Transform):
    def setups(self, items):
        numbers = torch.tensor([float(i) for i in items])
        self.m, self.s = numbers.mean().item(), numbers.std().item()

    def encodes(self, x):
        return (x - self.m) / self.s

    def decodes(self, x):
        return x * self.s + self.m


class ValidOnly(Transform):
    split_idx = 1

    def encodes(self, x):
        return x * 2

    def decodes(self, x):
        return TitledInt(x // 2)


class First(Transform):
    order = -1

    def encodes(self, x):
        return x + 1


# ---- TfmdLists ---------------------------------------------------------------------------------


def test_items_are_seen_through_the_pipeline_in_its_order():
    tl = TfmdLists([1, 2, 3], [lambda x: x * 10, First, neg])
    assert list(tl) == [-20, -30, -40]
    assert (tl[0], tl[-1], len(tl)) == (-20, -40, 3)
    assert tl[[0, 2]] == [-20, -40] and tl[1:] == [-30, -40]
    assert tl.decode(-20) == -20
    assert repr(tl) == "TfmdLists of 3 items, Pipeline: First -> <lambda> -> neg"


def test_setup_sees_only_training_items_that_passed_the_ones_before():
    tl = TfmdLists([1, 2, 3, 4, 99], [neg, Norm], splits=[[0, 1, 2, 3], [4]])
    assert tl.m == pytest.approx(-2.5)
    assert tl.valid.m == tl.m
    assert sum(tl.train) == pytest.approx(0, abs=1e-6)
    assert tl.decode(tl[4]) == pytest.approx(-99)
    whole = TfmdLists([1, 2, 3, 4, 99], [Norm], splits=[[0, 1], [4]], train_setup=False)
    assert whole.m == pytest.approx(109 / 5)


def test_a_class_only_seen_in_validation_is_not_in_the_vocabulary():
    tl = TfmdLists(["cat", "dog", "cat", "cow"], Categorize, splits=[[0, 1, 2], [3]])
    assert tl.vocab == ["cat", "dog"]
    with pytest.raises(ValueError, match="`cow` is in validation .* but not in training"):
        tl[3]


def test_attributes_are_found_through_the_transforms():
    tl = TfmdLists(["b", "a"], [str.upper, Categorize])
    assert tl.vocab == ["A", "B"] and tl.c == 2
    with pytest.raises(AttributeError, match="upper -> Categorize.* attribute `vocap`. Did you"):
        tl.vocap
    assert not hasattr(tl, "_private")


# ---- Datasets ----------------------------------------------------------------------------------


def test_samples_are_tuples_also_of_one():
    dsets = Datasets([1, 2, 3, 4], [[neg, int2f]])
    assert dsets[0] == (-1.0,)
    assert dsets[0, 1, 2] == [(-1,), (-2,), (-3,)]
    assert dsets.n_inp == 1
    assert list(Datasets(range(3), None)) == [(0,), (1,), (2,)]


def test_one_element_for_each_pipeline_and_all_but_the_last_are_inputs():
    dsets = Datasets([1, 2], [neg, None, [neg, int2f]])
    assert dsets[1] == (-2, 2, -2.0)
    assert dsets.n_inp == 2
    dsets.n_inp = 1
    assert dsets.n_inp == 1
    assert Datasets([1], [neg, neg], n_inp=2).n_inp == 2
    with pytest.raises(ValueError, match="n_inp=3 should say how many of the 2 elements"):
        Datasets([1], [neg, neg], n_inp=3)
    with pytest.raises(ValueError, match=r"tfms=\[None\] gives the items"):
        Datasets([1], [])


def test_each_pipeline_learns_for_itself_and_decodes():
    dsets = Datasets([1, 2, 3, 4], [[neg, int2f], [neg, Norm]])
    x, y = zip(*dsets, strict=True)
    assert x == (-1, -2, -3, -4)
    assert np.mean(y) == pytest.approx(0, abs=1e-6)
    assert np.std(y, ddof=1) == pytest.approx(1)
    assert dsets.decode(dsets[1]) == (-2, pytest.approx(-2))


@pytest.mark.parametrize(
    "items",
    [range(5), [0, 1, 2, 3, 4], np.arange(5), torch.arange(5), pd.DataFrame({"a": range(5)})],
)
def test_items_may_be_of_many_kinds(items):
    tfms = operator.attrgetter("a") if isinstance(items, pd.DataFrame) else None
    dsets = Datasets(items, tfms, splits=[torch.tensor([0, 2]), np.array([1, 3, 4])])
    plain = lambda samples: [tuple(int(e) for e in s) for s in samples]  # noqa: E731
    assert plain(dsets) == [(0,), (1,), (2,), (3,), (4,)]
    assert plain(dsets[1, 2]) == [(1,), (2,)]
    assert plain(dsets[[True, False, False, True, False]]) == [(0,), (3,)]
    assert plain(dsets[torch.tensor([True, False, False, True, False])]) == [(0,), (3,)]
    assert plain(dsets[np.array([4, 0])]) == [(4,), (0,)]
    assert int(dsets[torch.tensor(2)][0]) == int(dsets[np.int64(2)][0]) == 2
    assert plain(dsets.train) == plain(dsets.subset(0)) == [(0,), (2,)]
    assert plain(dsets.valid) == [(1,), (3,), (4,)]
    assert plain(dsets.valid[1, 2]) == [(3,), (4,)]
    assert len(dsets.train.items) == 2


def test_splits_may_be_masks_and_need_not_cover_everything():
    dsets = Datasets(range(5), [None], splits=[[True, True, False, False, False], [4]])
    assert (list(dsets.train), list(dsets.valid)) == ([(0,), (1,)], [(4,)])
    assert dsets.splits == [[0, 1], [4]] and dsets.n_subsets == 2
    three = Datasets(range(5), [None], splits=[[0], [1], [2, 3]])
    assert three.n_subsets == 3 and list(three.subset(2)) == [(2,), (3,)]
    with pytest.raises(IndexError, match="no split 3: there are 3"):
        three.subset(3)
    with pytest.raises(ValueError, match="no item 7; the 5 items count from 0 to 4"):
        Datasets(range(5), [None], splits=[[0], [7]])


def test_without_splits_everything_is_for_training():
    dsets = Datasets(range(3), [None])
    assert (len(dsets.train), len(dsets.valid)) == (3, 0)


def test_transforms_may_be_limited_to_one_split():
    dsets = Datasets(range(5), [ValidOnly], splits=[[1, 2], [0, 3, 4]])
    assert list(dsets.train) == [(1,), (2,)]
    assert list(dsets.valid) == [(0,), (6,), (8,)]
    by_argument = Datasets(range(4), [Transform(neg, split_idx=0)], splits=[[1, 2], [0, 3]])
    assert list(by_argument.train) == [(-1,), (-2,)]
    assert list(by_argument.valid) == [(0,), (3,)]


def test_showing_stops_at_what_can_show_itself_and_prints_without_axes(capsys):
    dsets = Datasets([5, 6], [[ValidOnly, neg], [Norm]], splits=[[0, 1], []])
    assert dsets.show((TitledInt(3), 0.0)) is None
    out = capsys.readouterr().out.splitlines()
    assert out == ["3", "5.5"]  # the first is shown as it is, the second undone


def test_attributes_of_several_pipelines_come_as_a_list():
    dsets = Datasets(["b", "a"], [None, Categorize, Categorize(vocab=["a", "b", "c"])])
    assert dsets.vocab == [["a", "b"], ["a", "b", "c"]]
    assert dsets.c == [2, 3]
    assert Datasets(["b", "a"], [None, Categorize]).train.vocab == ["a", "b"]
    with pytest.raises(AttributeError, match="no attribute|has an attribute `mean`"):
        dsets.mean


def test_datasets_pickle_with_their_splits():
    dsets = Datasets(["b", "a", "b", "a"], [str.upper, Categorize], splits=[[0, 1], [2, 3]])
    copy = pickle.loads(pickle.dumps(dsets))
    assert [(x, int(y)) for x, y in copy] == [("B", 1), ("A", 0), ("B", 1), ("A", 0)]
    assert copy.splits == dsets.splits and copy.vocab == ["a", "b"]
    assert len(pickle.loads(pickle.dumps(dsets.valid))) == 2
    assert pickle.loads(pickle.dumps(dsets.tls[1])).vocab == ["a", "b"]


def test_the_task_is_that_of_the_targets_transforms():
    items = [1.0, 2.0]
    assert Datasets(["a", "b"], [None, Categorize]).task == "classification"
    several = Datasets([["a"], ["b"]], [None, [MultiCategorize, OneHotEncode]])
    assert several.task == several.valid.task == "multilabel"
    assert Datasets(items, [None, RegressionSetup]).task == "regression"
    assert Datasets(items, [None, None]).task is None
    assert Datasets(items, [None, None], task="points").train.task == "points"


def test_empty_copies_keep_what_was_learned():
    empty = Datasets(["b", "a"], [None, Categorize]).new_empty()
    assert len(empty) == 0 and empty.vocab == ["a", "b"]
    assert TfmdLists(["b", "a"], Categorize).new_empty().vocab == ["a", "b"]


# ---- other items -------------------------------------------------------------------------------


def test_a_test_set_takes_the_validation_side_and_drops_targets():
    dsets = Datasets(range(5), [ValidOnly, neg], splits=[[1, 2], [0, 3, 4]])
    other = datasets.test_set(dsets.valid, [7, 8])
    assert list(other) == [(14,), (16,)]
    assert other.n_inp == 1 and other.split_idx == 1
    assert list(datasets.test_set(dsets, [7, 8], with_labels=True)) == [(14, -7), (16, -8)]
    assert list(datasets.test_set(dsets.tls[0], [7])) == [14]
    assert list(datasets.test_set(dsets, [])) == []


def test_targets_that_were_dropped_can_still_be_decoded():
    dsets = Datasets(["b", "a"], [None, Categorize])
    other = datasets.test_set(dsets, ["x"])
    assert list(other) == [("x",)]
    assert other.decode(("x", torch.tensor(1))) == ("x", "b")
    assert other.vocab == ["a", "b"]


def test_items_that_are_further_on_skip_what_they_have_behind_them(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    frame = pd.DataFrame({"name": ["a.png", "a.png"], "label": ["x", "y"]})
    reader = ColReader("name", pref=tmp_path)
    dsets = Datasets(frame, [[reader, PILImage.create], [ColReader("label"), Categorize]])
    for item in (tmp_path / "a.png", str(tmp_path / "a.png"), PILImage.create(np.zeros((3, 4, 3)))):
        ((picture,),) = datasets.test_set(dsets, [item])
        assert picture.size == (4, 3)
    (sample,) = datasets.test_set(dsets, frame[:1], with_labels=True)
    assert sample[0].size == (4, 3) and int(sample[1]) == 0


def test_paths_and_names_are_one_kind_of_item():
    tl = TfmdLists([Path("a/b.jpg")], [lambda p: Path(p).name, str.upper])
    assert list(datasets.test_set(tl, ["x/y.jpg"])) == ["Y.JPG"]


def test_splitters_fit():
    dsets = Datasets(range(10), [None], splits=RandomSplitter(seed=1)(range(10)))
    assert (len(dsets.train), len(dsets.valid)) == (8, 2)
    assert isinstance(dsets.splits, L) and isinstance(dsets.tfms[0], Pipeline)
