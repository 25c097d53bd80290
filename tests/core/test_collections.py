import copy
import json
import operator
import pickle
import random
import string
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import default_collate

from presize.core.collections import L

numbers = st.lists(st.integers(-20, 20))


@dataclass
class Item:
    name: str
    size: int = 0


# Making and printing


def test_what_the_constructor_takes():
    assert L() == [] and L(None) == []
    assert L(1, 2) == [1, 2]
    assert L([1, 2]) == L((1, 2)) == L(range(1, 3)) == L(map(int, "12")) == [1, 2]
    assert L("abc") == ["abc"]
    assert L("abc", use_list=True) == ["a", "b", "c"]
    assert L([1], [2]) == [[1], [2]]
    assert L(np.arange(3)) == [0, 1, 2]
    assert L(torch.arange(3)) == [0, 1, 2]


def test_match_repeats_one_item():
    assert L(5, match=[1, 2, 3]) == [5, 5, 5]
    assert L([1, 2], match=2) == [1, 2]
    with pytest.raises(ValueError, match="2 items cannot be matched to 3"):
        L([1, 2], match=3)


def test_the_printed_form_has_the_length_and_ten_items():
    assert repr(L(1, 2, 3)) == "(#3) [1,2,3]"
    assert repr(L("a", "b")) == "(#2) ['a','b']"
    assert str(L()) == "(#0) []"
    assert repr(L(enumerate(string.ascii_lowercase))) == (
        "(#26) [(0, 'a'),(1, 'b'),(2, 'c'),(3, 'd'),(4, 'e'),(5, 'f'),(6, 'g'),(7, 'h'),"
        "(8, 'i'),(9, 'j')...]"
    )
    assert repr(L(range(10))).endswith("9]")


def test_ipython_prints_it_in_the_same_way():
    pretty = pytest.importorskip("IPython.lib.pretty").pretty
    assert pretty(L(range(12))) == repr(L(range(12)))


def test_it_is_a_list_to_everyone_else():
    items = L([1, "a"], [2, "b"])
    assert isinstance(items, list)
    assert json.loads(json.dumps(items)) == [[1, "a"], [2, "b"]]
    for again in (pickle.loads(pickle.dumps(items)), copy.copy(items), copy.deepcopy(items)):
        assert type(again) is L
        assert again == items
    batch = default_collate([L(torch.tensor(1), 2.0), L(torch.tensor(3), 4.0)])
    assert [o.tolist() for o in batch] == [[1, 3], [2.0, 4.0]]
    assert torch.stack(L(torch.ones(2), torch.zeros(2))).shape == (2, 2)


def test_it_can_say_what_it_holds():
    def longest(names: L[str]) -> str:
        return max(names, key=len)

    assert longest(L("a", "bb")) == "bb"


# Comparing and joining


def test_equality_with_lists_tuples_ranges_and_arrays():
    assert L(1, 2) == [1, 2] == L(1, 2)
    assert L(1, 2) == (1, 2)
    assert L(0, 1) == range(2)
    assert L(1, 2) == np.array([1, 2])
    assert L(1, 2) != [1, 3]
    assert L(1, 2) != [1]
    assert L(1) != 1
    assert L("ab") != "ab"
    assert L(torch.arange(3), 1) == [torch.arange(3), 1]
    assert L(1, 2).__ne__([1, 2]) is False
    with pytest.raises(TypeError, match="unhashable"):
        hash(L(1))


def test_adding_lists_and_single_items():
    items = L(1, 2)
    more, before = [3], [0]
    assert items + more == items + 3 == items + (i for i in more) == [1, 2, 3]
    assert type(items + more) is type(before + items) is type(items * 2) is type(2 * items) is L
    assert before + items == 0 + items == [0, 1, 2]
    assert L("a") + "bc" == ["a", "bc"]
    assert items * 2 == [1, 2, 1, 2]
    same = items
    same += [3]
    same += 4
    same += "ab"
    assert items is same and items == [1, 2, 3, 4, "ab"]


def test_or_joins_without_repeats_and_invert_negates():
    assert L(1, 2, 1) | [2, 3] == [1, 2, 3]
    assert ~L(True, False, 0) == [False, True, True]


# Indexing


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, L])
def test_indexing_by_positions_and_masks(kind):
    items = L("a", "b", "c")
    assert items[kind([0, 2])] == ["a", "c"]
    assert items[kind([-1, 0])] == ["c", "a"]
    assert items[kind([True, False, True])] == ["a", "c"]
    assert type(items[kind([0])]) is L


def test_indexing_by_one_number_or_a_slice():
    items = L("a", "b", "c")
    assert items[1] == items[np.int64(1)] == items[torch.tensor(1)] == "b"
    assert items[0, 2] == ["a", "c"]
    assert items[1:] == ["b", "c"] and type(items[1:]) is L
    assert items[[]] == items[()] == []
    assert items[::-1] == ["c", "b", "a"]


def test_indexing_says_what_is_wrong():
    with pytest.raises(IndexError, match="A mask of 2 True/False values"):
        L(1, 2, 3)[[True, False]]
    with pytest.raises(TypeError, match="got 'a'"):
        L(1, 2, 3)["a"]
    with pytest.raises(IndexError):
        L(1, 2, 3)[[5]]


def test_setting_several_items():
    items = L(1, 2, 3, 4)
    items[[0, 2]] = [10, 30]
    items[[False, True, False, True]] = 0
    items[1:2] = [7, 8]
    items[-1] = 9
    assert items == [10, 7, 8, 30, 9]
    with pytest.raises(ValueError, match="3 items cannot be matched to 2"):
        items[[0, 1]] = [1, 2, 3]


def test_split_by_mask_or_positions():
    items = L("a", "b", "c", "d")
    assert items.split_by([True, False, False, True]) == (["a", "d"], ["b", "c"])
    assert items.split_by(torch.tensor([3, 0])) == (["d", "a"], ["b", "c"])
    assert items.split_by([-1])[1] == ["a", "b", "c"]


# Choosing


@given(numbers)
def test_filter_argwhere_and_partition_agree_with_plain_python(values):
    items, odd = L(values), lambda o: o % 2
    assert items.filter(odd) == [o for o in values if o % 2]
    assert items.filter(odd, negate=True) == [o for o in values if not o % 2]
    assert items.filter() == [o for o in values if o]
    assert items[items.argwhere(odd)] == items.filter(odd)
    assert items.partition(odd) == (items.filter(odd), items.filter(odd, negate=True))
    assert items.first(odd) == next(iter(items.filter(odd)), None)
    assert items.last(odd) == next(iter(items.filter(odd)[::-1]), None)
    assert items.argfirst(odd) == next(iter(items.argwhere(odd)), None)


def test_first_and_last_without_a_function_take_false_items_too():
    assert L(0, 1).first() == 0
    assert L(1, 0).last() == 0
    assert L().first() is None


def test_itemgot_and_attrgot():
    rows = L([1, [2, 3]], [4, [5, 6]])
    assert rows.itemgot(0) == [1, 4]
    assert rows.itemgot(1, 0) == [2, 5]
    assert L({"a": 1}).itemgot("a") == [1]
    assert L(Item("x"), Item("y")).attrgot("name") == ["x", "y"]
    assert L({"a": 1}, {}).attrgot("a", 0) == [1, 0]
    assert L(1).attrgot("nothing") == [None]


# Applying


def test_map_takes_functions_formats_and_things_to_look_up():
    assert L("1", "2").map(int) == [1, 2]
    assert L(1, 2).map("{}.png") == ["1.png", "2.png"]
    assert L(1, 2).map({1: "a", 2: "b"}) == ["a", "b"]
    assert L(1, 0).map(["no", "yes"]) == ["yes", "no"]
    assert L(1, 2).map(operator.sub, 10) == [9, 8]
    assert L("a").map(str.encode, encoding="utf-16-le") == [b"a\0"]


def test_other_ways_to_apply():
    assert L((1, 2), (3, 4)).starmap(operator.mul) == [2, 12]
    assert L(1, 2).flatmap(lambda o: [o] * o) == [1, 2, 2]
    assert L(1, 2).map_dict(str) == {1: "1", 2: "2"}
    assert L([1, 2], [3, 4]).map_zip(operator.add) == [4, 6]
    assert L(1, 2).map_zipwith(operator.add, [10, 20]) == [11, 22]
    items = L(Item("a"), Item("b"))
    items.setattrs("size", 3)
    assert items.attrgot("size") == [3, 3]


# Ordering and grouping


def test_sorted_by_function_attribute_and_index():
    assert L(3, 1, 2).sorted() == [1, 2, 3]
    assert L(3, 1, 2).sorted(operator.neg) == L(3, 1, 2).sorted(reverse=True) == [3, 2, 1]
    assert L(Item("b", 1), Item("a", 2)).sorted("name").attrgot("size") == [2, 1]
    assert L((1, "b"), (2, "a")).sorted(1).itemgot(0) == [2, 1]


@given(numbers, st.integers(0, 5))
def test_shuffle_keeps_the_items_and_all_other_random_numbers(values, seed):
    random.seed(1)
    expected = random.random()
    random.seed(1)
    shuffled = L(values).shuffle(seed)
    assert random.random() == expected
    assert shuffled == L(values).shuffle(seed)
    assert shuffled.sorted() == sorted(values)


def test_shuffle_without_a_seed_differs():
    assert L(range(50)).shuffle() != L(range(50)).shuffle()


def test_unique():
    items = L("b", "a", "b")
    assert items.unique() == ["b", "a"]
    assert items.unique(sort=True) == ["a", "b"]
    assert items.unique(True, bidir=True) == (["a", "b"], {"a": 0, "b": 1})
    assert items.unique(start="#na#") == ["#na#", "b", "a"]
    assert items.unique(start=["a"], bidir=True) == (["a", "b"], {"a": 0, "b": 1})
    assert L([1], [1]).unique() == [[1]]


def test_groupby_and_val2idx():
    assert L("cat", "dog", "bird").groupby(len) == {3: ["cat", "dog"], 4: ["bird"]}
    assert L(("a", 1), ("b", 2), ("a", 3)).groupby(0, 1) == {"a": [1, 3], "b": [2]}
    assert L("b", "a").val2idx() == {"b": 0, "a": 1}


# Numbering, pairing, reducing


def test_numbering():
    assert L("a", "b").enumerate() == [(0, "a"), (1, "b")]
    assert L("a", "b").renumerate() == [("a", 0), ("b", 1)]
    assert L.range(3) == [0, 1, 2]
    assert L.range(["x", "y"]) == [0, 1]
    assert L.range(2, 8, 3) == [2, 5]
    assert L.split("a b  c") == ["a", "b", "c"]
    assert L.split("a,b,c", ",", 1) == ["a", "b,c"]


def test_pairing():
    assert L([1, 2], [3, 4]).zip() == [(1, 3), (2, 4)]
    assert L([1, 2], [3]).zip() == [(1, 3)]
    assert L([1, 2], [3]).zip(cycled=True) == [(1, 3), (2, 3)]
    assert L(1, 2).zipwith("xy", [5, 6]) == [(1, "xy", 5)]
    assert L(1, 2).zipwith([3, 4], [5, 6]) == [(1, 3, 5), (2, 4, 6)]
    assert L(1).zipwith([3, 4], cycled=True) == [(1, 3), (1, 4)]
    assert [o for o, _ in zip(L(1, 2).cycle(), range(5), strict=False)] == [1, 2, 1, 2, 1]


def test_reducing():
    assert L(1, 2, 3).sum() == 6
    assert L(2, 3).product() == 6
    assert L().sum() == 0 and L().product() == 1
    assert L("a", "b").sum() == "ab"
    assert L(torch.ones(2), torch.ones(2)).sum().tolist() == [2, 2]
    assert L(1, 2).reduce(operator.add, 10) == 13
    assert L([1, 2], [3], 4).concat() == [1, 2, 3, 4]


def test_methods_leave_the_list_as_it_was():
    items = L(3, 1, 2)
    for _ in (items.sorted(), items.unique(), items.shuffle(), items.map(str), items + 1):
        assert items == [3, 1, 2]
    other = items.copy()
    other.append(5)
    assert items == [3, 1, 2] and type(other) is L
