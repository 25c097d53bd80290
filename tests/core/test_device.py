from collections import namedtuple

import pytest
import torch

from presize.core import device
from presize.core.device import default_device, devices_of, to_cpu, to_detach, to_device, to_half
from presize.tensors import TensorImage

Pair = namedtuple("Pair", "x y")


def test_nested_batches_move_and_keep_their_shape():
    batch = (torch.ones(2), [torch.zeros(1), "name"], {"k": Pair(torch.ones(1), 3)})
    moved = to_device(batch, "meta")
    assert devices_of(moved) == {torch.device("meta")}
    assert moved[1][1] == "name" and moved[2]["k"].y == 3
    assert type(moved[2]["k"]) is Pair


def test_kinds_stay():
    assert type(to_cpu(TensorImage(torch.ones(3, 2, 2)))) is TensorImage
    assert type(to_half(TensorImage(torch.ones(3, 2, 2)))) is TensorImage


def test_parameters_become_plain_tensors():
    assert type(to_detach(torch.nn.Parameter(torch.ones(1)))) is torch.Tensor


def test_the_choice_of_device_is_remembered():
    try:
        assert default_device(False) == torch.device("cpu")
        assert default_device() == torch.device("cpu")
    finally:
        device._choice.clear()


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is one here"
)
def test_asking_for_an_accelerator_that_is_not_there_says_so():
    try:
        with pytest.raises(RuntimeError, match="sees neither CUDA nor MPS"):
            default_device(True)
    finally:
        device._choice.clear()


def test_a_device_without_a_number_goes_with_any():
    cuda, first, second = map(torch.device, ("cuda", "cuda:0", "cuda:1"))
    assert device.same_place(cuda, second) and device.same_place(first, first)
    assert not device.same_place(first, second)
    assert not device.same_place(cuda, torch.device("cpu"))
