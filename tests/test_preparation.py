"""What a fit sets of the optimizer, and what is left of it afterwards."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.schedule import ParamScheduler
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.preparation import _HYPERS
from presize.train.hyper import _PLACES, get_hyper, hyper_names, set_hyper
from presize.train.optim import SGD, Adam, OptimWrapper, RMSProp


def make_learner(**options):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(16, 3, generator=g)
    data = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(data, 4), DataLoader(data, 8), device="cpu")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    options = {"lr": 0.1, "splitter": lambda m: [list(layer.parameters()) for layer in m]} | options
    return Learner(dls, model, F.mse_loss, **options)


class Look(Callback):
    """Writes down what the optimizer steps with."""

    def __init__(self, hyper):
        self.hyper, self.seen = hyper, []

    def before_step(self, learn):
        self.seen.append(get_hyper(learn.opt, self.hyper)[-1])


def seen_in(learn, hyper, **options):
    look = Look(hyper)
    with learn.no_logging():
        learn.fit(1, cbs=look, **options)
    return look.seen


def test_decay_of_a_fit_is_that_of_this_fit_alone():
    learn = make_learner()
    assert [seen_in(learn, "wd", **o)[0] for o in ({}, {"wd": 0.5}, {})] == [0.01, 0.5, 0.01]
    learn.wd = 0.2
    assert seen_in(learn, "wd")[0] == 0.2
    learn.wd = None
    assert seen_in(learn, "wd")[0] == 0.01


@pytest.mark.parametrize(
    "opt_func",
    [
        Adam,
        lambda p, lr: RMSProp(p, lr, mom=0.5),
        lambda p, lr: SGD(p, lr, mom=0.9, wd=0.01),
        lambda p, lr: OptimWrapper(p, torch.optim.NAdam, lr=lr, wd=0.01),
        lambda p, lr: OptimWrapper(p, torch.optim.Adafactor, lr=lr),  # its eps are two
    ],
)
def test_what_a_schedule_sets_is_over_with_its_fit(opt_func):
    learn = make_learner(opt_func=opt_func)
    with learn.no_logging():
        learn.fit(1)
        before = [dict(group) for group in learn.opt.param_groups]
        names = [name for name in hyper_names(learn.opt) if name not in ("lr", "eps")]
        scheds = {name: lambda pct: 0.3 + pct / 2 for name in names}
        learn.fit(1, 0.1, cbs=ParamScheduler(scheds))
    assert all(len(learn.recorder.hps[name]) == 4 for name in names)
    for group, then in zip(learn.opt.param_groups, before, strict=True):
        assert list(group) == list(then)
        assert all(group[key] == then[key] for key in then if key != "params")


def test_a_fit_that_fails_leaves_the_optimizer_with_its_own_values():
    class Fail(Callback):
        def before_step(self, learn):
            raise ZeroDivisionError

    learn = make_learner()
    with pytest.raises(ZeroDivisionError), learn.no_logging():
        learn.fit_one_cycle(1, wd=0.5, cbs=Fail())
    assert (get_hyper(learn.opt, "wd"), get_hyper(learn.opt, "mom")) == ([0.01] * 2, [0.9] * 2)


def test_what_is_set_between_two_fits_stays():
    learn = make_learner()
    seen_in(learn, "wd", wd=0.5)
    set_hyper(learn.opt, "wd", 0.3)
    assert seen_in(learn, "wd")[0] == 0.3
    assert seen_in(learn, "wd")[0] == 0.3


def test_a_state_saved_in_the_middle_of_a_fit_has_them_too(tmp_path):
    class Save(Callback):
        def after_batch(self, learn):
            if learn.training and learn.iter == 2:
                learn.save("half")

    learn = make_learner(path=tmp_path)
    with learn.no_logging():
        learn.fit_one_cycle(1, wd=0.5, cbs=Save())
    other = make_learner(path=tmp_path)
    other.load("half")
    assert seen_in(other, "wd")[0] == 0.01
    assert get_hyper(other.opt, "mom") == [0.9] * 2


def test_averages_follow_weights_that_are_laid_out_anew():
    pictures = [(torch.randn(4, 3, 5, 5), torch.randn(4, 4)) for _ in range(2)]
    ends = []
    for switched in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        learn = Learner(DataLoaders(pictures, []), net, F.mse_loss, Adam)
        with learn.no_logging():
            learn.fit(1)
            learn.channels_last = switched
            learn.fit(1)
        weight = net[0].weight
        assert weight.is_contiguous(memory_format=torch.channels_last) is switched
        assert learn.opt.state[weight]["exp_avg"].stride() == weight.stride()
        ends.append(weight.detach())
    torch.testing.assert_close(*ends)


class Killed(BaseException):
    """Ends a run."""


class _Kill(Callback):
    """Ends the run at this step of its first fit, after the checkpoint; None lets it be."""

    order = 20000

    def __init__(self, at):
        self.at = at

    def after_batch(self, learn):
        if learn.training and learn.iter == self.at:
            raise Killed


def test_a_run_that_is_resumed_goes_on_with_them(tmp_path):
    ends = []
    for folder, at in (("whole", None), ("killed", 2)):
        learn = make_learner(path=tmp_path / folder)
        learn.create_opt()
        set_hyper(learn.opt, "wd", 0.5)  # which a new process does not know of
        with learn.no_logging():
            try:
                learn.fine_tune(1, 0.1, cbs=[Checkpoints(every_steps=1), _Kill(at)])
            except Killed:
                learn = make_learner(path=tmp_path / folder)
        if at is not None:
            with learn.no_logging():
                learn.resume(cbs=_Kill(None))
        assert get_hyper(learn.opt, "wd") == [0.5] * 2
        ends.append([weight.detach() for weight in learn.model.parameters()])
    assert all(map(torch.equal, *ends))


def test_all_that_can_be_set_but_the_rate_is_kept():
    places = {key for name, found in _PLACES.items() if name != "lr" for key, _ in found}
    assert set(_HYPERS) == places
