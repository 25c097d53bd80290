"""Batches joined: every kind of output, and what speaks of a batch as a whole."""

from collections import OrderedDict, namedtuple

import pytest
import torch

from presize.core.joining import concatenate
from presize.tensors import TensorImage

Out = namedtuple("Out", "scores aux")
A, B = torch.arange(6.0).view(3, 2), torch.arange(2.0).view(1, 2)
BOTH = torch.cat([A, B])


def test_tensors_keep_their_type():
    assert torch.equal(concatenate([A, B]), BOTH)
    joined = concatenate([TensorImage(A), TensorImage(B)])
    assert type(joined) is TensorImage
    assert len(joined) == 4
    assert concatenate([]) is None


def test_nested_outputs_are_joined_element_by_element():
    joined = concatenate([Out(A, (A, None)), Out(B, (B, None))])
    assert isinstance(joined, Out)
    assert torch.equal(joined.scores, BOTH)
    assert torch.equal(joined.aux[0], BOTH)
    assert joined.aux[1] is None
    joined = concatenate([{"a": [A, B]}, {"a": [B, A]}])
    assert torch.equal(joined["a"][0], BOTH)
    assert type(joined["a"]) is list
    joined = concatenate([OrderedDict(a=A), OrderedDict(a=B)])
    assert torch.equal(joined["a"], BOTH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.complex64])
def test_what_speaks_of_a_whole_batch_is_averaged(dtype):
    values = [torch.tensor(v, dtype=dtype) for v in (1, 2, 6)]
    joined = concatenate(values)
    assert (joined.shape, joined.dtype) == ((), dtype)
    assert joined == 3


def test_flags_and_what_has_no_items():
    assert concatenate([torch.tensor(True)] * 2).item() is True
    assert concatenate([(A, 7), (B, 7)])[1] == 7
    assert concatenate(["one", "one"]) == "one"
    assert concatenate([range(2), range(1)]) == [0, 1, 0]
