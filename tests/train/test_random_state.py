"""The generators go on where they were."""

import json
import random

import numpy as np
import torch

from presize.core.randomness import draws
from presize.train.random_state import (
    generator_states,
    own_generators,
    random_state,
    restore_generators,
    restore_random_state,
)
from presize.train.run_state import pack, unpack


def drawn():
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),  # noqa: NPY002
        np.random.randn(),  # noqa: NPY002
        torch.rand(1).item(),
        torch.randn(1).item(),
        draws("by hand").uniform().item(),
    )


def test_they_go_on_where_they_were_also_through_json():
    drawn()
    packed, tensors = pack(random_state(torch.device("cpu")), "random")
    first, seed = drawn(), torch.initial_seed()
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    restore_random_state(unpack(json.loads(json.dumps(packed)), tensors), torch.device("cpu"))
    assert drawn() == first
    assert torch.initial_seed() == seed


def test_a_state_of_a_gpu_is_of_no_harm_elsewhere():
    state = random_state(torch.device("cpu")) | {"cuda": torch.zeros(16, dtype=torch.uint8)}
    first = drawn()
    restore_random_state(state, torch.device("cpu"))
    assert drawn() == first


def shuffled_loader():
    return torch.utils.data.DataLoader(
        range(9), shuffle=True, generator=torch.Generator().manual_seed(3)
    )


def test_generators_of_loaders_go_on_where_they_were():
    loader, other = shuffled_loader(), shuffled_loader()
    assert set(own_generators(loader)) == {
        *("loader", "sampler", "batch_sampler.sampler"),
    }
    list(loader)
    states = generator_states(loader)
    restore_generators(other, unpack(*pack(states, "generators")))
    assert [int(i) for i in other] == [int(i) for i in loader]


def test_most_loaders_have_none():
    assert own_generators(None) == own_generators([1]) == {}
    restore_generators([1], {"loader": torch.zeros(1)})
