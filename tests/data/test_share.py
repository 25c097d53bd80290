"""Parts of batches: together they are the batch of one process, each item once."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DistributedSampler

from presize.core.errors import DataError
from presize.core.randomness import draws
from presize.core.ranks import Rank
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.share import Share, divide
from presize.data.stream.itemstream import ItemStream

CASES = [
    (n, bs, world, training, drop_last)
    for n, bs, world in itertools.product((1, 3, 8, 15, 16, 17, 23), (1, 3, 4), (2, 3))
    for training, drop_last in itertools.product((True, False), (True, False))
]


def share(number: int, world: int = 2, *, training: bool = True, seed: int = 0) -> Share:
    return Share(Rank(number, world), training, seed)


def parts(loader: DataLoader, world: int = 2, *, training: bool = True) -> list[DataLoader]:
    """A loader like this one for each process."""
    made = [loader.new() for _ in range(world)]
    for number, part in enumerate(made):
        divide(part, share(number, world, training=training))
    return made


@pytest.mark.parametrize(("n", "bs", "world", "training", "drop_last"), CASES)
def test_parts_make_up_the_global_batches(
    n: int, bs: int, world: int, training: bool, drop_last: bool
) -> None:
    shares = [share(number, world, training=training) for number in range(world)]
    own = [list(s.entries(iter(range(n)), bs, first=True, drop_last=drop_last)) for s in shares]
    whole = [list(range(n))[i : i + bs * world] for i in range(0, n, bs * world)]
    if drop_last and len(whole) > 1 and len(whole[-1]) < bs * world:
        whole.pop()
    if training and len(whole[-1]) < world * min(bs, 2):
        whole.pop()
    assert sorted(itertools.chain(*own)) == list(itertools.chain(*whole)), "each item once"
    batches = [[o[i : i + bs] for i in range(0, len(o), bs)] for o in own]
    for i, expected in enumerate(whole):
        there = [b[i] if i < len(b) else [] for b in batches]
        assert list(itertools.chain(*there)) == expected, "in the order of one process"
        sizes = [len(b) for b in there]
        assert max(sizes) - min(sizes) <= 1
        assert not training or min(sizes) >= min(bs, 2), "BatchNorm refuses a single item"
        weights = [s.weight(i, n, bs) for s in shares]
        np.testing.assert_allclose(weights, [size * world / len(expected) for size in sizes])
    told = [s.batches(n, bs, drop_last=drop_last) for s in shares]
    assert told == [len(b) for b in batches]
    assert not training or len(set(told)) == 1, "no process waits for a step of the others"


def noisy(sample: int) -> float:
    return sample + draws("noise").uniform()[0] / 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_its_part_with_the_draws_of_one_process(workers: int) -> None:
    options: dict[str, Any] = {"seed": 4, "split_idx": 0, "after_item": noisy}
    one = DataLoader(range(22), 8, True, num_workers=workers, **options)
    ranks = parts(DataLoader(range(22), 4, True, num_workers=workers, **options))
    for _ in range(2):
        joined = [torch.cat(pair) for pair in zip(*ranks, strict=True)]
        for got, expected in zip(joined, one, strict=True):
            assert torch.equal(got, expected)


def test_the_seed_is_that_of_the_first_process_where_a_loader_has_none() -> None:
    orders = []
    for number in range(2):
        torch.manual_seed(number)
        loader = DataLoader(range(8), 2, True)
        divide(loader, share(number, seed=9))
        orders += [int(i) for batch in loader for i in batch]
    assert sorted(orders) == list(range(8))


def test_a_part_goes_on_in_the_middle_of_a_pass() -> None:
    loader = DataLoader(range(23), 3, True, seed=1, drop_last=False)
    whole = [batch.tolist() for batch in parts(loader)[1]]
    first, second = parts(loader)[1], parts(loader)[1]
    batches = iter(first)
    seen = [next(batches).tolist() for _ in range(2)]
    state = first.state_dict()
    assert state == {"epoch": 0, "batch": 2, "seed": 1}
    second.load_state_dict(state)
    assert seen + [batch.tolist() for batch in second] == whole


@pytest.mark.parametrize("options", [{"sampler": [5, 5, 3, 1, 0, 2, 7, 7]}, {"weights": [1.0] * 8}])
def test_other_orders_are_divided_as_well(options: dict[str, Any]) -> None:
    loader = DataLoader(range(8), 2, seed=3, **options)
    whole = [i for batch in loader for i in batch.tolist()]
    loader.set_epoch(0)
    got = [[b.tolist() for b in part] for part in parts(loader)]
    joined = [i for together in zip(*got, strict=True) for b in together for i in b]
    assert joined == whole


def test_what_has_no_positions_is_divided_as_it_comes() -> None:
    loader = DataLoader((i for i in range(9)), 2, n=9)
    divide(loader, share(1, training=False))
    assert [b.tolist() for b in loader] == [[2, 3], [6, 7]]


def test_validation_may_leave_a_process_without_items() -> None:
    loader = DataLoader(range(1), 4, split_idx=1)
    assert [len(list(part)) for part in parts(loader, training=False)] == [1, 0]


def test_looks_and_new_loaders_are_whole() -> None:
    dls = DataLoaders(DataLoader(range(8), 4), DataLoader(range(8), 4))
    divide(dls.train, share(1))
    assert dls.train.one_batch().tolist() == [0, 1, 2, 3]
    assert len(dls.train) == 1
    assert len(dls.train.new()) == len(dls.new().train) == 2
    divide(dls.train, None)
    assert len(dls.train) == 2


@pytest.mark.parametrize("training", [True, False])
def test_shards_come_divided(training: bool) -> None:
    class Numbers:
        name, count, remote = "numbers", 6, False

        def samples(self) -> Any:
            yield from range(6)

    shards = [Numbers() for _ in range(4)]
    loader = DataLoader(ItemStream(shards, even=training, rank=Rank(1, 2)), 4)
    before = len(loader), list(loader._entries())
    divide(loader, share(1, training=training))
    assert (len(loader), list(loader._entries())) == before
    assert loader.weight_in_batch(2) == 1.0
    other = DataLoader(ItemStream(shards, rank=Rank()), 4)
    with pytest.raises(DataError, match=r"divided for process 0 of 1, but this is process 1 of 2"):
        divide(other, share(1, training=training))


def test_a_sampler_that_divides_is_left_alone() -> None:
    sampler = DistributedSampler(range(8), num_replicas=2, rank=1, shuffle=False)
    loader = DataLoader(range(8), 2, sampler=sampler)
    divide(loader, share(1))
    assert [i for batch in loader for i in batch.tolist()] == [1, 3, 5, 7]


def test_too_few_items_for_the_processes() -> None:
    with pytest.raises(DataError, match=r"3 processes train together, but there are only 2 items"):
        divide(DataLoader(range(2), 1), share(0, 3))
    divide(DataLoader(range(2), 1), share(0, 3, training=False))
    with pytest.raises(DataError, match=r"only 3 items to train on: they need 4, 2 each\. Start"):
        divide(DataLoader(range(3), 8), share(0))
    divide(DataLoader(range(4), 8), share(0))


def test_a_batch_of_all_that_is_larger_than_the_data() -> None:
    loader = DataLoader(range(10), 8, drop_last=True)
    with pytest.warns(UserWarning, match=r"has 16 items, but there are only 10 .* Pass bs=5 or"):
        divide(loader, share(0))
    assert [b.tolist() for b in loader] == [[0, 1, 2, 3, 4]]
    assert len(loader) == 1


def test_a_batch_without_a_readable_picture_ends_training() -> None:
    from presize.data.onepass import Pass

    once = Pass(parts(DataLoader(range(8), 2))[1], 0)
    with pytest.raises(DataError, match=r"Process 1 of 2 could read no picture of a batch"):
        once._pass_over()
    alone = Pass(DataLoader(range(8), 2), 0)
    alone._pass_over()
    assert alone.passed_over == 1
