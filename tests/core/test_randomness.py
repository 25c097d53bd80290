import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from presize.core.randomness import (
    Draws,
    draws,
    loose_context,
    loose_place,
    philox,
    sample_context,
    set_loose_place,
    set_seed,
    shuffled,
)


@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [  # the known answers of the Random123 distribution for philox4x32-10
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, block):
    words = philox(np.array([counter], dtype=np.uint32), key)[0]
    assert " ".join(f"{w:08x}" for w in words) == block


def test_a_sample_draws_the_same_in_any_batch():
    with sample_context(3, 1, [5, 9, 2]):
        together = draws("rotate", 3).uniform()
    alone = []
    for index in (5, 9, 2):
        with sample_context(3, 1, index):
            alone.append(draws("rotate").uniform()[0])
    assert together.tolist() == alone


@pytest.mark.parametrize("change", [{"seed": 8}, {"epoch": 2}, {"index": 6}, {"op": "zoom"}])
def test_seed_epoch_sample_and_operation_each_change_the_draw(change):
    base = {"seed": 7, "epoch": 1, "index": 5, "op": "rotate"}

    def value(seed, epoch, index, op):
        with sample_context(seed, epoch, index):
            return draws(op).uniform()[0]

    assert value(**base) == value(**base)
    assert value(**base) != value(**(base | change))


def test_calls_on_one_object_differ_and_repeat_with_the_same_key():
    def three():
        d = Draws(1, 2, np.arange(4), "x")
        return np.stack([d.uniform() for _ in range(9)])

    first = three()
    assert np.array_equal(first, three())
    assert len(np.unique(first)) == first.size


def test_threads_do_not_disturb_each_other():
    def work(index):
        with sample_context(0, 0, index):
            return draws("flip").uniform()[0]

    with ThreadPoolExecutor(7) as pool:
        many = list(pool.map(work, range(200)))
    assert many == [work(i) for i in range(200)]


def test_uniform_and_normal_have_their_moments():
    d = Draws(0, 0, np.arange(20_000), "moments")
    u, z = d.uniform(-1, 3), d.normal()
    assert u.min() >= -1 and u.max() < 3
    assert u.mean() == pytest.approx(1, abs=0.03)
    assert z.mean() == pytest.approx(0, abs=0.03)
    assert z.std() == pytest.approx(1, abs=0.03)
    assert d.bernoulli(0.3).mean() == pytest.approx(0.3, abs=0.02)
    assert np.bincount(d.integers(4)).min() > 4500


@given(n=st.integers(0, 300), seed=st.integers(0, 2**62), epoch=st.integers(0, 1000))
def test_shuffled_is_a_permutation_that_seed_and_epoch_decide(n, seed, epoch):
    order = shuffled(n, seed=seed, epoch=epoch)
    assert sorted(order.tolist()) == list(range(n))
    assert np.array_equal(order, shuffled(n, seed=seed, epoch=epoch))


def test_epochs_shuffle_differently():
    assert shuffled(50, seed=0, epoch=0).tolist() != shuffled(50, seed=0, epoch=1).tolist()


def test_calls_by_hand_are_fresh_and_repeat_after_set_seed():
    set_seed(4)
    first, second = draws("x").uniform()[0], draws("x").uniform()[0]
    set_seed(4)
    assert draws("x").uniform()[0] == first != second


def test_one_loose_context_gives_picture_and_mask_the_same_draw():
    with loose_context():
        assert draws("x").uniform()[0] == draws("x").uniform()[0]


def test_a_count_that_is_not_the_context_s_still_gives_one_row_each():
    with sample_context(0, 0, 7):
        rows = draws("x", 5).uniform()
        again = draws("x", 5).uniform()
    assert len(np.unique(rows)) == 5
    assert rows.tolist() == again.tolist()


def test_set_seed_seeds_every_generator():
    values = []
    for _ in range(2):
        set_seed(11)
        loose = np.random.rand()  # noqa: NPY002 - the global generator is what is seeded
        values.append((random.random(), loose, torch.rand(()).item()))
    assert values[0] == values[1]


def test_set_seed_can_ask_for_deterministic_algorithms():
    try:
        set_seed(0, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        set_seed(0, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_draws_by_hand_go_on_from_a_place():
    set_seed(3)
    draws("flip").uniform()
    place = loose_place()
    expected = [float(draws("flip").uniform()[0]) for _ in range(3)]
    set_seed(9)
    set_loose_place(*place)
    assert [float(draws("flip").uniform()[0]) for _ in range(3)] == expected
