"""Which gradients make a step where some are cancelled; what a pass beside a fit leaves."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelBatch, CancelFit, CancelStep, CancelTrain
from presize.callbacks.ema import EMA
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.metrics import AvgLoss, mse
from presize.train.optim import SGD


def pairs(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=g)
    return list(zip(x, x @ torch.tensor([[1.0], [-2.0], [0.5]]), strict=True))


def make_learner(model=None, bs=8, **options):
    torch.manual_seed(0)
    dls = DataLoaders(DataLoader(pairs(28, 0), bs), DataLoader(pairs(20, 1), bs), device="cpu")
    options = {"loss_func": F.mse_loss, "opt_func": SGD, "lr": 0.0} | options
    return Learner(dls, model or nn.Linear(3, 1), **options)


def scaled(learn):
    """Compute as fp16 does, with a real scaler, which the CPU has too."""
    learn.to_fp16()
    precision = learn.precision
    precision._scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    precision._device = torch.device("cpu")
    precision.autocast = lambda device: precision._plain
    return learn


class Gradients(Callback):
    """Writes down the gradients of every step."""

    order = 1000

    def __init__(self):
        self.seen = []

    def before_step(self, learn):
        self.seen.append((learn.iter, learn.model.weight.grad.clone()))


def cancels(event, kind, at=1, order=2000):
    def cancel(self, learn):
        if learn.training and learn.iter == at and learn.epoch == 0:
            raise kind

    return type("Cancels", (Callback,), {"order": order, event: cancel})()


def gradients_of_batches(learn, numbers):
    """The gradient of the mean over all items of these batches."""
    batches = [batch for i, batch in enumerate(learn.dls.train) if i in numbers]
    x, y = (torch.cat(part) for part in zip(*batches, strict=True))
    learn.model.zero_grad()
    F.mse_loss(learn.model(x), y).backward()
    return learn.model.weight.grad.clone()


@pytest.mark.parametrize("prepared", [lambda learn: learn, scaled], ids=["fp32", "scaled"])
@pytest.mark.parametrize("kind", [CancelBatch, CancelTrain, CancelFit])
@pytest.mark.parametrize("event", ["after_backward", "before_step", "after_step"])
def test_what_was_cancelled_is_not_in_the_next_step(event, kind, prepared):
    seen = Gradients()
    learn = prepared(make_learner(cbs=seen))
    with learn.no_logging():
        learn.fit(2, cbs=cancels(event, kind))
        if kind is CancelFit:
            learn.fit(1)
    made = 1 if event == "after_backward" else 2
    number, found = seen.seen[made]
    assert number == (2 if kind is CancelBatch else 0)
    torch.testing.assert_close(found, gradients_of_batches(learn, [number]))


def test_a_step_cancelled_after_it_was_made_is_not_made_again():
    seen = Gradients()
    learn = make_learner(cbs=seen)
    with learn.no_logging():
        learn.fit(1, cbs=cancels("after_step", CancelStep))
    torch.testing.assert_close(seen.seen[2][1], gradients_of_batches(learn, [2]))


def test_the_gradients_of_a_cancelled_step_stay_within_the_fit():
    seen = Gradients()
    learn = make_learner(cbs=seen)
    with learn.no_logging():
        learn.fit(1, cbs=cancels("before_step", CancelStep, at=2))
        together = gradients_of_batches(learn, [2]) + gradients_of_batches(learn, [3])
        torch.testing.assert_close(seen.seen[3][1], together)
        learn.fit(1, cbs=cancels("before_step", CancelStep, at=3))
        learn.fit(1)
    torch.testing.assert_close(seen.seen[8][1], gradients_of_batches(learn, [0]))


def test_a_batch_cancelled_before_its_gradients_leaves_those_of_its_group():
    seen = Gradients()
    learn = make_learner(cbs=seen, accumulate=2)
    with learn.no_logging():
        learn.fit(1, cbs=cancels("before_backward", CancelBatch))
    assert [number for number, _ in seen.seen] == [2, 3]
    torch.testing.assert_close(seen.seen[0][1], gradients_of_batches(learn, [0, 2]))


def test_a_batch_cancelled_with_its_gradients_takes_its_group_along():
    seen = Gradients()
    learn = make_learner(cbs=seen, accumulate=2)
    with learn.no_logging():
        learn.fit(1, cbs=cancels("after_backward", CancelBatch))
    assert [number for number, _ in seen.seen] == [3]
    torch.testing.assert_close(seen.seen[0][1], gradients_of_batches(learn, [2, 3]))


def test_another_number_of_batches_counts_from_the_next_group():
    class Sets(Callback):
        def before_batch(self, learn):
            if learn.training and learn.iter == 1:
                learn.accumulate = 1

    seen = Gradients()
    learn = make_learner(cbs=seen, bs=4, accumulate=4)
    with learn.no_logging():
        learn.fit(1, cbs=Sets())
    assert [number for number, _ in seen.seen] == [3, 4, 5, 6]
    torch.testing.assert_close(seen.seen[0][1], gradients_of_batches(learn, [0, 1, 2, 3]))
    torch.testing.assert_close(seen.seen[1][1], gradients_of_batches(learn, [4]))


@pytest.mark.filterwarnings("ignore:Memory ran out")
def test_a_batch_cancelled_in_its_second_part_leaves_nothing():
    class Limited(nn.Linear):
        def forward(self, x):
            if len(x) > 4 and self.training:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(x)

    class Cancels(Callback):
        parts, items = 0, 0

        def before_backward(self, learn):
            self.parts = self.parts + 1 if learn.iter == 1 else 0
            if self.parts == 2:
                raise CancelBatch

        def after_cancel_batch(self, learn):
            self.items = len(learn.xb[0])

    seen, stop = Gradients(), Cancels()
    learn = make_learner(Limited(3, 1), cbs=[seen, stop])
    with learn.no_logging():
        learn.fit(1)
    assert stop.items == 8
    assert [number for number, _ in seen.seen] == [0, 2, 3]
    learn.model.eval()
    torch.testing.assert_close(seen.seen[1][1], gradients_of_batches(learn, [2]))


@pytest.mark.parametrize("ask", ["validate", "get_preds"])
@pytest.mark.parametrize("when", ["train", "valid"])
@pytest.mark.parametrize("average", [[], [EMA]])
def test_a_callback_that_asks_leaves_the_fit_as_it_is(ask, when, average):
    class Asks(Callback):
        order = 5
        asking = False

        def after_batch(self, learn):
            if learn.iter == 1 and learn.training == (when == "train") and not self.asking:
                names = ("dl", "iter", "n_iter", "xb", "pred", "loss", "training")
                before = {name: vars(learn)[name] for name in names}
                self.asking = True  # the pass has these events as well
                getattr(learn, ask)()
                self.asking = False
                assert all(vars(learn)[name] is value for name, value in before.items())

    ends = []
    for cbs in ([], [Asks()]):
        torch.manual_seed(0)
        learn = make_learner(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)))
        learn.metrics = make_learner(metrics=[mse, AvgLoss()]).metrics
        with learn.no_logging():
            learn.fit_one_cycle(2, 0.1, cbs=[*cbs, *(kind() for kind in average)])
        ends.append((learn.model.state_dict(), learn.recorder.values, list(learn.recorder.losses)))
    plain, asked = ends
    assert asked[1:] == plain[1:]
    for name, value in plain[0].items():
        assert torch.equal(asked[0][name], value), name
