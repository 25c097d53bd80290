"""The limit on the size of networks while they are built."""

import threading

import pytest
import torch
from torch import nn

from presize.core.errors import ModelFileError
from presize.models.budget import built_within


def test_a_network_within_the_limit_is_built_as_without_it():
    with built_within(10 * 4 + 4 + 4 * 3 + 1):  # weights and biases, means, variances, a counter
        made = nn.Sequential(nn.Linear(10, 4), nn.BatchNorm1d(4, affine=False), nn.Identity())
    assert sum(t.numel() for t in made.state_dict().values()) == 40 + 4 + 9
    nn.Linear(1000, 1000)  # not limited any more


def test_what_gets_too_large_is_stopped_before_it_is_filled():
    filled = []

    class Layer(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(n))
            filled.append(n)

    with (
        built_within(100),
        pytest.raises(ModelFileError, match="more than 100 numbers"),
    ):
        nn.Sequential(Layer(60), Layer(41), Layer(1))
    assert filled == [60]
    with built_within(100), pytest.raises(ModelFileError):
        nn.Module().register_buffer("b", torch.zeros(101))


def test_networks_of_other_threads_do_not_count():
    with built_within(10):
        thread = threading.Thread(target=nn.Linear, args=(50, 50))
        thread.start()
        thread.join()
        nn.Linear(3, 3, bias=False)
