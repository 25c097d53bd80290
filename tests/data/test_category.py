import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from presize.core.collections import L
from presize.data.category import Category, CategoryMap, MultiCategory, shown_label
from presize.data.labelcheck import check_vocab


def test_category_map_is_a_list_of_classes() -> None:
    vocab = CategoryMap(["dog", "cat", "dog", "ant"])
    assert vocab == ["ant", "cat", "dog"] and L("ant", "cat", "dog") == vocab
    assert vocab == CategoryMap(["ant", "cat", "dog"]) and vocab != ["ant", "cat"]
    assert repr(vocab) == "(#3) ['ant','cat','dog']"
    assert vocab.o2i == {"ant": 0, "cat": 1, "dog": 2}
    assert vocab.map_objs(["dog", "ant"]) == [2, 0]
    assert vocab.map_ids([2, 0]) == vocab.map_ids(torch.tensor([2, 0])) == ["dog", "ant"]
    assert vocab[1] == vocab[torch.tensor(1)] == "cat" and vocab[-1] == "dog"
    assert vocab[torch.tensor([2, 0, 0])] == vocab[[2, 0, 0]] == ["dog", "ant", "ant"]
    assert "cat" in vocab and "cow" not in vocab and list(vocab) == L(vocab) == vocab[:]
    assert vocab.index("dog") == 2 and len(vocab) == 3


def test_category_map_keeps_the_order_or_sorts() -> None:
    assert CategoryMap([3, 2, 1, 2], sort=False) == [3, 2, 1]
    assert CategoryMap([10, 9, 10]) == [9, 10]
    assert all(type(o) is int for o in CategoryMap(np.array([3, 1])))
    assert CategoryMap(torch.tensor([3, 1])) == [1, 3]
    assert CategoryMap([True, False]) == [False, True]


def test_category_map_with_a_class_for_the_unknown() -> None:
    assert CategoryMap(["b", "a"], add_na=True) == ["#na#", "a", "b"]
    assert CategoryMap(["b", "a"], sort=False, add_na=True) == ["#na#", "b", "a"]
    again = CategoryMap(CategoryMap(["b", "a"], add_na=True), add_na=True)
    assert again == ["#na#", "a", "b"] and again.map_objs(["a", "zzz"]) == [1, 0]
    with pytest.raises(ValueError, match="label `zzz` is not among the 2 classes"):
        CategoryMap(["a", "b"]).map_objs(["zzz"])


def test_category_map_of_pandas_columns() -> None:
    assert CategoryMap(pd.Series(["b", None, "a", "b"])) == ["a", "b"]
    assert CategoryMap(pd.Series([2.0, float("nan"), 1.0])) == [1.0, 2.0]
    ordered = pd.Series(pd.Categorical(["M", "L", "M"], categories=["L", "M", "S"][::-1]))
    assert CategoryMap(ordered) == ["S", "M", "L"]
    assert CategoryMap(ordered, strict=True) == ["M", "L"]
    assert CategoryMap(ordered, add_na=True) == ["#na#", "S", "M", "L"]


def test_labels_of_different_kinds_have_no_order() -> None:
    with pytest.raises(
        ValueError, match=r"different kinds, 3 \(int\) and 'cat' \(str\).*sort=False"
    ):
        CategoryMap([3, "cat"])
    assert CategoryMap([3, "cat"], sort=False) == [3, "cat"]


def test_category_map_can_be_copied() -> None:
    vocab = CategoryMap(["b", "a"], add_na=True)
    for other in (copy.deepcopy(vocab), pickle.loads(pickle.dumps(vocab))):
        assert other == vocab and other.o2i == vocab.o2i and other.add_na


@pytest.mark.parametrize("label", ["cat", 3, 2.5, True, False])
def test_shown_label_equals_the_label_and_shows_itself(label, capsys) -> None:
    shown = shown_label(label)
    assert shown == label and hash(shown) == hash(label) and repr(shown) == repr(label)
    shown.show()
    assert capsys.readouterr().out == f"{label}\n"
    axes = Figure().add_subplot()
    assert shown.show(ctx=axes) is axes and axes.get_title() == str(label)


def test_multi_category_shows_all_names(capsys) -> None:
    labels = MultiCategory(["cat", "dog"])
    assert labels == ["cat", "dog"] and repr(labels) == "(#2) ['cat','dog']"
    labels.show()
    assert capsys.readouterr().out == "cat;dog\n"
    axes = Figure().add_subplot()
    labels.show(axes, sep=", ")
    assert axes.get_title() == "cat, dog"
    assert isinstance(Category("a"), str)


def test_check_vocab_wants_two_classes() -> None:
    check_vocab(["a", "b"])
    with pytest.raises(ValueError, match=r"only one class, `images`.*parent_label.*RegexLabeller"):
        check_vocab(CategoryMap(["images"]))
    with pytest.raises(ValueError, match="only one class, `a`"):
        check_vocab(CategoryMap(["a"], add_na=True))
    with pytest.raises(ValueError, match="no class to learn"):
        check_vocab([])
