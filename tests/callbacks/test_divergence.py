import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from presize.callbacks import divergence
from presize.callbacks.base import Callback, CancelBatch, CancelFit
from presize.callbacks.divergence import DivergenceWatch
from presize.core.errors import TrainingError
from presize.core.transform import Transform
from presize.data.folders import ImageDataLoaders
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.learner import Learner
from presize.tensors import TensorImage
from presize.train.optim import SGD

QUIET = {"show_plot": False, "suggest_funcs": ()}


def plain_learner(n_batches=10, lr=0.001):
    batches = [(torch.ones(4, 3) * i, torch.ones(4, 1)) for i in range(n_batches)]
    dls = DataLoaders(batches, batches[:1], device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=lr)


class Spoil(Callback):
    """Makes the loss of one step what it is told to."""

    order = -1

    def __init__(self, step, value=float("nan")):
        self.step, self.value = step, value

    def after_loss(self, learn):
        if learn.training and learn.train_iter == self.step:
            learn.loss = learn.loss * self.value


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(12):
        folder = root / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


def picture_learner(pictures, *, batch_tfms=None, **options):
    dls = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=1, item_tfms=Resize(8), batch_tfms=batch_tfms, bs=4,
        num_workers=0, device="cpu",
    )  # fmt: skip
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    learn = Learner(dls, model, opt_func=SGD, lr=0.01, **options)
    learn.logger = lambda cells: None
    return learn


def state_of(learn):
    return {name: value.clone() for name, value in learn.model.state_dict().items()}


# ---- on a CPU ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "word"), [("nan", "nan"), ("inf", "inf"), ("-inf", "-inf")])
def test_the_step_is_named_and_the_weights_are_those_before_it(value, word):
    learn, alone = plain_learner(), plain_learner()
    alone.model.load_state_dict(learn.model.state_dict())

    class Stop(Callback):
        def before_batch(self, learn):
            if learn.train_iter == 13:
                raise CancelFit

    with alone.no_logging():
        alone.fit(2, cbs=Stop())
    with (
        learn.no_logging(),
        pytest.raises(
            TrainingError,
            match=rf"The loss became {word} at step 14 \(epoch 1, batch 4 of 10\), with the rate "
            r"0.001. The weights are those of before this step. Train with a lower rate, which "
            r"learn.lr_find\(\) suggests",
        ),
    ):
        learn.fit(2, cbs=Spoil(13, float(value)))
    assert all(torch.equal(v, alone.model.state_dict()[n]) for n, v in state_of(learn).items())
    with learn.no_logging():
        learn.fit(1)  # and it trains on


def test_the_files_of_the_batch_are_named(pictures):
    learn = picture_learner(pictures)
    seen = []

    class See(Callback):
        def before_batch(self, learn):
            if learn.train_iter == 3:
                seen.append(learn.xb[0].clone())

    with pytest.raises(TrainingError, match="The batch was made of `.*png`, `") as caught:
        learn.fit(3, cbs=[Spoil(3), See()])
    assert "(epoch 1, batch 2 of 2)" in str(caught.value)
    named = re.findall(r"`([^`]*png)`", str(caught.value))
    assert len(named) == 4
    for name, x in zip(named, seen[0], strict=True):
        pixels = np.asarray(Image.open(name).convert("RGB"), dtype=np.float32) / 255
        assert np.allclose(x.permute(1, 2, 0).numpy(), pixels, atol=1e-6), Path(name)


def test_a_picture_that_the_transforms_spoil_is_named_alone(pictures):
    class Spoils(Transform):
        """Divides the third picture by nothing."""

        split_idx, order = 0, 50  # after the pictures are floats

        def encodes(self, x: TensorImage):
            x = x.clone()
            x[2] /= 0.0 * x[2]
            return x

    learn = picture_learner(pictures, batch_tfms=[Spoils()])
    with pytest.raises(
        TrainingError,
        match=r"The model's inputs are no numbers for `[^`]*png`. The weights .* "
        r"Look at these pictures and at what the transforms do to them.",
    ) as caught:
        learn.fit(1)
    assert len(re.findall(r"`[^`]*png`", str(caught.value))) == 1


def test_no_file_is_named_where_a_batch_before_could_not_be_read(pictures, tmp_path):
    named = []
    for step in (0, 8):
        folder = shutil.copytree(pictures, tmp_path / f"{step}")
        dls = ImageDataLoaders.from_folder(
            folder, valid_pct=0.1, seed=2, item_tfms=Resize(8), bs=1, num_workers=0, device="cpu",
            on_bad="skip", shuffle=False, cache=False,
        )  # fmt: skip
        learn = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), opt_func=SGD)
        learn.logger = lambda cells: None
        dls.train.dataset.items[4].write_bytes(b"no picture")
        with pytest.raises(TrainingError, match=f"at step {step + 1} ") as caught:
            learn.fit(1, cbs=Spoil(step))
        named.append("The batch was made of" in str(caught.value))
    assert named == [True, False]


def test_an_item_that_the_model_has_no_number_for_is_told_apart():
    class Log(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 1)

        def forward(self, x):
            return self.linear(x.log()).nan_to_num(float("nan"), float("nan"), float("nan"))

    x = torch.ones(4, 3)
    x[1] = 0.0
    dls = DataLoaders([(x, torch.ones(4, 1))], device="cpu")
    learn = Learner(dls, Log(), F.mse_loss, SGD)
    with (
        learn.no_logging(),
        pytest.raises(
            TrainingError, match="The model's outputs are no numbers for 1 of its 4 items"
        ),
    ):
        learn.fit(1)


def test_weights_that_are_lost_are_said_to_be():
    learn = plain_learner()

    class Break(Callback):
        def after_step(self, learn):
            with torch.no_grad():
                learn.model.weight.mul_(float("nan"))

    with (
        learn.no_logging(),
        pytest.raises(TrainingError, match=r"Of the 2 tensors of weights 1 hold.*learn.load\("),
    ):
        learn.fit(1, cbs=Break())


def test_a_rate_that_is_too_high_ends_so():
    learn = plain_learner(lr=1e9)
    with learn.no_logging(), pytest.raises(TrainingError, match=r"with the rate 1e\+09"):
        learn.fit(20)
    assert all(torch.isfinite(v).all() for v in learn.model.state_dict().values())


def test_who_handles_such_losses_is_not_stopped():
    class Leave(Callback):
        def after_loss(self, learn):
            if learn.training and not torch.isfinite(learn.loss):
                raise CancelBatch

    class Mend(Callback):
        def before_backward(self, learn):
            if not torch.isfinite(learn.loss):
                learn.loss = learn.pred.sum() * 0

    for cb in (Leave, Mend):
        learn = plain_learner()
        with learn.no_logging():
            learn.fit(1, cbs=[Spoil(3), cb()])
        assert all(torch.isfinite(v).all() for v in learn.model.state_dict().values())


def test_validation_is_not_watched():
    class SpoilValid(Callback):
        def after_loss(self, learn):
            if not learn.training:
                learn.loss = learn.loss * float("nan")

    learn = plain_learner()
    with learn.no_logging():
        learn.fit(1, cbs=SpoilValid())
    assert np.isnan(learn.recorder.values[0][1])


def test_it_rests_while_a_rate_is_looked_for_and_goes_on_after():
    learn = plain_learner(20)
    learn.lr_find(end_lr=1e12, num_it=40, stop_div=False, **QUIET)

    class Look(Callback):
        def after_batch(self, learn):
            if learn.training and learn.train_iter == 3:
                learn.remove_cb(self)
                learn.lr_find(end_lr=1e12, num_it=20, stop_div=False, **QUIET)

    with learn.no_logging(), pytest.raises(TrainingError, match="step 6"):
        learn.fit(1, cbs=[Look(), Spoil(5)])


def test_every_learner_has_one():
    assert sum(isinstance(cb, DivergenceWatch) for cb in plain_learner().cbs) == 1


# ---- on a device that answers later --------------------------------------------------------------


class Slow(divergence.Sent):
    """Losses that arrive when so many have been sent after them."""

    late, sent = 3, 0

    def __init__(self, losses, steps):
        super().__init__(losses, steps)
        Slow.sent += 1
        self.number = Slow.sent

    def arrived(self):
        return Slow.sent >= self.number + self.late


class Elsewhere:
    """A loss that looks as if it were on a GPU, and cannot be read."""

    def __init__(self, loss):
        self._loss = loss
        self.is_cpu, self.is_cuda = False, True

    def numel(self):
        return 1

    def detach(self):
        return self._loss.detach()

    def item(self):
        raise AssertionError("reading waits for the device")


@pytest.fixture
def far(monkeypatch):
    """Let the watch see losses as those of a GPU, which arrive late."""
    monkeypatch.setattr(divergence, "Sent", Slow)
    Slow.sent = 0
    before = DivergenceWatch.before_backward

    def seen_from_afar(self, learn):
        loss = learn.loss
        learn.loss = Elsewhere(loss)
        try:
            before(self, learn)
        finally:
            learn.loss = loss

    monkeypatch.setattr(DivergenceWatch, "before_backward", seen_from_afar)


@pytest.mark.usefixtures("far")
def test_on_a_gpu_it_is_noticed_when_the_losses_have_arrived():
    learn = plain_learner(60)
    with (
        learn.no_logging(),
        pytest.raises(
            TrainingError,
            match=r"became nan at step 14 \(epoch 0, batch 14 of 60\).*of weights 2 hold numbers",
        ),
    ):
        learn.fit(1, cbs=Spoil(13))
    # Sent with steps 13 to 16, which arrive once three more fours have been sent.
    assert learn.train_iter == 27


@pytest.mark.usefixtures("far")
def test_on_a_gpu_the_last_losses_of_an_epoch_are_looked_at_at_its_end(pictures):
    learn = plain_learner(10)
    with learn.no_logging(), pytest.raises(TrainingError, match=r"epoch 1, batch 10 of 10"):
        learn.fit(3, cbs=Spoil(19))
    assert learn.epoch == 1
    learn = picture_learner(pictures)
    files = []

    class See(Callback):
        def before_batch(self, learn):
            if learn.training:
                files.append(divergence.files_of_batch(learn.dl, learn.dl.epoch - 1, learn.iter))

    with pytest.raises(TrainingError, match="The batch was made of") as caught:
        learn.fit(3, cbs=[Spoil(2), See()])
    assert re.findall(r"`([^`]*png)`", str(caught.value)) == files[2]


@pytest.mark.usefixtures("far")
def test_on_a_gpu_a_fit_that_is_cancelled_looks_at_the_rest():
    class Stop(Callback):
        def after_batch(self, learn):
            if learn.train_iter == 6:
                raise CancelFit

    learn = plain_learner()
    with learn.no_logging(), pytest.raises(TrainingError, match="step 6"):
        learn.fit(1, cbs=[Spoil(5), Stop()])
    with learn.no_logging(), pytest.raises(KeyboardInterrupt):
        learn.fit(1, cbs=Interrupt())


class Interrupt(Callback):
    def after_batch(self, learn):
        raise KeyboardInterrupt


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_nothing_waits_and_it_is_noticed():
    batches = [(torch.ones(4, 3) * i, torch.ones(4, 1)) for i in range(200)]
    dls = DataLoaders(batches, device="cuda")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=1e-6)

    class Guard(DivergenceWatch):
        def before_backward(self, learn):
            torch.cuda.set_sync_debug_mode("error")
            try:
                super().before_backward(learn)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    learn.remove_cb(DivergenceWatch)
    with learn.no_logging(), pytest.raises(TrainingError, match="nan at step 51 "):
        learn.fit(1, cbs=[Guard(), Spoil(50)])
    assert learn.train_iter < 199
