"""Schedules in a fit: what the optimizer gets, and who may set it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.schedule import ParamScheduler
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.hyper import get_hyper
from presize.train.optim import SGD, Adam
from presize.train.schedules import (
    SchedCos,
    SchedExp,
    SchedLin,
    SchedPoly,
    combine_scheds,
    one_cycle,
)

STEPS = 10


def make_learner(**options):
    items = torch.arange(20)
    data = list(zip(F.one_hot(items % 3, 3).float(), items % 2, strict=True))
    dls = DataLoaders(DataLoader(data, 4), DataLoader(data, 10), device="cpu")
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    options = {"opt_func": Adam, "splitter": _by_layer} | options
    return Learner(dls, model, F.cross_entropy, **options)


def _by_layer(model):
    return [list(layer.parameters()) for layer in model]


@pytest.mark.parametrize(
    "sched",
    [SchedLin(0.1, 0.0), SchedExp(0.1, 1e-4), SchedPoly(0.1, 0.0, 2.0), SchedCos(0.1, 0.0)],
)
def test_shapes_are_ready_to_use(sched):
    learn = make_learner()
    with learn.no_logging():
        learn.fit(2, cbs=ParamScheduler({"lr": sched}))
    expected = [sched(step / STEPS) for step in range(STEPS)]
    assert learn.recorder.lrs == pytest.approx(expected)
    assert learn.recorder.hps["lr"] == pytest.approx(expected)


def test_a_plain_function_is_a_schedule_of_anything():
    learn = make_learner()
    scheds = {"wd": lambda pct: 0.1 * pct, "mom": lambda pct: 0.9 - pct / 2}
    with learn.no_logging():
        learn.fit(2, 1e-3, cbs=ParamScheduler(scheds))
    assert learn.recorder.hps["wd"][-1] == pytest.approx(0.09)
    assert learn.recorder.hps["mom"][-1] == pytest.approx(0.45)
    assert learn.recorder.lrs == [1e-3] * STEPS


def test_layer_groups_follow_rates_of_their_own():
    learn = make_learner()
    rates = learn.rates(slice(1e-4, 1e-2))
    warm = combine_scheds([0.5, 0.5], [SchedLin(rates / 100, rates), SchedPoly(rates, 0, 2)])
    seen = []

    class Look(ParamScheduler):
        order = 61

        def before_batch(self, learn):
            seen.append(get_hyper(learn.opt, "lr"))

    with learn.no_logging():
        learn.fit(2, cbs=[ParamScheduler({"lr": warm}), Look({})])
    np.testing.assert_allclose(seen, [warm(step / STEPS) for step in range(STEPS)])
    np.testing.assert_allclose(seen[5], [1e-4, 1e-2])


def test_two_schedulers_share_the_record():
    learn = make_learner()
    with learn.no_logging():
        learn.fit_one_cycle(2, 0.1, cbs=ParamScheduler({"wd": SchedLin(0.0, 0.1)}))
    assert {name: len(values) for name, values in learn.recorder.hps.items()} == dict.fromkeys(
        ("lr", "mom", "wd"), STEPS
    )


def test_two_schedules_of_one_rate_are_refused():
    learn = make_learner()
    mine = ParamScheduler({"lr": SchedLin(0.1, 0.0)})
    with pytest.raises(ValueError, match="Two schedules of this fit set `lr`, and only one can"):
        learn.fit_one_cycle(1, 0.1, cbs=mine)
    assert mine not in list(learn.cbs)


def test_momentum_comes_back_with_an_optimizer_that_has_it():
    scheduler = ParamScheduler(one_cycle(0.1))
    learn = make_learner(opt_func=SGD, cbs=scheduler)
    with learn.no_logging():
        learn.fit(1)
        assert list(learn.recorder.hps) == ["lr"]
        learn.opt_func = Adam
        learn.fit(1, reset_opt=True)
    assert list(learn.recorder.hps) == ["lr", "mom"]


def test_a_schedule_of_the_learner_rests_while_a_rate_is_looked_for():
    learn = make_learner(cbs=ParamScheduler({"lr": SchedLin(0.5, 0.5)}))
    suggestions = learn.lr_find(num_it=12, show_plot=False)
    assert all(0 < rate < 10 for rate in suggestions)
    with learn.no_logging():
        learn.fit(1)
    assert learn.recorder.lrs == [0.5] * (STEPS // 2)


def test_what_is_no_schedule():
    with pytest.raises(TypeError, match=r"dictionary of name and schedule.*but got SchedCos"):
        ParamScheduler(SchedCos(0.1, 0.0))
    with pytest.raises(TypeError, match=r"`lr` is 0.1. SchedNo\(0.1, 0.1\) stays at one value"):
        ParamScheduler({"lr": 0.1})
    learn = make_learner()
    with pytest.raises(ValueError, match="Adam.* has no hyper-parameter `momentum`"):
        learn.fit(1, cbs=ParamScheduler({"momentum": SchedLin(0.9, 0.8)}))
