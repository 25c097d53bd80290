"""Checksums of items: equal for equal ones, wherever they lie, and others for others."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset

from presize.core.collections import L
from presize.data.fingerprint import fingerprint


class Own(Dataset):
    def __init__(self, items=None, **attributes):
        if items is not None:
            self.items = items
        vars(self).update(attributes)


def numbers(n=10, **options):
    return torch.arange(n, **options)


def frame(**columns):
    return pd.DataFrame({"file": ["/a/b/1.jpg", "/a/b/2.jpg"], "label": ["x", "y"]} | columns)


def picture(value):
    return Image.new("L", (4, 4), value)


OTHERS = {
    "paths": ([Path("a/1.jpg"), Path("a/2.jpg")], [Path("a/2.jpg"), Path("a/1.jpg")]),
    "paths of L": (L(Path("a/1.jpg")), L(Path("b/1.jpg"))),
    "names": (["a/1.jpg", "2.jpg"], ["a/1.jpg", "3.jpg"]),
    "rows": (Own(frame()), Own(frame().iloc[::-1])),
    "labels": (Own(frame()), Own(frame(label=["x", "x"]))),
    "missing labels": (Own(frame(label=["x", None])), Own(frame(label=["x", "y"]))),
    "numbers": (Own(frame(label=[1, 2])), Own(frame(label=[1, 3]))),
    "columns": (Own(frame()), Own(frame().rename(columns={"label": "l"}))),
    "a series": (frame().label, frame().file),
    "dates": ([datetime.date(2020, 1, 1)], [datetime.date(2020, 1, 2)]),
    "pairs": ([(numbers(), 1)], [(numbers(), 2)]),
    "tensors": ([numbers()], [numbers() + 1]),
    "dicts": ([{"x": numbers(), "y": 1}], [{"x": numbers(), "y": 2}]),
    "arrays": (np.arange(3), np.arange(3.0)),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "objects": (np.array([Path("a"), None]), np.array([Path("b"), None])),
    "bytes": ([b"abc"], [b"abd"]),
    "pictures": ([picture(1)], [picture(2)]),
    "16 bits": (numbers().bfloat16(), numbers().bfloat16() + 1),
    "data sets of PyTorch": (TensorDataset(numbers()), TensorDataset(numbers() * 2)),
    "parts of them": (Subset(numbers(), [1, 2]), Subset(numbers(), [2, 1])),
    "large tensors": (torch.zeros(3000, 500), torch.ones(3000, 500)),
    "large arrays": (np.zeros((3000, 500)), np.ones((3000, 500))),
    "long lists": ([numbers() for _ in range(3000)], [numbers() + 1 for _ in range(3000)]),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_items_have_another_one(case):
    one, other = map(fingerprint, OTHERS[case])
    assert one != other
    assert fingerprint(OTHERS[case][0]) == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([Path("/here/a/1.jpg")], [Path("/there/a/1.jpg")]),
        (["/here/a/1.jpg"], ["/there/a/1.jpg"]),
        (Own(frame()), Own(frame(file=["/c/b/1.jpg", "/c/b/2.jpg"]))),
        ([(Path("/here/a/1.jpg"), 0)], [(Path("/there/a/1.jpg"), 0)]),
    ],
)
def test_data_that_was_moved_has_the_same(one, other):
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    "one",
    [None, [], torch.zeros(0, 3), torch.tensor(1.5), torch.zeros(1).expand(10), object()],
    ids=["nothing", "empty", "empty tensor", "number", "expanded", "object"],
)
def test_there_is_one_of_anything(one):
    assert fingerprint(one) == fingerprint(one)


def test_what_a_data_set_of_ones_own_fills_while_it_is_read_does_not_count():
    assert fingerprint(Own(data=[None] * 3)) == fingerprint(Own(data=[numbers()] * 3))


def test_large_pictures_are_not_decoded(tmp_path):
    picture(3).resize((100, 100)).save(tmp_path / "1.png")
    with Image.open(tmp_path / "1.png") as lazy:
        fingerprint([lazy])
        assert lazy.fp is not None  # it is closed once it was read
