import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from presize.core.errors import DataError
from presize.data.collate import CollateError, collate, tensors_of
from presize.tensors import TensorCategory, TensorImage

Pair = namedtuple("Pair", "x y")


@pytest.mark.parametrize(
    "samples",
    [
        [1, 2, 3],
        [True, False],
        [torch.ones(2), torch.zeros(2)],
        [(torch.ones(2), 1), (torch.zeros(2), 0)],
        [np.arange(3), np.arange(3)],
        [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}],
    ],
)
def test_numbers_and_tensors_come_out_as_pytorch_collates_them(samples):
    ours, theirs = collate(samples), default_collate(samples)
    for a, b in zip(_tensors(ours), _tensors(theirs), strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype


def _tensors(batch):
    if isinstance(batch, Tensor):
        return [batch]
    return [t for part in getattr(batch, "values", batch.__iter__)() for t in _tensors(part)]


def test_pythons_floats_become_float32_as_literals_do():
    assert collate([0.5, 1.5]).dtype == torch.float32
    assert collate([np.float64(0.5), np.float64(1)]).dtype == torch.float32


def test_texts_are_a_list_as_samples_and_a_tuple_inside_them():
    assert collate(["a", "b"]) == ["a", "b"]
    numbers, letters = collate([(17, "r"), (18, "s")])
    assert numbers.tolist() == [17, 18]
    assert letters == ("r", "s")
    assert collate([(Path("a"), None), (Path("b"), None)]) == (
        (Path("a"), Path("b")),
        (None, None),
    )


def test_display_types_are_those_of_the_first_sample():
    x, y = collate([(TensorImage(torch.zeros(3, 4, 4)), TensorCategory(1)) for _ in range(2)])
    assert type(x) is TensorImage and x.shape == (2, 3, 4, 4)
    assert type(y) is TensorCategory and y.tolist() == [1, 1]


def test_containers_keep_their_kind():
    assert type(collate([[1, 2], [3, 4]])) is list
    assert type(collate([(1, 2), (3, 4)])) is tuple
    made = collate([Pair(1, "a"), Pair(2, "b")])
    assert isinstance(made, Pair) and made.y == ("a", "b")


def test_pictures_of_different_sizes_name_the_shapes_and_the_missing_transform():
    sizes = [(3, 500, 375), (3, 333, 500)]
    with pytest.raises(CollateError) as caught:
        collate([(TensorImage(torch.zeros(size)), TensorCategory(0)) for size in sizes])
    assert str(caught.value) == (
        "Could not collate the 0-th members of your tuples because got the following shapes\n"
        "torch.Size([3, 500, 375]),torch.Size([3, 333, 500])\n"
        "Bring all pictures to one size with a transform: item_tfms=Resize(224)."
    )
    assert isinstance(caught.value, DataError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_other_differences_are_told_apart():
    gray_and_colour = [torch.zeros(1, 4, 4), torch.zeros(3, 4, 4)]
    with pytest.raises(CollateError, match=r"your items .*\n.*\n.*ImageBlock\(PILImageBW\)"):
        collate(gray_and_colour)
    with pytest.raises(CollateError, match="1-th members.*\n.*\n.*MultiCategoryBlock"):
        collate([(1, torch.zeros(2)), (1, torch.zeros(3))])
    with pytest.raises(CollateError, match="following types\nint,str\nEvery item has to give"):
        collate([(1,), ("one",)])
    with pytest.raises(CollateError, match="numbers of members\n2,3\n"):
        collate([(1, 2), (1, 2, 3)])
    with pytest.raises(CollateError, match=r"the members \[1\]\[0\] of your samples"):
        collate([(1, (torch.zeros(2),)), (1, (torch.zeros(3),))])


def test_of_many_shapes_the_different_ones_are_shown():
    shapes = [(3, 4, 4)] * 60 + [(3, 5, 4)]
    with pytest.raises(CollateError) as caught:
        collate([torch.zeros(shape) for shape in shapes])
    assert "torch.Size([3, 4, 4]),torch.Size([3, 5, 4]),...\n" in str(caught.value)


def test_what_cannot_be_collated_is_named_with_a_way_out():
    with pytest.raises(CollateError, match="Add `ToTensor` to the item transforms"):
        collate([(Image.new("RGB", (2, 2)), 1)] * 2)
    with pytest.raises(CollateError, match="following types\nobject\nBatches are made of"):
        collate([object(), object()])


def test_single_samples_get_tensors_for_their_arrays():
    made = tensors_of((np.arange(3), "a", [np.zeros(2)], {"b": np.ones(1)}))
    assert isinstance(made[0], Tensor) and made[0].tolist() == [0, 1, 2]
    assert made[1] == "a"
    assert isinstance(made[2][0], Tensor) and isinstance(made[3]["b"], Tensor)
    assert tensors_of(Pair(np.zeros(1), 2)).x.tolist() == [0]
