import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelFit, CancelStep
from presize.callbacks.ema import EMA
from presize.callbacks.saving import SaveModelCallback
from presize.core.errors import TrainingError
from presize.core.ranks import Rank
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD


def make_learner(*cbs, model=None, **options):
    torch.manual_seed(0)
    x = torch.randn(24, 3)
    items = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(items, 4), DataLoader(items, 8), device="cpu")
    net = model or nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return Learner(dls, net, F.mse_loss, SGD, lr=0.05, cbs=list(cbs), **options)


def fit(learn, n_epoch, **options):
    with learn.no_logging():
        learn.fit(n_epoch, **options)
    return learn


def state_of(learn):
    return {name: t.clone() for name, t in learn.model.state_dict().items()}


class ByHand(Callback):
    """The same average, written as the formula."""

    order = 90

    def __init__(self, decay_at):
        self.decay_at, self.live, self.average, self.step = decay_at, [], None, 0

    def before_fit(self, learn):
        self.average = state_of(learn)

    def after_step(self, learn):
        decay = self.decay_at(self.step)
        self.step += 1
        for name, t in learn.model.state_dict().items():
            if t.is_floating_point():
                self.average[name] = decay * self.average[name] + (1 - decay) * t
            else:
                self.average[name] = t.clone()
        self.live.append(state_of(learn))


@pytest.mark.parametrize("warm_up", [True, False])
def test_the_average_is_that_of_the_formula(warm_up):
    ema = EMA(0.7, warm_up=warm_up)
    hand = ByHand(ema.decay_at)
    learn = fit(make_learner(ema, hand), 2)
    for name, value in learn.model.state_dict().items():
        assert torch.allclose(value, hand.average[name], atol=1e-6), name
    assert not torch.equal(learn.model[0].weight, hand.live[-1]["0.weight"])


def test_the_past_weighs_less_at_first():
    assert [EMA(0.99).decay_at(t) for t in (0, 8, 90, 10_000)] == [0.1, 0.5, 0.91, 0.99]
    assert EMA(0.99, warm_up=False).decay_at(0) == 0.99


def test_training_goes_on_from_its_own_weights_to_the_bit():
    plain, averaged = ByHand(lambda t: 0.0), ByHand(lambda t: 0.0)
    fit(make_learner(plain), 3)
    fit(make_learner(EMA(0.9), averaged), 3)
    assert len(plain.live) == len(averaged.live) == 18
    for one, other in zip(plain.live, averaged.live, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_validation_measures_the_average():
    class Keep(Callback):
        order = 90
        measured = None

        def before_validate(self, learn):
            self.measured = copy.deepcopy(learn.model)

    keep, hand = Keep(), ByHand(EMA(0.9).decay_at)
    learn = fit(make_learner(EMA(0.9), hand, keep), 1)
    assert torch.allclose(keep.measured[0].weight, hand.average["0.weight"], atol=1e-6)
    x, y = DataLoader(learn.dls.valid.dataset, 24).one_batch()
    with torch.no_grad():
        expected = F.mse_loss(keep.measured(x), y).item()
    assert learn.recorder.values[-1][1] == pytest.approx(expected, rel=1e-5)


def test_what_is_saved_on_a_new_best_is_what_was_measured(tmp_path):
    learn = make_learner(EMA(0.9), SaveModelCallback(), path=tmp_path)
    fit(learn, 3)
    best = min(row[1] for row in learn.recorder.values)
    with learn.no_logging():
        assert learn.validate()[0] == pytest.approx(best, rel=1e-6)


def test_a_fit_that_is_stopped_leaves_the_average():
    class Stop(Callback):
        order = 95

        def after_batch(self, learn):
            if learn.training and learn.train_iter == 3:
                raise CancelFit

    hand = ByHand(EMA(0.9).decay_at)
    learn = fit(make_learner(EMA(0.9), hand, Stop()), 1)
    assert torch.allclose(learn.model[0].weight, hand.average["0.weight"], atol=1e-6)


def test_steps_that_are_left_out_do_not_count():
    class Skip(Callback):
        order = -1

        def before_step(self, learn):
            raise CancelStep

    learn = make_learner(EMA(0.9), Skip())
    before = learn.model[0].weight.detach().clone()
    fit(learn, 1)
    assert torch.equal(learn.model[0].weight, before)


def test_training_goes_on_after_a_validation_in_mid_epoch():
    class Validate(Callback):
        order = 95

        def after_batch(self, learn):
            if learn.training and learn.train_iter == 2 and not self.done:
                self.done = True
                seen = learn.iter, learn.dl, learn.n_iter
                ema.before_validate(learn)
                learn.iter, learn.dl, learn.n_iter = seen

        done = False

    ema, plain, averaged = EMA(0.9), ByHand(lambda t: 0.0), ByHand(lambda t: 0.0)
    fit(make_learner(plain), 1)
    fit(make_learner(ema, averaged, Validate()), 1)
    assert torch.equal(plain.live[-1]["0.weight"], averaged.live[-1]["0.weight"])


class Checkpoint(Callback):
    """Takes what a checkpoint takes, at one point of the run."""

    order = 99

    def __init__(self, event, epoch, batch=None):
        self.at, self.kept = (event, epoch, batch), None

    def _take(self, event, learn, batch=None):
        if self.at == (event, learn.epoch, batch) and (batch is None or learn.training):
            ema = next(cb for cb in learn.cbs if isinstance(cb, EMA))
            self.kept = copy.deepcopy((state_of(learn), ema.state_dict(), learn.opt.state_dict()))

    def after_batch(self, learn):
        self._take("after_batch", learn, learn.iter)

    def after_epoch(self, learn):
        self._take("after_epoch", learn)


class Restore(Callback):
    """Puts a checkpoint back as a resumed run does, after `before_fit`."""

    order = 98

    def __init__(self, kept):
        self.kept = kept

    def before_fit(self, learn):
        weights, average, opt = self.kept
        learn.model.load_state_dict(weights)
        next(cb for cb in learn.cbs if isinstance(cb, EMA)).load_state_dict(average)
        learn.opt.load_state_dict(opt)


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_run_goes_on_from_the_end_of_an_epoch(epoch):
    point = Checkpoint("after_epoch", epoch)
    whole = fit(make_learner(EMA(0.9), point), 3)
    resumed = make_learner(EMA(0.9), Restore(point.kept))
    resumed.dls.train.set_epoch(epoch + 1)
    fit(resumed, 3, start_epoch=epoch + 1)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_the_state_in_mid_epoch_is_the_average_and_the_count():
    point, hand = Checkpoint("after_batch", 1, 2), ByHand(EMA(0.9).decay_at)
    fit(make_learner(EMA(0.9), point, hand), 2)
    weights, state, _ = point.kept
    assert state["steps"] == 6 + 3 and state["inside"] is False
    assert torch.equal(weights["0.weight"], hand.live[8]["0.weight"])
    assert not torch.equal(state["kept"]["0.weight"], weights["0.weight"])


def test_averages_of_another_model_are_told():
    learn = make_learner(EMA(0.9))
    other = {"steps": 1, "inside": False, "kept": {"weight": torch.zeros(1, 3)}}

    class Load(Callback):
        order = 98

        def before_fit(self, learn):
            learn.cbs[[type(cb) for cb in learn.cbs].index(EMA)].load_state_dict(other)

    with pytest.raises(TrainingError, match=r"are of another model: 10 of its weights differ"):
        fit(learn.add_cb(Load()), 1)


def test_lr_find_and_the_average_leave_each_other_alone():
    learn = fit(make_learner(EMA(0.9)), 1)
    before = state_of(learn)
    learn.lr_find(show_plot=False, num_it=20)
    assert all(torch.equal(before[name], t) for name, t in state_of(learn).items())
    assert learn.cbs[[type(cb) for cb in learn.cbs].index(EMA)].state_dict() == {}


def test_a_rate_can_be_looked_for_in_the_middle_of_a_fit():
    class Look(Callback):
        order = 95

        def after_epoch(self, learn):
            if not self.looked:
                self.looked = True
                ema = next(cb for cb in learn.cbs if isinstance(cb, EMA))
                before = ema.state_dict()
                learn.lr_find(show_plot=False, num_it=30)
                after = ema.state_dict()
                assert before["steps"] == after["steps"] == 6
                assert before["inside"] and after["inside"]
                assert torch.equal(before["kept"]["0.weight"], after["kept"]["0.weight"])

        looked = False

    look = Look()
    fit(make_learner(EMA(0.9), look), 2)
    assert look.looked


def test_weights_of_16_bits_are_averaged_in_32():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(3, 1, dtype=torch.bfloat16)

        def forward(self, x):
            return self.lin(x.bfloat16()).float()

    class Look(Callback):
        order = 90

        def after_train(self, learn):
            self.kept = ema.state_dict()["kept"]

    ema, look = EMA(0.99), Look()
    learn = fit(make_learner(ema, look, model=Net()), 1)
    assert look.kept["lin.weight"].dtype == torch.float32
    assert learn.model.lin.weight.dtype == torch.bfloat16
    assert torch.equal(learn.model.lin.weight, look.kept["lin.weight"].bfloat16())


@pytest.mark.parametrize("decay", [0, 1, 1.5, -0.1])
def test_a_decay_lies_between_0_and_1(decay):
    with pytest.raises(ValueError, match="above 0 and below 1, but got"):
        EMA(decay)


def test_processes_that_train_together_measure_the_averages_of_the_first():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    other, asked = torch.full((2,), 7.0), []

    def same_buffers(given):
        assert given is model
        asked.append(given)
        model[1].running_mean.copy_(other)

    learn = SimpleNamespace(
        model=model,
        cbs=[],
        ranks=Rank(1, 2),
        parallel=SimpleNamespace(same_buffers=same_buffers),
        failing=False,
    )
    ema, own = EMA(0.5), model[1].running_mean.clone()
    ema.before_fit(learn)
    ema.before_validate(learn)
    assert torch.equal(model[1].running_mean, other)
    ema.before_epoch(learn)
    assert torch.equal(model[1].running_mean, own)
    learn.failing = True  # the others would not answer
    ema.after_fit(learn)
    assert len(asked) == 1
