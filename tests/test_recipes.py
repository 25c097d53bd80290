"""Recipes: the rates of every step beside the schedules on paper, and what each one takes."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize import recipes
from presize.callbacks.base import Callback
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.hyper import get_hyper
from presize.train.optim import Adam
from presize.train.schedules import flat_cos, one_cycle, sgdr

STEPS = 5  # in an epoch


class Rates(Callback):
    """Writes down the rates of all layer groups, and which groups are trained, at every step."""

    order = 80
    run_valid = False

    def __init__(self):
        self.rates, self.trained, self.decay, self.epochs = [], [], [], []

    def before_step(self, learn):
        self.rates.append(get_hyper(learn.opt, "lr"))
        self.decay.append(get_hyper(learn.opt, "wd"))
        self.trained.append([layer.weight.requires_grad for layer in learn.model])
        self.epochs.append(learn.epoch)


def make_learner(**options):
    x = torch.randn(4 * STEPS, 3)
    data = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(data, 4), DataLoader(data[:8], 4), device="cpu")
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    groups = lambda m: [list(layer.parameters()) for layer in m]  # noqa: E731
    return Learner(dls, model, F.mse_loss, Adam, splitter=groups, cbs=Rates(), **options)


def run(learn, recipe, *args, **options):
    """Train silently; return what `Rates` has seen."""
    method = getattr(learn, recipe, None) or getattr(recipes, recipe).__get__(learn)
    with learn.no_logging():
        method(*args, **options)
    return next(cb for cb in learn.cbs if isinstance(cb, Rates))


def on_paper(schedule, n_epoch, start_epoch=0):
    total = n_epoch * STEPS
    steps = range(start_epoch * STEPS, total)
    return np.array([np.broadcast_to(schedule(step / total), 3) for step in steps])


RECIPES = [
    ("fit_one_cycle", (3,), {"pct_start": 0.4}, lambda lr: one_cycle(lr, pct_start=0.4), 3),
    ("fit_one_cycle", (3,), {"div": 5, "div_final": 9}, lambda lr: one_cycle(lr, 5, 9), 3),
    ("fit_flat_cos", (3,), {"pct_start": 0.5}, lambda lr: flat_cos(lr, pct_start=0.5), 3),
    ("fit_flat_cos", (3,), {"div_final": 10}, lambda lr: flat_cos(lr, 10), 3),
    ("fit_sgdr", (2, 1), {}, lambda lr: sgdr(lr, 2, 1), 3),
]
RATES = [
    (0.1, [0.1, 0.1, 0.1]),
    (slice(0.1), [0.01, 0.01, 0.1]),
    (slice(None, 0.1), [0.01, 0.01, 0.1]),
    (slice(1e-3, 1e-1), [1e-3, 1e-2, 1e-1]),
    ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]),
    (np.array([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]),
    (None, [0.05, 0.05, 0.05]),
]


@pytest.mark.parametrize(("lr", "each"), RATES, ids=[str(lr) for lr, _ in RATES])
@pytest.mark.parametrize(("recipe", "args", "options", "schedule", "epochs"), RECIPES)
def test_every_step_has_the_rate_of_the_schedule(recipe, args, options, schedule, epochs, lr, each):
    seen = run(make_learner(lr=0.05), recipe, *args, lr, **options)
    expected = on_paper(schedule(np.array(each))["lr"], epochs)
    np.testing.assert_allclose(seen.rates, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("lr", "each"), RATES, ids=[str(lr) for lr, _ in RATES])
def test_a_plain_fit_takes_the_same_rates(lr, each):
    seen = run(make_learner(lr=0.05), "fit", 1, lr)
    np.testing.assert_allclose(seen.rates, np.tile(each, (STEPS, 1)))


@pytest.mark.parametrize(("recipe", "args", "options", "schedule", "epochs"), RECIPES)
def test_start_epoch_goes_on_in_the_schedule(recipe, args, options, schedule, epochs):
    seen = run(make_learner(), recipe, *args, 0.1, start_epoch=1, wd=0.3, **options)
    expected = on_paper(schedule(0.1)["lr"], epochs, 1)
    np.testing.assert_allclose(seen.rates, expected, rtol=1e-9, atol=1e-15)
    assert seen.epochs == [1] * STEPS + [2] * STEPS
    assert seen.decay == [[0.3] * 3] * 2 * STEPS


@pytest.mark.parametrize("recipe", ["fit_one_cycle", "fit_flat_cos", "fit_sgdr", "fine_tune"])
def test_a_new_optimizer_on_request(recipe):
    learn = make_learner()
    args = (1, 1) if recipe == "fit_sgdr" else (1,)
    run(learn, recipe, *args)
    first = learn.opt
    run(learn, recipe, *args)
    assert learn.opt is first
    opts = []

    class Opts(Callback):
        def before_fit(self, learn):
            opts.append(learn.opt)

    run(learn, recipe, *args, reset_opt=True, cbs=Opts())
    assert opts[0] is not first
    assert all(opt is opts[0] for opt in opts), "both parts of fine_tune share one"


def test_fine_tune_is_two_fits():
    seen = run(make_learner(), "fine_tune", 2, 0.02, 1, lr_mult=100)
    head = on_paper(one_cycle(np.array([2e-3, 2e-3, 2e-2]), pct_start=0.99)["lr"], 1)
    top = np.geomspace(1e-4, 1e-2, 3)
    whole = on_paper(one_cycle(top, div=5.0, pct_start=0.3)["lr"], 2)
    np.testing.assert_allclose(seen.rates, np.concatenate([head, whole]), rtol=1e-9)
    frozen, free = [False, False, True], [True] * 3
    assert seen.trained == [frozen] * STEPS + [free] * 2 * STEPS


@pytest.mark.parametrize(
    ("base_lr", "head", "whole"),
    [
        (slice(None, 0.02), 0.02, [1e-4, 1e-3, 1e-2]),
        (slice(0.02), 0.02, [1e-4, 1e-3, 1e-2]),
        (slice(2e-4, 2e-2), 0.02, [1e-4, 1e-3, 1e-2]),
        ([2e-3, 4e-3, 8e-3], 8e-3, [1e-3, 2e-3, 4e-3]),
        (torch.tensor([2e-3, 4e-3, 8e-3]), 8e-3, [1e-3, 2e-3, 4e-3]),
    ],
)
def test_fine_tune_takes_rates_of_any_kind(base_lr, head, whole):
    seen = run(make_learner(), "fine_tune", 1, base_lr, pct_start=0.4)
    np.testing.assert_allclose(np.max(seen.rates[:STEPS], axis=0)[-1], head, rtol=0.2)
    np.testing.assert_allclose(seen.rates[0], [head / 250, head / 250, head / 25], rtol=1e-6)
    np.testing.assert_allclose(np.max(seen.rates[STEPS:], axis=0), whole, rtol=1e-6)


def test_fine_tune_begins_in_either_part():
    whole = run(make_learner(), "fine_tune", 2, 0.02, 2)
    for start, left in ((1, 3), (2, 2), (3, 1)):
        seen = run(make_learner(), "fine_tune", 2, 0.02, 2, start_epoch=start)
        np.testing.assert_allclose(seen.rates, whole.rates[-left * STEPS :], rtol=1e-9)
        assert seen.trained == whole.trained[-left * STEPS :]


def test_fine_tune_without_a_frozen_part():
    seen = run(make_learner(), "fine_tune", 1, 0.02, 0, max_time="1h")
    assert seen.trained == [[True] * 3] * STEPS


@pytest.mark.parametrize("lr", ["fast", -0.1, slice(1e-3, None), [0.1, 0.2], slice(0, 1e-2)])
@pytest.mark.parametrize("recipe", ["fit_one_cycle", "fit_flat_cos", "fine_tune"])
def test_rates_that_cannot_be_are_told_before_anything_is_trained(recipe, lr):
    learn = make_learner()
    before = learn.model[0].weight.clone()
    with pytest.raises((TypeError, ValueError), match=r"[Ll]earning rate|[Rr]ates"):
        run(learn, recipe, 1, lr)
    assert torch.equal(learn.model[0].weight, before)


def test_warm_restarts_that_cannot_be():
    with pytest.raises(ValueError, match="at least one cycle of at least one epoch"):
        run(make_learner(), "fit_sgdr", 0, 1)


@pytest.mark.parametrize("recipe", ["fit_one_cycle", "fit_flat_cos", "fit_sgdr", "fine_tune"])
def test_all_recipes_take_what_a_fit_takes(recipe):
    common = {"wd", "cbs", "reset_opt", "start_epoch", "max_time"}
    ours = inspect.signature(getattr(recipes, recipe)).parameters
    theirs = inspect.signature(Learner.fit).parameters
    assert common <= set(ours) & set(theirs)
    assert all(ours[name].default == theirs[name].default for name in common)


@pytest.mark.parametrize(("wd_bn_bias", "shrunk"), [(False, False), (True, True)])
def test_norms_and_biases_decay_only_on_request(wd_bn_bias, shrunk):
    learn = make_learner(wd=0.5, wd_bn_bias=wd_bn_bias)
    learn.loss_func = lambda pred, targ: pred.sum() * 0.0  # no gradient: decay alone moves weights
    with torch.no_grad():
        for layer in learn.model:
            layer.bias.fill_(1.0)
    weight = learn.model[0].weight.clone()
    run(learn, "fit", 1, 0.1)
    kept = (1 - 0.1 * 0.5) ** STEPS
    torch.testing.assert_close(learn.model[0].weight, weight * kept)
    torch.testing.assert_close(learn.model[0].bias, torch.full((3,), kept if shrunk else 1.0))
