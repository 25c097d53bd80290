"""Nested state: everything comes back equal to the bit, and what cannot be kept is named."""

import json
import math

import numpy as np
import pytest
import torch

from presize.core.errors import ModelFileError
from presize.train.run_state import from_bytes, pack, to_bytes, unpack
from presize.train.state import load_state, save_state

STATE = {
    "none": None,
    "flags": [True, False],
    "whole": 2**62,
    "parts": [0.1, float("inf"), -0.0, 1e-310],
    "text": "naïve",
    "tensors": {"a": torch.arange(6).reshape(2, 3), "b": [torch.tensor(1.5), torch.empty(0)]},
    "bf16": torch.randn(3).bfloat16(),
    "pair": (1, [2, (3,)]),
    "rate": slice(None, 1e-3),
    "rates": np.array([1e-5, 1e-3]),
    "one of NumPy": np.float64(0.3),
    "numbered": {0: "zero", 1: torch.ones(2)},
    "$": "a key that marks are written with",
    "losses": [math.sin(i) for i in range(100)],
    "iters": list(range(200)),
    "mixed": [1, 2.5] * 40,
    "empty": {"list": [], "dict": {}, "tuple": ()},
}


def same(a, b):
    assert type(a) is type(b), (a, b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b
        assert math.copysign(1, a) == math.copysign(1, b) if isinstance(a, float) else True


EXPECTED = STATE | {"one of NumPy": 0.3}


def test_it_comes_back_through_a_file(tmp_path):
    packed, tensors = pack(STATE, "run")
    save_state(tmp_path / "s.safetensors", tensors=tensors, meta={"state": packed})
    tensors, meta = load_state(tmp_path / "s.safetensors")
    same(unpack(meta["state"], tensors), EXPECTED)


def test_it_comes_back_through_bytes():
    sent = to_bytes(STATE)
    assert sent.dtype == torch.uint8
    same(from_bytes(sent), EXPECTED)


def test_shared_memory_can_be_sent():
    whole = torch.arange(4)
    got = from_bytes(to_bytes({"a": whole[:2], "b": whole, "c": whole.t()}))
    assert got["a"].tolist() == [0, 1]
    assert got["c"].tolist() == [0, 1, 2, 3]


def test_nan_stays():
    packed, tensors = pack([math.nan] * 70 + [1.0], "x")
    assert math.isnan(unpack(json.loads(json.dumps(packed)), tensors)[3])


def test_long_lists_are_no_text():
    packed, tensors = pack({"losses": [0.5] * 64, "few": [0.5] * 63}, "run")
    assert tensors.keys() == {"run.losses"}
    assert tensors["run.losses"].dtype == torch.float64
    assert packed["few"] == [0.5] * 63


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, {2}]}, "`own.a.1` is a set"),
        ({"f": len}, "`own.f` is a builtin_function_or_method"),
        ({"o": np.array([object()])}, "`own.o` is an array of object"),
    ],
)
def test_what_cannot_be_kept_is_named_with_its_place(value, place):
    with pytest.raises(TypeError, match=place):
        pack(value, "own")


def test_what_is_lost_or_unknown_is_told():
    packed, _ = pack({"a": torch.ones(1)}, "run")
    with pytest.raises(ModelFileError, match="has lost `run.a`"):
        unpack(packed, {})
    with pytest.raises(ModelFileError, match="holds a `graph`, which this presize does not know"):
        unpack({"$": "graph", "of": 1}, {})
