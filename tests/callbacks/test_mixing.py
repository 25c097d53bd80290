"""MixUp, CutMix and both: what the model and the loss see, against the definitions."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.augment.mix import generator
from presize.augment.policies import RandAugment
from presize.augment.presets import aug_transforms
from presize.callbacks.base import Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.mixing import CutMix, CutMixUp, MixUp
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.progressive import ProgressiveResize
from presize.callbacks.recorder import Recorder
from presize.core.errors import TrainingError
from presize.data.folders import ImageDataLoaders
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.learner import Learner
from presize.train.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    LabelSmoothingCrossEntropy,
    MSELossFlat,
)
from presize.train.metrics import accuracy
from presize.train.optim import SGD

KINDS = [MixUp, CutMix, CutMixUp]
HW = (6, 5)
CLASSES = 4


def items(n: int = 20, target: Any = None) -> list[tuple[Tensor, Any]]:
    g = torch.Generator().manual_seed(0)
    x = torch.rand(n, 3, *HW, generator=g)
    y = torch.randint(CLASSES, (n,), generator=g)
    return [(x[i], y[i] if target is None else target(y[i])) for i in range(n)]


def net(n_out: int = CLASSES) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 4 * 3, n_out))


def learner(*cbs: Callback, target: Any = None, n_out: int = CLASSES, **options: Any) -> Learner:
    dls = DataLoaders(
        DataLoader(items(20, target), 8, shuffle=True, seed=5),
        DataLoader(items(8, target), 8),
        device="cpu",
    )
    options = {"loss_func": CrossEntropyLossFlat(), "opt_func": SGD, "lr": 0.1} | options
    learn = Learner(dls, net(n_out), cbs=cbs, **options)
    learn.logger = lambda row: None
    return learn


class Seen(Callback):
    """Keeps what the model and the loss saw, and what came with the batch."""

    order = 900

    def __init__(self) -> None:
        self.before: list[tuple[Any, Any]] = []
        self.batches: list[tuple[bool, Tensor, Tensor]] = []
        self.after: list[Tensor] = []

    def before_batch(self, learn: Learner) -> None:
        self.before.append(tuple(learn.typed_batch))  # type: ignore[arg-type]
        self.batches.append((learn.training, learn.xb[0], learn.yb[0]))

    def after_batch(self, learn: Learner) -> None:
        self.after.append(learn.yb[0])


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_mixed_in_training_only_and_the_loss_is_that_of_both_targets(
    kind: Any,
) -> None:
    mixer, seen = kind(classes=CLASSES), Seen()
    learn = learner(mixer, seen, lr=0.0)
    learn.fit(1)
    assert [training for training, _, _ in seen.batches] == [True] * 3 + [False]
    assert torch.equal(seen.batches[3][1], seen.before[3][0])
    assert torch.equal(seen.batches[3][2], seen.before[3][1])
    for step, ((x, y), (_, mixed, soft)) in enumerate(
        zip(seen.before[:3], seen.batches[:3], strict=True)
    ):
        plan = mixer.plan(generator(5, 1, step, 0, kind.__name__), len(x), HW)
        assert soft.shape == (len(x), CLASSES) and soft.dtype == torch.float32
        torch.testing.assert_close(soft.sum(1), torch.ones(len(x)))
        pred = learn.model(mixed)
        # The definition: share * loss of the one target + the rest * loss of the other.
        share, other = torch.from_numpy(plan.share).float(), y[plan.partner.tolist()]
        one, two = (F.cross_entropy(pred, t, reduction="none") for t in (y, other))
        torch.testing.assert_close(
            learn.loss_func(pred, soft), (share * one + (1 - share) * two).mean()
        )
        assert not torch.equal(mixed, x)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_those_of_the_epoch_in_every_run_and_go_on_from_fit_to_fit(kind: Any) -> None:
    def soft(fits: list[int]) -> list[Tensor]:
        seen = Seen()
        learn = learner(kind(classes=CLASSES), seen)
        for n in fits:
            learn.fit(n)
        return [x for training, x, _ in seen.batches if training]

    one, again, apart = soft([2]), soft([2]), soft([1, 1])
    for a, b, c in zip(one, again, apart, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    assert not torch.equal(one[0], one[3])


def test_a_pass_that_was_left_goes_on_with_the_same_mixtures() -> None:
    whole, rest = Seen(), Seen()
    learner(MixUp(classes=CLASSES), whole).fit(1)
    learn = learner(MixUp(classes=CLASSES), rest)
    learn.dls.train.load_state_dict({"epoch": 0, "batch": 1, "seed": 5})

    class Later(Callback):
        """Counts the batches as a resumed run does."""

        order = -20

        def before_batch(self, learn: Learner) -> None:
            learn.iter += learn.training

    learn.add_cb(Later())
    learn.fit(1)
    for (_, x, y), (_, x2, y2) in zip(whole.batches[1:3], rest.batches[:2], strict=True):
        assert torch.equal(x, x2) and torch.equal(y, y2)


@pytest.mark.parametrize("kind", KINDS)
def test_training_metrics_see_the_class_with_the_larger_share(kind: Any) -> None:
    seen = Seen()
    learn = learner(kind(classes=CLASSES), seen, metrics=accuracy)
    learn.remove_cb(learn.recorder)
    learn.recorder = Recorder(train_metrics=True)
    learn.add_cb(learn.recorder)
    learn.fit(1)
    for (_, _, soft), hard in zip(seen.batches[:3], seen.after[:3], strict=True):
        assert hard.dtype == torch.int64
        rows = torch.arange(len(hard))
        assert (soft[rows, hard] >= 0.5 - 1e-6).all()
    assert 0 <= learn.recorder.values[0][1] <= 1


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), F.cross_entropy, None])
def test_losses_of_classes(loss: Any) -> None:
    seen = Seen()
    loss = LabelSmoothingCrossEntropy() if loss is None else loss
    learner(MixUp(classes=CLASSES), seen, loss_func=loss).fit(1)
    assert seen.batches[0][2].shape == (8, CLASSES)


def test_values_alike_are_blended() -> None:
    mixer, seen = MixUp(), Seen()
    learn = learner(
        mixer, seen, target=lambda y: torch.tensor([float(y)]), n_out=1, loss_func=MSELossFlat()
    )
    learn.fit(1)
    y, blended = seen.before[0][1], seen.batches[0][2]
    plan = mixer.plan(generator(5, 1, 0, 0, "MixUp"), 8, HW)
    share = torch.from_numpy(plan.share).float()[:, None]
    torch.testing.assert_close(blended, y * share + y[plan.partner.tolist()] * (1 - share))
    assert torch.equal(seen.after[0], blended)  # a quantity stays what the loss saw

    seen = Seen()
    learn = learner(
        CutMix(),
        seen,
        target=lambda y: F.one_hot(y, CLASSES).float(),
        loss_func=BCEWithLogitsLossFlat(),
    )
    learn.fit(1)
    assert seen.batches[0][2].shape == (8, CLASSES)
    assert ((seen.batches[0][2] > 0).sum(1) <= 2).all()


def test_parts_of_a_batch_have_the_gradients_of_the_whole() -> None:
    class Room(Callback):
        """Lets three items of a batch fit into memory."""

        def before_train(self, learn: Learner) -> None:
            learn.parts.room["training"] = 3

    class Parts(Callback):
        def __init__(self) -> None:
            self.sizes: list[int] = []

        def after_pred(self, learn: Learner) -> None:
            if learn.training:
                self.sizes.append(len(learn.pred))

    def weights(parts: list[int], *cbs: Callback) -> list[Tensor]:
        learn, seen = learner(CutMixUp(classes=CLASSES)), Parts()
        learn.fit(1, cbs=[seen, *cbs])
        assert seen.sizes == parts
        return [p.detach().clone() for p in learn.model.parameters()]

    whole, in_parts = weights([8, 8, 4]), weights([3, 3, 2, 3, 3, 2, 2, 2], Room())
    for a, b in zip(whole, in_parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_the_number_of_classes_comes_from_the_model_or_the_data(picture_folder: Path) -> None:
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(16), bs=8, num_workers=0, valid="valid"
    )
    seen = Seen()
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    learn = Learner(dls, model, cbs=[MixUp(), seen])
    learn.logger = lambda row: None
    learn.fit(1)
    assert seen.batches[0][2].shape == (8, 2)
    learn = learner(MixUp())
    learn.model.spec = {"n_out": CLASSES}  # type: ignore[assignment]
    learn.fit(1)
    with pytest.raises(TrainingError, match=r"how many classes there are\. Say it: MixUp\(class"):
        learner(MixUp()).fit(1)


def test_what_cannot_be_mixed_is_refused() -> None:
    def my_loss(pred: Tensor, targ: Tensor) -> Tensor:
        return F.cross_entropy(pred, targ)

    def refused(match: str, *cbs: Callback, **options: Any) -> None:
        with pytest.raises(TrainingError, match=match):
            learner(*cbs, **options).fit(1)

    refused(r"MixUp\(0\.4\) and CutMix\(1\) would mix what is mixed", MixUp(), CutMix())
    refused(r"does not know what targets my_loss takes.*kind = 'alike'", MixUp(), loss_func=my_loss)
    refused(r"which nll_loss does not take", MixUp(), loss_func=F.nll_loss)
    refused(
        r"a class for each of many places",
        MixUp(classes=CLASSES),
        target=lambda y: y.repeat(3, 3),
        loss_func=CrossEntropyLossFlat(axis=1),
    )
    refused(r"none of the 2 classes, which are numbered from 0 to 1", MixUp(classes=2))
    my_loss.kind = "classes"  # type: ignore[attr-defined]
    learner(MixUp(classes=CLASSES), loss_func=my_loss).fit(1)
    with pytest.raises(ValueError, match=r"CutMixUp: cutmix_alpha must be above 0, got 0"):
        CutMixUp(0.4, 0)
    with pytest.raises(ValueError, match=r"p_cutmix is a probability"):
        CutMixUp(p_cutmix=2)


def test_the_scale_of_the_loss_stays_also_with_class_weights() -> None:
    weight = torch.tensor([10.0, 10.0, 10.0, 10.0])
    figures = []
    for cbs in ([], [MixUp(p=0.0, classes=CLASSES)]):
        learn = learner(*cbs, loss_func=CrossEntropyLossFlat(weight=weight), lr=0.0)
        learn.fit(1)
        figures.append(learn.recorder.values[0][0])
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)
    for loss in (
        nn.CrossEntropyLoss(weight=weight),
        partial(F.cross_entropy, weight=weight),
    ):
        with pytest.raises(
            TrainingError, match=r"not by their class weights, .* Use CrossEntropyLo"
        ):
            learner(MixUp(classes=CLASSES), loss_func=loss).fit(1)
    with pytest.raises(
        TrainingError, match=r"has no class to ignore, .*Flat\(ignore_index=\.\.\.\)"
    ):
        learner(CutMix(classes=CLASSES), loss_func=nn.CrossEntropyLoss(ignore_index=0)).fit(1)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1, reduction="mean")
    learner(MixUp(classes=CLASSES), loss_func=smooth).fit(1)


def test_boxes_want_pictures_of_one_size() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(2, 2)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            out: Tensor = self.last(torch.stack([a.mean((1, 2, 3)), b.mean((1, 2, 3))], 1))
            return out

    def fit(side: int, cb: Callback) -> None:
        triples = [
            (torch.rand(1, 8, 8), torch.rand(1, side, side), torch.tensor(i % 2)) for i in range(4)
        ]
        dls = DataLoaders(DataLoader(triples, 4), DataLoader(triples, 4), device="cpu")
        learn = Learner(dls, Both(), CrossEntropyLossFlat(), cbs=cb)
        learn.logger = lambda row: None
        learn.fit(1)

    fit(8, CutMix(classes=2))
    fit(4, MixUp(classes=2))
    for cb in (CutMix(classes=2), CutMixUp(classes=2)):
        with pytest.raises(
            TrainingError, match=r"pictures of 8x8 and 4x4\. Bring them to one size"
        ):
            fit(4, cb)


def test_inputs_that_cannot_be_mixed_are_refused() -> None:
    for kind, x, match in [
        (MixUp, torch.zeros(3, 4, 4, dtype=torch.uint8), r"an input is uint8.*IntToFloatTensor"),
        (CutMix, torch.zeros(4), r"CutMix\(1\) cuts boxes out of pictures.*MixUp\(\) takes"),
    ]:
        pairs = [(x, torch.tensor(0))] * 4
        dls = DataLoaders(DataLoader(pairs, 4), DataLoader(pairs, 4), device="cpu")
        learn = Learner(dls, nn.Linear(4, 2), CrossEntropyLossFlat(), cbs=kind(classes=2))
        with pytest.raises(TrainingError, match=match):
            learn.fit(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixed_batch_can_be_drawn(kind: Any, picture_folder: Path) -> None:
    from matplotlib import pyplot as plt

    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(16), bs=8, num_workers=0, valid="valid"
    )
    before = dls.train.state_dict()
    kind(p=0.8).show(dls, max_n=6)
    titles = [axes.get_title() for axes in plt.gcf().axes if axes.get_title()]
    assert len(titles) == 6
    assert any("%" in title for title in titles)
    assert all("cat" in title or "dog" in title for title in titles)
    assert dls.train.state_dict() == before
    with pytest.raises(TypeError, match=r"show needs a loader that knows its transforms"):
        kind().show(learner().dls)


class _Stops(Callback):
    """Ends the run by an error at a step, as if it were killed.

    By its underscore it is no part of the run, which goes on without it.
    """

    order = 2000

    def __init__(self, step: int) -> None:
        self.step = step

    def after_batch(self, learn: Learner) -> None:
        if learn.training and learn.train_iter == self.step:
            raise KeyError("stop")


@pytest.mark.parametrize("step", [4, 9])
def test_a_run_that_was_stopped_goes_on_to_the_bit(
    step: int, picture_folder: Path, tmp_path: Path
) -> None:
    def made(*cbs: Callback) -> Learner:
        dls = ImageDataLoaders.from_folder(
            picture_folder,
            item_tfms=Resize(32),
            batch_tfms=aug_transforms(size=24, xtra_tfms=RandAugment()),
            bs=4,
            num_workers=0,
            valid="valid",
            device="cpu",
        )
        dls.train.seed = 3
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        model.append(nn.Linear(16, 2))
        mixing = [CutMixUp(), ProgressiveResize({0: 16, 1: 24})]
        learn = Learner(dls, model, cbs=[*mixing, *cbs], path=tmp_path)
        learn.logger = lambda row: None
        learn.remove_cbs([cb for cb in learn.cbs if isinstance(cb, ProgressCallback)])
        return learn

    whole = made()
    whole.fit(2)
    with pytest.raises(KeyError):
        made(Checkpoints(every_steps=2), _Stops(step)).fit(2)
    again = made(Checkpoints(every_steps=2))
    again.resume()
    assert [list(row) for row in again.recorder.values] == [
        list(row) for row in whole.recorder.values
    ]
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
