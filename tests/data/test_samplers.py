import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import (
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from presize.core.errors import DataError
from presize.core.randomness import draws
from presize.core.transform import RandTransform
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock
from presize.data.datablock import DataBlock
from presize.data.datasets import Datasets
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.resize import Resize
from presize.data.samplers import REPEAT, Weighted, balanced, keyed
from presize.data.splits import GrandparentSplitter
from presize.data.vocab import Categorize


def lists(dl):
    return [b.tolist() for b in dl]


def flat(dl):
    return list(itertools.chain.from_iterable(lists(dl)))


class Drawn(RandTransform):
    def encodes(self, x: int) -> float:
        return x + float(draws(self.draw_name).uniform()[0])


# ---- samplers ------------------------------------------------------------------------------------


def test_a_sampler_gives_the_items_of_a_pass():
    dl = DataLoader(range(10), 2, sampler=[7, 1, 1, 3, 9])
    assert lists(dl) == [[7, 1], [1, 3], [9]] == lists(dl)
    assert len(dl) == 3
    assert len(DataLoader(range(10), 2, sampler=[7, 1, 1], drop_last=True)) == 1
    assert lists(DataLoader(range(10), 2, sampler=np.array([4, 2, 0]), n=2)) == [[4, 2]]
    assert lists(DataLoader(range(10), 2, sampler=torch.tensor([4, 2, 0]))) == [[4, 2], [0]]


@pytest.mark.parametrize("num_workers", [0, 3])
@pytest.mark.parametrize("kind", [SequentialSampler, RandomSampler, SubsetRandomSampler])
def test_pytorchs_samplers_can_be_used(kind, num_workers):
    data = list(range(11))
    dl = DataLoader(data, 4, sampler=kind(data), num_workers=num_workers)
    for _ in range(2):
        batches = lists(dl)
        assert [len(b) for b in batches] == [4, 4, 3]
        assert sorted(itertools.chain(*batches)) == data
    drawn = WeightedRandomSampler([0, 0, 1.0] + [0] * 8, 5)
    assert flat(DataLoader(data, 4, sampler=drawn, num_workers=num_workers)) == [2] * 5


def test_set_epoch_is_called_for_each_pass():
    data = list(range(20))
    parts = [
        DataLoader(data, 5, sampler=DistributedSampler(data, 2, rank, seed=1)) for rank in (0, 1)
    ]
    epochs = [[flat(dl) for dl in parts] for _ in range(2)]
    for of_ranks in epochs:
        assert sorted(itertools.chain(*of_ranks)) == data
    assert epochs[0] != epochs[1]
    parts[0].set_epoch(0)
    assert flat(parts[0]) == epochs[0][0]


def test_a_look_at_a_batch_leaves_the_epochs_of_the_sampler_in_order():
    class Asked(list):
        seen = ()

        def set_epoch(self, epoch):
            self.seen = (*self.seen, epoch)

    sampler = Asked(range(4))
    dl = DataLoader(range(4), 2, sampler=sampler)
    list(dl), dl.one_batch(), list(dl)
    assert sampler.seen[0] == 0 and sampler.seen[-1] == 1
    assert all(0 <= epoch < 2**32 for epoch in sampler.seen)  # what seeds of NumPy may be


def test_a_sampler_of_unknown_length_is_taken_to_its_end():
    class Unsized:
        def __iter__(self):
            return iter([3, 1, 2])

    dl = DataLoader(range(10), 2, sampler=Unsized())
    assert lists(dl) == [[3, 1], [2]] == lists(dl)
    with pytest.raises(TypeError, match="the Unsized has no length. Pass n="):
        len(dl)
    assert lists(DataLoader(range(10), 2, sampler=Unsized(), n=2)) == [[3, 1]]


def test_an_item_that_comes_again_has_other_draws():
    dl = DataLoader(range(4), 6, sampler=[1] * 6, after_item=[Drawn], seed=1)
    assert len(set(flat(dl))) == 6


def test_new_keeps_or_replaces_the_sampler():
    dl = DataLoader(range(10), 2, sampler=[5, 6])
    assert flat(dl.new(bs=1)) == [5, 6]
    assert flat(dl.new(list(range(3)))) == [0, 1, 2]
    assert sorted(flat(dl.new(sampler=None, shuffle=True))) == list(range(10))
    assert flat(dl.new(weights=[0] * 9 + [1], n=3)) == [9, 9, 9]
    assert flat(DataLoader(range(3), 1, shuffle=True).new(sampler=[2])) == [2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": [1], "shuffle": True}, "shuffle=True would have no effect: leave it out"),
        ({"sampler": [1], "weights": [1] * 4}, "sampler= and weights= both say which items"),
        ({"sampler": [1], "get_idxs": lambda: [1]}, "sampler= and get_idxs= both say"),
        ({"weights": [1] * 4, "get_idxs": lambda: [1]}, "weights= and get_idxs= both say"),
        ({"sampler": iter([1, 2])}, "is a list_iterator, which can be walked through only once"),
        ({"sampler": [1], "indexed": False}, "sampler= chooses items by their position, but a L"),
        ({"weights": [1] * 5}, "one weight for each of the 4 items, but got 5 weights. In datal"),
        ({"weights": [[1, 2]] * 4}, r"but got an array of shape \(4, 2\)"),
        ({"weights": ["a"] * 4}, "one number for each item, but: could not convert"),
        ({"weights": [1, 2, -3, 1]}, r"A weight is 0 or more, but weights\[2\] is -3"),
        ({"weights": [1, 2, float("nan"), 1]}, r"but weights\[2\] is nan"),
        ({"weights": [0] * 4}, "All weights are 0"),
        ({"weights": "ballanced"}, r"but got 'ballanced'\. Did you mean `balanced`"),
        ({"weights": "balanced"}, 'weights="balanced" needs one category for each item'),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    data = list(range(4)) if "indexed" not in options else L4
    with pytest.raises(ValueError, match=message):
        DataLoader(data, 2, **options)


class L4(list):
    pass


L4 = L4(range(4))


def test_what_is_no_sampler_is_refused():
    with pytest.raises(TypeError, match="sampler= is a list of indices.*but got 3"):
        DataLoader(range(4), 2, sampler=3)
    with pytest.raises(TypeError, match=r"one index at a time, but this one gave \[0, 1\] .*bs="):
        list(DataLoader(range(4), 2, sampler=[[0, 1], [2, 3]]))
    with pytest.raises(DataError, match="Item 7 could not be made into a sample"):
        list(DataLoader(range(4), 2, sampler=[7]))
    with pytest.raises(DataError, match="no batch to take: the sampler gives no index"):
        DataLoader(range(4), 2, sampler=[]).one_batch()


# ---- weights -------------------------------------------------------------------------------------


def test_items_come_as_often_as_their_weights_say():
    weights = [1.0, 0.0, 3.0, 6.0]
    dl = DataLoader(range(4), 500, weights=weights, n=20_000, seed=0)
    assert len(dl) == 40
    seen = Counter(flat(dl))
    # Within 5 standard deviations of a binomial distribution.
    for i, weight in enumerate(weights):
        p = weight / 10
        assert abs(seen[i] - 20_000 * p) <= 5 * (20_000 * p * (1 - p)) ** 0.5


def test_a_pass_draws_as_many_as_there_are():
    dl = DataLoader(range(7), 3, weights=[1] * 7)
    assert sum(map(len, lists(dl))) == 7 and len(dl) == 3
    assert len(flat(DataLoader(range(7), 3, weights=[1] * 7, n=20))) == 20
    assert len(flat(DataLoader(range(7), 3, weights=[1] * 7, n=20, shuffle=True))) == 20


@pytest.mark.parametrize("num_workers", [0, 2])
def test_draws_depend_on_seed_and_epoch_alone(num_workers):
    def epochs(seed, workers):
        dl = DataLoader(
            range(30), 8, weights=range(30), seed=seed, num_workers=workers, after_item=[Drawn]
        )
        return [lists(dl) for _ in range(2)]

    first = epochs(1, 0)
    assert epochs(1, num_workers) == first
    assert first[0] != first[1] and epochs(2, num_workers) != first
    assert len(set(itertools.chain(*first[0]))) == 30  # what comes again is drawn for anew


@given(
    weights=st.lists(st.floats(0, 1e300), min_size=1, max_size=40).filter(any),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(-5, 1000),
)
def test_what_has_no_weight_never_comes(weights, seed, epoch):
    drawn = Weighted(range(len(weights)), weights, 50).indices(seed, epoch)
    assert len(drawn) == 50
    assert all(weights[i] > 0 for i in drawn)


def test_weights_of_any_kind_can_be_given():
    for weights in (np.array([0, 1, 0]), torch.tensor([0, 1.0, 0]), (0, 1, 0), {0: 0}.get):
        if callable(weights):
            with pytest.raises(ValueError, match="weights= holds one number for each item"):
                DataLoader(range(3), 3, weights=weights)
        else:
            assert flat(DataLoader(range(3), 3, weights=weights)) == [1, 1, 1]


def test_balanced_weights_let_each_class_come_equally_often():
    labels = ["a"] * 90 + ["b"] * 9 + ["c"]
    dsets = Datasets(labels, [[len], [Categorize()]])
    dl = dsets.dataloaders(bs=100, weights="balanced", num_workers=0, seed=0)
    targets = torch.cat([y for _ in range(30) for _, y in dl.train])
    counts = torch.bincount(targets)
    assert len(targets) == 3000
    # 5 standard deviations of a binomial distribution with p = 1/3
    assert (counts - 1000).abs().max() < 5 * (3000 / 3 * 2 / 3) ** 0.5


def test_balanced_weights_add_up_to_one_a_class():
    assert balanced([0, 2, 2, 0, 0, 5]).tolist() == pytest.approx(
        [1 / 3, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1]
    )


def block(target=CategoryBlock, get_y=parent_label):
    return DataBlock(
        blocks=(ImageBlock, target),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=get_y,
        item_tfms=Resize(32),
    )


def test_balancing_opens_no_picture(picture_folder):
    for name in range(1, 12):
        (picture_folder / f"train/cat/{name}.jpg").unlink()
    (picture_folder / "train/cat/0.jpg").write_bytes(b"no picture")
    dls = block().dataloaders(
        picture_folder, bs=13, weights="balanced", num_workers=0, on_bad="raise", seed=5
    )
    drawn = list(dls.train.get_idxs())
    cats = [i for i, file in enumerate(dls.train_ds.items) if file.parent.name == "cat"]
    assert len(cats) == 1 and 2 <= drawn.count(cats[0]) <= 11


def test_weights_are_for_training_alone(picture_folder):
    dls = block().dataloaders(picture_folder, bs=4, weights=[1.0] + [0.0] * 23, num_workers=2)
    assert {int(y) for _, ys in dls.train for y in ys} == {int(dls.train_ds[0][1])}
    assert len(dls.train) == 6 and dls.valid.weights is None
    assert sum(len(y) for _, y in dls.valid) == 12
    assert dls.test_dl(list(dls.train_ds.items)[:3]).weights is None
    changed = dls.new(weights="balanced")
    assert (changed.train.weights, changed.valid.weights) == ("balanced", None)
    chosen = block().dataloaders(picture_folder, bs=2, sampler=[0, 0, 1], num_workers=0)
    assert len(chosen.train) == 1 and chosen.valid.sampler is None


def test_balancing_needs_one_category(picture_folder):
    several = block(MultiCategoryBlock, lambda file: [file.parent.name])
    with pytest.raises(ValueError, match='weights="balanced" needs one category for each item'):
        several.dataloaders(picture_folder, bs=4, weights="balanced")


@given(st.lists(st.integers(0, 5)))
def test_keys_are_unique(indices):
    keys = [key for key, _ in keyed(indices)]
    assert len(set(keys)) == len(keys)
    assert [key % REPEAT for key in keys] == [index for _, index in keyed(indices)] == indices
