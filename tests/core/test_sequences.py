import enum

import numpy as np
import pytest
import torch

from presize.core.sequences import distinct, is_listy, listify, positions, repeat_to_match, same


class Colour(enum.Enum):
    RED = 1


class Refuses:
    def __iter__(self):
        raise NotImplementedError("no walking")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("abc", ["abc"]),
        (b"ab", [b"ab"]),
        ({"a": 1}, [{"a": 1}]),
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        ((i for i in "ab"), ["a", "b"]),
        (5, [5]),
        (int, [int]),
        (Colour, [Colour]),
        (np.arange(3), [0, 1, 2]),
        (torch.arange(3), [0, 1, 2]),
        (np.array([]), []),
    ],
)
def test_what_is_one_thing_and_what_are_many(value, expected):
    assert listify(value) == expected


def test_arrays_without_dimensions_are_one_thing():
    assert listify(torch.tensor(3)) == [torch.tensor(3)]
    assert listify(np.array(3)) == [np.array(3)]


def test_an_object_that_refuses_to_be_walked_through_is_one_thing():
    thing = Refuses()
    assert listify(thing) == [thing]


def test_a_generator_that_fails_is_not_taken_for_one_thing():
    def broken():
        yield 1
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        listify(broken())


def test_several_arguments_are_one_element_each():
    assert listify([1], "ab", None) == [[1], "ab", None]
    assert listify("ab", split_text=True) == ["a", "b"]
    assert listify({"a": 1}, split_text=True) == ["a"]


def test_repeat_to_match():
    assert repeat_to_match([7], 3) == [7, 7, 7]
    assert repeat_to_match([1, 2], 2) == [1, 2]
    with pytest.raises(ValueError, match="2 items cannot be matched to 3: give one item"):
        repeat_to_match([1, 2], 3)


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_positions_from_numbers_and_masks(kind):
    assert positions(kind([0, 2, -1]), 4) == [0, 2, -1]
    assert positions(kind([True, False, True]), 3) == [0, 2]


def test_positions_say_what_is_wrong():
    with pytest.raises(IndexError, match=r"A mask of 2 True/False values .* list of 3 items"):
        positions([True, False], 3)
    with pytest.raises(TypeError, match=r"whole numbers.*got 'a' \(str\) among the indices"):
        positions([0, "a"], 3)
    with pytest.raises(TypeError, match=r"got 1.5 \(float\)"):
        positions(np.array([1.5]), 3)


def test_same_compares_arrays_by_shape_and_elements():
    a = torch.arange(3)
    assert same(a, np.arange(3))
    assert not same(a, torch.arange(4))
    assert same([a, (1, a)], [a.clone(), (1, a.clone())])
    assert not same([1], [1, 2])
    assert not same(a, "x")


def test_distinct_keeps_the_order_and_takes_what_cannot_be_hashed():
    assert distinct([3, 1, 3, 2, 1]) == [3, 1, 2]
    assert distinct([[1], [2], [1]]) == [[1], [2]]
    assert [int(o) for o in distinct(torch.tensor([3, 1, 3]))] == [3, 1]


def test_is_listy():
    assert all(map(is_listy, [[], (), range(2), slice(2), (i for i in [])]))
    assert not any(map(is_listy, ["ab", {1}, {}, np.ones(2), 3, None]))
