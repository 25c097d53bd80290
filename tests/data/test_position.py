"""The same batches to the bit: for any number of workers, and after a restart in mid-epoch."""

import itertools
import json
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from presize.augment.presets import aug_transforms
from presize.core.randomness import draws, set_seed
from presize.core.transform import RandTransform
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.resize import RandomResizedCrop, Resize
from presize.data.splits import GrandparentSplitter
from presize.tensors import TensorImage


class Noise(RandTransform):
    """Makes a loader take the general way."""

    order = 20

    def encodes(self, x: TensorImage) -> TensorImage:
        return x.as_subclass(Tensor) + int(draws(self.draw_name).integers(20)[0])


def pictures(folder, item_tfms, **options):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=item_tfms,
        batch_tfms=aug_transforms(size=24),
    )
    return block.dataloaders(folder, folder, bs=5, seed=11, device="cpu", **options).train


def direct(folder, **options):
    return pictures(folder, Resize(40), **options)


def general(folder, **options):
    return pictures(folder, [RandomResizedCrop(40), Noise()], **options)


def weighted(folder, **options):
    return direct(folder, weights="balanced", **options)


def walked(folder, **options):
    class Walk:
        def __iter__(self):
            return iter(range(23))

    return DataLoader(Walk(), 5, seed=2, after_batch=[Shift()], n=23, **options)


def sampled(folder, **options):
    return DataLoader(range(9), 4, sampler=[3, 3, 1, 8, 0, 2, 3], after_item=[Shift()], **options)


class Shift(RandTransform):
    def encodes(self, x: int | Tensor) -> float | Tensor:
        n = len(x) if isinstance(x, Tensor) else 1
        noise = torch.tensor(draws(self.draw_name, n=n).uniform())
        return x + noise if isinstance(x, Tensor) else x + float(noise[0])


KINDS = [direct, general, weighted, walked, sampled]
WORKERS = [0, 1, 2, 7]


def parts(batch):
    return [t.as_subclass(Tensor) for t in (batch if isinstance(batch, tuple | list) else [batch])]


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(parts(left), parts(right), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_same_for_any_number_of_workers(kind, picture_folder):
    def epochs(num_workers):
        dl = kind(picture_folder, num_workers=num_workers)
        return [list(dl) for _ in range(2)]

    first, second = epochs(0)
    assert len(first) > 1 and not same(first, second)
    for num_workers in WORKERS[1:]:
        again = epochs(num_workers)
        assert same(again[0], first) and same(again[1], second)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_pass_goes_on_where_another_was(kind, num_workers, picture_folder):
    whole = kind(picture_folder, num_workers=0)
    first, second = list(whole), list(whole)
    before = kind(picture_folder, num_workers=num_workers)
    list(itertools.islice(iter(before), 1))
    state = before.state_dict()
    assert state == {"epoch": 0, "batch": 1, "seed": before.current_seed()}
    after = kind(picture_folder, num_workers=num_workers)
    after.load_state_dict(state)
    assert same(list(after), first[1:])
    assert same(list(after), second)


@pytest.mark.parametrize("skipped", range(6))
def test_it_can_be_any_batch_of_any_epoch(skipped):
    def loader():
        return DataLoader(range(23), 5, shuffle=True, seed=4, after_item=[Shift()])

    dl = loader()
    list(dl)
    running = iter(dl)
    given = list(itertools.islice(running, skipped))
    after = loader()
    after.load_state_dict(dl.state_dict())
    assert after.state_dict() == dl.state_dict()
    rest = list(running)
    assert same(list(after), rest)
    assert same(list(after), list(dl))
    assert len(given) + len(rest) == 5


def test_batches_before_are_not_made_again():
    made = []
    dl = DataLoader(range(100), 10, after_item=lambda i: made.append(i) or i, num_workers=2)
    dl.load_state_dict({"epoch": 0, "batch": 8, "seed": 1})
    assert len(list(dl)) == 2
    assert sorted(made) == list(range(80, 100))


def test_what_is_made_ahead_does_not_count():
    dl = DataLoader(range(100), 10, num_workers=3, prefetch=5)
    running = iter(dl)
    assert dl.state_dict()["batch"] == 0
    for done in range(1, 4):
        next(running)
        assert dl.state_dict() == {"epoch": 0, "batch": done, "seed": dl.current_seed()}


def test_a_pass_that_ended_is_over_and_one_that_was_dropped_is_not():
    dl = DataLoader(range(20), 10, shuffle=True, seed=1)
    list(dl)
    assert dl.state_dict() == {"epoch": 1, "batch": 0, "seed": 1}
    for _ in dl:
        break
    dl.one_batch(), dl.batch_of([0, 1])
    assert dl.state_dict() == {"epoch": 1, "batch": 1, "seed": 1}
    validation = DataLoader(range(20), 10, split_idx=1)
    next(iter(validation))
    assert validation.state_dict()["epoch"] == 0 and validation.state_dict()["batch"] == 1


def test_set_epoch_begins_an_epoch_at_its_start():
    dl = DataLoader(range(20), 10, shuffle=True, seed=1)
    next(iter(dl))
    dl.set_epoch(5)
    assert dl.state_dict() == {"epoch": 5, "batch": 0, "seed": 1}
    dl.load_state_dict({"epoch": 5, "batch": 1, "seed": 1})
    dl.set_epoch(5)  # as a training loop may say at the start of each epoch
    assert len(list(dl)) == 1
    dl.load_state_dict({"epoch": 5, "batch": 1, "seed": 1})
    dl.set_epoch(6)
    assert len(list(dl)) == 2


def test_the_seed_of_the_process_is_part_of_the_state():
    set_seed(1)
    dl = DataLoader(range(20), 10, shuffle=True)
    running = iter(dl)
    next(running)
    state, rest, following = dl.state_dict(), next(running), list(dl)
    set_seed(2)
    other = DataLoader(range(20), 10, shuffle=True)
    other.load_state_dict(state)
    assert torch.equal(next(iter(other)), rest)
    assert same(list(other), following)
    with pytest.warns(UserWarning, match="seed=7 is not used any more.* has the seed 1") as told:
        DataLoader(range(20), 10, seed=7).load_state_dict(state)
    assert told[0].filename == __file__


def test_a_state_with_batches_that_could_not_be_read(picture_folder):
    files = direct(picture_folder, num_workers=0, shuffle=False).dataset.items
    for file in files[5:10]:  # a whole batch
        file.write_bytes(b"")

    def loader(num_workers):
        dl = pictures(
            picture_folder, Resize(40), shuffle=False, on_bad="skip", num_workers=num_workers
        )
        dl.quarantine.limit = 0.5
        return dl

    with pytest.warns(UserWarning, match="5 pictures could not be read"):
        whole = list(loader(0))
    dl = loader(2)
    running = iter(dl)
    given = [next(running) for _ in range(2)]
    after = loader(1)
    after.load_state_dict(dl.state_dict())
    assert same(given + list(after), whole)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, r"holds numbers named epoch, batch and seed.*but got \{\}"),
        ({"epoch": 1, "batch": "x", "seed": 1}, "holds numbers named"),
        (None, "holds numbers named epoch, batch and seed"),
        ({"epoch": 1, "batch": 3, "seed": 1}, "before its batch 3, but .* has 2 batches"),
        ({"epoch": 1, "batch": -1, "seed": 1}, "before its batch -1"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(range(20), 10).load_state_dict(state)


SCRIPT = """
import json, os, sys
from presize.vision.all import *

def main():
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=Resize(40),
        batch_tfms=aug_transforms(size=24),
    )
    dl = block.dataloaders(sys.argv[1], bs=5, num_workers=2).train
    dl.load_state_dict(json.loads(sys.argv[2]))
    for epoch in range(2):
        for x, y in dl:
            state = dl.state_dict()
            print(json.dumps([x.double().sum().item(), y.tolist(), state]), flush=True)
            if sys.argv[3:] == ["kill"] and epoch and state["batch"] == 2:
                os.kill(os.getpid(), 9)

main()
"""


def test_a_run_that_was_killed_goes_on_to_the_bit(picture_folder):
    def run(state, *more):
        command = [sys.executable, "-c", SCRIPT, str(picture_folder), json.dumps(state), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    first = run({"epoch": 0, "batch": 0, "seed": 3}, "kill")
    assert len(first) == 6  # an epoch of 4, and 2 of the next
    resumed = run(first[1][2])
    assert [one[:2] for one in resumed[:4]] == [one[:2] for one in first[2:]]
