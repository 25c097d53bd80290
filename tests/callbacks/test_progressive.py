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
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.progressive import ProgressiveResize, _blank
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


class Square(nn.Module):
    """A model with dropout and batch norm that takes pictures of one size alone, if any is set."""

    def __init__(self, side: int | None) -> None:
        super().__init__()
        self.side = side
        self.body = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(), nn.Linear(12, 2))
        self.looks: list[tuple[bool, tuple[int, ...]]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.looks.append((self.training, tuple(x.shape)))
        if self.side not in (None, x.shape[-1]):
            raise AssertionError(f"Input height ({x.shape[-1]}) doesn't match model ({self.side}).")
        if not self.training:
            torch.rand(3)
        out: Tensor = self.head(self.body(x))
        return out


def square(dls: DataLoaders, side: int | None, *cbs: Callback) -> Learner:
    torch.manual_seed(0)
    learn = Learner(dls, Square(side), cbs=cbs)
    learn.logger = lambda row: None
    with learn.no_bar():
        learn.fit(1)
    return learn


def test_a_model_of_one_size_is_found_out_with_the_first_batch(picture_folder: Path) -> None:
    dls = loaders(picture_folder, aug_transforms(size=16))
    for sizes in ({0: 16, 9: 24}, {0: 24}):
        with pytest.raises(TrainingError, match=r"the model, Square, fails on a picture of 24x24"):
            square(dls, 16, ProgressiveResize(sizes))
    square(dls, 16, ProgressiveResize({0: 16}))
    assert dls.one_batch()[0].shape[-2:] == (16, 16)


def test_asking_the_model_leaves_no_trace(picture_folder: Path) -> None:
    dls = loaders(picture_folder, aug_transforms(size=16))
    asked = square(dls, None, ProgressiveResize({0: 16, 7: (20, 28), 8: 16}))
    dls.train.set_epoch(0)
    plain = square(dls, None)
    looks, others = asked.model.looks, plain.model.looks
    assert isinstance(looks, list) and isinstance(others, list)
    assert looks[:2] == [(False, (1, 3, 16, 16)), (False, (1, 3, 20, 28))]
    assert looks[2:] == others
    state = plain.model.state_dict()
    for name, value in asked.model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert asked.model.state_dict()["body.0.num_batches_tracked"] == 3


def test_one_item_of_what_is_no_picture() -> None:
    xb = (torch.ones(4, 5), torch.ones(4, 3, 8, 8), torch.ones(4, 2, 3, 3), {"a": torch.ones(4)})
    shapes = [x.shape for x in _blank(xb, (6, 7))[:3]]
    assert shapes == [(1, 5), (1, 3, 6, 7), (1, 2, 3, 3)]
    assert _blank(xb, (6, 7))[3]["a"].shape == (1,)


class _Fails(Callback):
    """Fails at an event, as if the run were killed there."""

    def __init__(self, event: str, order: float, at: int = 0) -> None:
        self.order, self.event, self.at = order, event, at

    def after_batch(self, learn: Learner) -> None:
        if self.event == "after_batch" and learn.training and learn.train_iter == self.at:
            raise KeyError("stop")

    def before_fit(self, learn: Learner) -> None:
        if self.event == "before_fit":
            raise KeyError("stop")

    def after_fit(self, learn: Learner) -> None:
        if self.event == "after_fit":
            raise KeyError("stop")


@pytest.mark.parametrize("order", [-20, 200])
@pytest.mark.parametrize("event", ["before_fit", "after_batch", "after_fit"])
def test_the_loaders_are_as_before_whoever_fails(
    event: str, order: float, picture_folder: Path
) -> None:
    dls = loaders(picture_folder, aug_transforms(size=32))
    before = _sizes(dls)
    resize = ProgressiveResize({0: 16})
    with pytest.raises(KeyError):
        trained(dls, 1, resize, _Fails(event, order, 2))
    assert _sizes(dls) == before
    assert sides(trained(dls, 1, resize).train) == [(16, 16)]
    assert _sizes(dls) == before


def test_a_size_that_was_left_behind_is_not_taken_for_the_own(
    picture_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dls = loaders(picture_folder, aug_transforms(size=32))
    before, resize = _sizes(dls), ProgressiveResize({0: 16}, valid=False)
    with monkeypatch.context() as patch:
        # As if after_fit had been interrupted before it did anything.
        patch.setattr(ProgressiveResize, "after_fit", lambda self, learn: None)
        trained(dls, 1, resize)
    assert _sizes(dls) != before
    assert sides(trained(dls, 1, resize).valid) == [(32, 32)]
    assert _sizes(dls) == before


class Clock(Callback):
    """Sets the progress of the schedule as a limit of time does."""

    order = -9
    run_valid = False
    progress = 0.0

    def before_epoch(self, learn: Learner) -> None:
        learn.pct_train = self.progress

    def after_batch(self, learn: Learner) -> None:
        self.progress = learn.pct_train

    def state_dict(self) -> dict[str, Any]:
        return {"progress": self.progress}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.progress = state["progress"]


def test_a_run_that_was_killed_keeps_the_size_of_its_epoch(
    picture_folder: Path, tmp_path: Path
) -> None:
    def run(*cbs: Callback, resume: bool = False) -> Seen:
        seen = Seen()
        torch.manual_seed(0)
        model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
        dls = loaders(picture_folder, aug_transforms(size=32))
        # The second size is due in the middle of the only epoch, and waits for its end.
        resize = ProgressiveResize({0.0: 16, 0.3: 24})
        learn = Learner(dls, model, cbs=[seen, Clock(), resize, *cbs], path=tmp_path)
        learn.logger = lambda row: None
        with learn.no_bar():
            learn.resume() if resume else learn.fit(1)
        return seen

    whole = run()
    with pytest.raises(KeyError):
        run(Checkpoints(every_steps=1), _Fails("after_batch", 2000, 2))
    rest = run(Checkpoints(every_steps=1), resume=True)
    assert [x.shape[-1] for x in whole.train[0]] == [16] * 3
    left = len(rest.train[0])
    assert 0 < left < 3
    for again, once in zip(rest.train[0], whole.train[0][-left:], strict=True):
        assert torch.equal(again, once)


def test_validating_in_the_middle_of_an_epoch_leaves_its_size(picture_folder: Path) -> None:
    class Validates(Callback):
        run_valid = False

        def after_batch(self, learn: Learner) -> None:
            learn.validate()

    dls = loaders(picture_folder, aug_transforms(size=32))
    seen = trained(dls, 1, ProgressiveResize({0: 16}, valid=False), Validates())
    assert {tuple(x.shape[-2:]) for x in seen.train[0]} == {(16, 16)}
    assert {tuple(x.shape[-2:]) for epoch in seen.valid for x in epoch} == {(32, 32)}


def _sizes(dls: DataLoaders) -> list[Any]:
    return [
        getattr(step, "size", None)
        for dl in dls
        for t in dl.after_batch
        for step in getattr(t, "transforms", [t])
    ]
