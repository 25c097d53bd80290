from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from presize.core.collections import L
from presize.core.foundation import (
    Inf,
    array,
    exp,
    first,
    flatten_check,
    log,
    noop,
    tensor,
    to_np,
)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([[1, 2], [3, 4]], torch.int64),
        ((1.0, 2.0), torch.float32),
        ([True, False], torch.bool),
        (3.0, torch.float32),
        (np.float64(3), torch.float32),
        (np.ones((2, 2)), torch.float32),
        (np.ones(2, np.float16), torch.float16),
        (np.ones(2, np.uint8), torch.uint8),
        (np.array([60000], np.uint16), torch.int32),
        (range(3), torch.int64),
        ({1, 2}, torch.int64),
        (L(1, 2), torch.int64),
        (pd.Series([1.5, 2.5]), torch.float32),
        (np.array([1.0, 2.0], ">f4"), torch.float32),
    ],
)
def test_tensor_has_the_same_numbers_in_a_type_one_can_calculate_with(value, dtype):
    made = tensor(value)
    assert made.dtype == dtype
    plain = list(value) if isinstance(value, set | range) else value
    assert np.array_equal(made.numpy(), np.asarray(plain))


def test_tensor_of_several_arguments_and_of_a_tensor():
    assert tensor(1, 2, 3).tolist() == [1, 2, 3]
    assert tensor([1, 2], [3, 4]).shape == (2, 2)
    t = torch.zeros(2, dtype=torch.float64)
    assert tensor(t) is t
    assert tensor(t, dtype=torch.int32).dtype == torch.int32


def test_tensor_keeps_doubles_only_when_asked():
    third = tensor([1 / 3], dtype=torch.float64)
    assert third.item() == 1 / 3
    assert tensor(2.0, requires_grad=True).requires_grad


def test_tensor_of_pictures():
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert tensor(picture).dtype == torch.uint8
    assert tensor(picture).tolist() == np.arange(12).reshape(3, 4).tolist()
    assert tensor([picture, picture]).shape == (2, 3, 4)
    assert tensor(picture.convert("1")).dtype == torch.bool


def test_tensor_shares_the_memory_of_an_array_where_it_can():
    a = np.zeros(3, np.float32)
    tensor(a)[0] = 1
    assert a[0] == 1
    assert tensor(a[::-1]).tolist() == [0, 0, 1]
    a.flags.writeable = False
    tensor(a)[0] = 5
    assert a[0] == 1


def test_tensor_stacks_lists_of_tensors_and_arrays():
    assert tensor([torch.ones(2), torch.zeros(2)]).shape == (2, 2)
    assert tensor([np.ones(2), np.zeros(2)]).dtype == torch.float32


def test_tensor_says_what_is_wrong():
    with pytest.raises(TypeError, match="A tensor holds numbers; got list with elements like"):
        tensor(["cat", "dog"])
    with pytest.raises(ValueError, match="The parts have unequal lengths"):
        tensor([[1, 2], [3]])


def test_to_np_goes_into_containers_and_leaves_the_rest():
    Pair = namedtuple("Pair", "a b")
    t = torch.ones(2, requires_grad=True)
    made = to_np({"x": [t, "label"], "p": Pair(t, (t,))})
    assert isinstance(made["x"][0], np.ndarray)
    assert made["x"][1] == "label"
    assert isinstance(made["p"], Pair)
    assert isinstance(made["p"].b[0], np.ndarray)
    assert to_np(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32


def test_array_exp_log_are_the_libraries_own():
    assert array is np.array
    assert log(exp(torch.tensor(2.0))).item() == pytest.approx(2)


def test_first_takes_one_and_goes_on_later():
    numbers = iter([1, 2, 3])
    assert first(numbers) == 1
    assert next(numbers) == 2
    assert first([]) is None
    assert first([1, 2, 3], lambda o: o > 1) == 2
    assert first([1, 2, 3], lambda o: o < 2, negate=True) == 2


def test_first_closes_a_loader_that_it_opened():
    closed = []

    class Loader:
        def __iter__(self):
            try:
                yield "batch"
            finally:
                closed.append(True)

    assert first(Loader()) == "batch"
    assert closed == [True]


def test_inf_starts_anew_each_time():
    assert [o for o, _ in zip(Inf.count, "abc", strict=False)] == [0, 1, 2]
    assert next(Inf.count) == 0
    assert [next(Inf.zeros), next(Inf.ones), next(Inf.nones)] == [0, 1, None]


def test_noop_and_flatten_check():
    assert noop(3, 4, a=5) == 3
    a, b = flatten_check(torch.ones(2, 3), torch.ones(6))
    assert a.shape == b.shape == (6,)
    with pytest.raises(ValueError, match=r"6 \(shape \(2, 3\)\) and 4 \(shape \(4,\)\)"):
        flatten_check(torch.ones(2, 3), torch.ones(4))
