"""What objects were made with: the same text for the same settings in every program."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from presize.core.settings import alike, made_with, told


class Made:
    """Has some of its arguments as attributes."""

    def __init__(self, rate=0.1, *, folder=None, hidden=3, **more):
        self.rate, self.folder, self._hidden, self.seen = rate, folder, hidden, object()


class Lists(list):
    def __repr__(self):
        return f"<Lists at {hex(id(self))}>"


class Telling:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    @classmethod
    def create(cls):
        """A way to make one."""


def test_arguments_are_told_that_are_not_the_defaults():
    assert made_with(Made()) == "Made()"
    assert made_with(Made(0.2, folder=Path("/a/b"))) == "Made(rate=0.2, folder='b')"
    assert made_with(3) == "int"
    assert made_with(type) == "type"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, (2.5, "a")], "[1, [2.5, 'a']]"),
        ({"b": None, 1: True}, "{'b': None, 1: True}"),
        ({"b", "a"}, "{'a', 'b'}"),
        (np.float32(0.5), "0.5"),
        (torch.tensor([1, 2]), "[1, 2]"),
        (np.zeros((10, 10)), "ndarray of (10, 10)"),
        (list(range(60)), f"[{', '.join(map(str, range(50)))}, … 60]"),
        (made_with, "made_with"),
        (np.less, "less"),
        (partial(made_with, value=1), "partial(made_with, [], {'value': 1})"),
        (Telling, "Telling"),
        (Telling.create, "Telling.create"),
        (Telling("two\n  lines"), "two lines"),
        (Telling("at 0x7f01aa"), "Telling"),
        (Telling("x" * 1000), "Telling"),
        (object(), "object"),
        (torch.Generator(), "Generator"),
    ],
)
def test_values_are_told_without_addresses(value, text):
    assert told(value) == text


def test_json_is_alike_if_fractions_nearly_are():
    one = {"mean": [0.485, 1e-9], "size": 1000, "draw": None}
    assert alike(one, {"mean": [0.48500001, 0.0], "size": 1000, "draw": None})
    assert alike([float("nan")], [float("nan")])
    for other in ({"size": 1001}, {"mean": [0.486, 0.0]}, {"mean": [0.485]}, {"draw": 0.1}):
        assert not alike(one, one | other)
    assert not alike(one, {"mean": [0.485, 1e-9]})
