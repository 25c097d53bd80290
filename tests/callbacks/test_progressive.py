"""Progressive resizing: the pictures of each epoch are those of loaders made for their size."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from presize.augment.geometry import Flip, RandomResizedCropGPU, Rotate
from presize.augment.presets import aug_transforms
from presize.callbacks.base import Callback
from presize.callbacks.progressive import ProgressiveResize
from presize.core.errors import TrainingError
from presize.data.folders import ImageDataLoaders
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.learner import Learner

BATCH_TFMS: dict[str, Any] = {
    "sized": lambda size: aug_transforms(size=size),
    "cropped": lambda size: [Flip(size=None), RandomResizedCropGPU(size, min_scale=0.5)],
    "policy": lambda size: aug_transforms(size=size, max_rotate=0.0, min_scale=0.6),
}
UNSIZED: dict[str, Any] = {
    "none": [],
    "moved": [Rotate(30, p=1.0, mode="bicubic"), Flip()],
}


def loaders(folder: Path, batch_tfms: Any, item: int = 40) -> DataLoaders:
    dls = ImageDataLoaders.from_folder(
        folder,
        item_tfms=Resize(item),
        batch_tfms=batch_tfms,
        bs=8,
        num_workers=0,
        valid="valid",
        device="cpu",
    )
    dls.train.seed = 3
    return dls


class Seen(Callback):
    """Keeps the pictures of every batch."""

    def __init__(self) -> None:
        self.train: list[list[Tensor]] = []
        self.valid: list[list[Tensor]] = []

    def before_train(self, learn: Learner) -> None:
        self.train.append([])

    def before_validate(self, learn: Learner) -> None:
        self.valid.append([])

    def before_batch(self, learn: Learner) -> None:
        (self.train if learn.training else self.valid)[-1].append(learn.xb[0].clone())


def trained(dls: DataLoaders, n: int, *cbs: Callback, start_epoch: int = 0) -> Seen:
    seen = Seen()
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    learn = Learner(dls, model, cbs=[seen, *cbs])
    learn.logger = lambda row: None
    with learn.no_bar():
        learn.fit(n, start_epoch=start_epoch)
    return seen


def sides(batches: list[list[Tensor]]) -> list[tuple[int, ...]]:
    return [tuple(x.shape[-2:]) for epoch in batches for x in epoch[:1]]


@pytest.mark.parametrize("name", BATCH_TFMS)
def test_pictures_are_those_of_loaders_made_for_the_size(name: str, picture_folder: Path) -> None:
    make = BATCH_TFMS[name]
    dls = loaders(picture_folder, make(32))
    before = _sizes(dls)
    seen = trained(dls, 3, ProgressiveResize({0: 16, 2: (24, 20)}))
    assert sides(seen.train) == sides(seen.valid) == [(16, 16), (16, 16), (24, 20)]
    assert _sizes(dls) == before
    assert dls.one_batch()[0].shape[-2:] == (32, 32)
    for epoch, size in enumerate([16, 16, (24, 20)]):
        alike = loaders(picture_folder, make(size))
        alike.train.set_epoch(epoch)
        for got, (wanted, _) in zip(seen.train[epoch], alike.train, strict=True):
            assert torch.equal(got, wanted.as_subclass(Tensor))
        for got, (wanted, _) in zip(seen.valid[epoch], alike.valid, strict=True):
            assert torch.equal(got, wanted.as_subclass(Tensor))


@pytest.mark.parametrize("name", UNSIZED)
def test_a_step_is_added_where_nothing_sets_the_size(name: str, picture_folder: Path) -> None:
    dls = loaders(picture_folder, UNSIZED[name])
    before = [list(dl.after_batch) for dl in dls]
    kept = [t.draw_name for dl in dls for t in dl.after_batch]
    seen = trained(dls, 2, ProgressiveResize({0: 20, 1: 30}))
    assert sides(seen.train) == sides(seen.valid) == [(20, 20), (30, 30)]
    assert [list(dl.after_batch) for dl in dls] == before
    assert [t.draw_name for dl in dls for t in dl.after_batch] == kept
    assert dls.one_batch()[0].shape[-2:] == (40, 40)
    # Moved by the same draws: averaged over all pixels they hardly differ from the full size.
    whole = trained(loaders(picture_folder, UNSIZED[name]), 2)
    for small, large in zip(seen.train[1], whole.train[1], strict=True):
        torch.testing.assert_close(small.mean((2, 3)), large.mean((2, 3)), rtol=0, atol=0.03)


def test_parts_of_a_fit_and_epochs_before_the_first_key() -> None:
    parts = ProgressiveResize({0.0: 8, 0.3: 16, 0.5: 24})
    assert [parts.size_at(e, e / 10) for e in range(10)] == [(8, 8)] * 3 + [(16, 16)] * 2 + [
        (24, 24)
    ] * 5
    assert [parts.size_at(e, e / 3) for e in range(3)] == [(8, 8), (16, 16), (24, 24)]
    assert parts.size_at(1, 0.5) == (24, 24)  # half of the time of a fit with max_time is over
    late = ProgressiveResize({2: 24})
    assert [late.size_at(e, e / 4) for e in range(4)] == [None, None, (24, 24), (24, 24)]
    assert repr(late) == "ProgressiveResize({2: 24})"


def test_validation_at_its_own_size_a_later_start_and_an_error(picture_folder: Path) -> None:
    dls = loaders(picture_folder, aug_transforms(size=32))
    sizes = {0: 16, 1: 24}
    seen = trained(dls, 2, ProgressiveResize(sizes, valid=False))
    assert sides(seen.train) == [(16, 16), (24, 24)]
    assert sides(seen.valid) == [(32, 32)] * 2
    assert sides(trained(dls, 2, ProgressiveResize(sizes), start_epoch=1).train) == [(24, 24)]

    class Fails(Callback):
        def after_train(self, learn: Learner) -> None:
            raise KeyError("stop")

    before = _sizes(dls)
    with pytest.raises(KeyError):
        trained(dls, 2, ProgressiveResize(sizes), Fails())
    assert _sizes(dls) == before
    assert 32 in {size[0] for size in before if size is not None}


def test_a_rate_looked_for_in_mid_run_leaves_the_sizes(picture_folder: Path) -> None:
    all_sizes: list[tuple[int, ...]] = []

    class Looks(Callback):
        """Calls lr_find before the second epoch; notes the size of every batch of training."""

        run_valid = False
        done = False

        def before_epoch(self, learn: Learner) -> None:
            if learn.epoch == 1 and learn.n_epoch == 3 and not self.done:
                self.done = True
                all_sizes.clear()
                learn.lr_find(num_it=10, show_plot=False)
                all_sizes.append(())

        def before_batch(self, learn: Learner) -> None:
            all_sizes.append(tuple(learn.xb[0].shape[-2:]))

    dls = loaders(picture_folder, aug_transforms(size=32))
    before = _sizes(dls)
    seen = trained(dls, 3, ProgressiveResize({0: 16, 1: 20, 2: 24}), Looks())
    assert sides(seen.train) == [(16, 16), (20, 20), (24, 24)]
    # The search, at one size of its own run, and then the rest of the fit.
    search, rest = all_sizes[: all_sizes.index(())], all_sizes[all_sizes.index(()) + 1 :]
    assert len(search) == 10 and len(set(search)) == 1
    assert list(dict.fromkeys(rest)) == [(20, 20), (24, 24)]
    assert _sizes(dls) == before


def test_enlarging_warns_and_the_size_of_the_items_does_not(picture_folder: Path) -> None:
    dls = loaders(picture_folder, aug_transforms(size=32), item=32)
    with pytest.warns(UserWarning, match=r"asks for 48x48 pixels, but Resize in item_tfms leaves"):
        trained(dls, 1, ProgressiveResize({0: 16, 3: 48}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(dls, 1, ProgressiveResize({0: 16, 3: 32}))


def test_what_cannot_be_resized_is_named(picture_folder: Path) -> None:
    for keys in ({-1: 8}, {0.5: 8, 3: 9}, {1.0: 8}, {True: 8}, {"a": 8}):
        with pytest.raises(ValueError, match=r"takes \{epoch: size\}.*but got the key"):
            ProgressiveResize(keys)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got no sizes"):
        ProgressiveResize({})
    with pytest.raises(ValueError, match=r"A picture size is one positive whole number"):
        ProgressiveResize({0: 0})
    pairs = [(torch.rand(3, 8, 8), torch.tensor(0))] * 4
    plain = DataLoaders(DataLoader(pairs, 2), DataLoader(pairs, 2), device="cpu")
    learn = Learner(plain, nn.Flatten(), nn.CrossEntropyLoss(), cbs=ProgressiveResize({0: 4}))
    learn.model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with pytest.raises(TypeError, match=r"batch transforms of presize's own loaders"):
        learn.fit(1)
    dls = loaders(picture_folder, [])
    learn = Learner(dls, nn.Linear(2, 2), cbs=ProgressiveResize({0: 16}))
    learn.model.spec = {"img_size": 224, "name": "vit_b_16"}  # type: ignore[assignment]
    with pytest.raises(TrainingError, match=r"this model, vit_b_16, was made for 224 pixels"):
        learn.fit(1)


def _sizes(dls: DataLoaders) -> list[Any]:
    return [
        getattr(step, "size", None)
        for dl in dls
        for t in dl.after_batch
        for step in getattr(t, "transforms", [t])
    ]
