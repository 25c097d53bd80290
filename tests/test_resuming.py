"""Runs that are ended at any point and gone on with, beside runs that were not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelStep, CancelTrain
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.ema import EMA
from presize.callbacks.mixing import MixUp
from presize.callbacks.regularise import GradientClip
from presize.callbacks.saving import SaveModelCallback
from presize.core.collections import L
from presize.core.errors import ModelFileError, TrainingError
from presize.core.randomness import draws, set_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.models.groups import trainable_params
from presize.resuming import Run, resumable
from presize.train.metrics import AvgMetric, F1Score, accuracy
from presize.train.optim import SGD, Adam
from presize.train.state import load_state, save_state


class Killed(BaseException):
    """Ends a run without anybody who could do something about it."""


class Kill(Callback):
    """Ends the run after so many training batches, counted over all fits."""

    order = 20000

    def __init__(self, after, event="after_batch"):
        self.left, self.event = after, event

    def after_batch(self, learn):
        if learn.training:
            self.left -= 1
            if self.left == 0 and self.event == "after_batch":
                raise Killed

    def before_validate(self, learn):
        if self.left <= 0 and self.event == "before_validate":
            raise Killed


def noisy(batch):
    """An augmentation whose draws are counted."""
    x, y = batch
    shift = torch.from_numpy(draws("shift", len(x)).normal()).float()
    return x + 0.1 * shift[:, None], y


def items(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=g)
    return list(zip(x, (x.sum(1) > 0).long() + (x[:, 0] > 0.5).long(), strict=True))


def make_dls(workers=0, n=44, bs=8, **options):
    options = {"shuffle": True} | options
    train = DataLoader(items(n, 0), bs, num_workers=workers, after_batch=noisy, **options)
    return DataLoaders(train, DataLoader(items(20, 1), bs, split_idx=1), device="cpu")


def halves(model):
    return [list(model[:3].parameters()), list(model[3:].parameters())]


def make_learner(path, *, dls=None, model=None, **options):
    set_seed(0)
    model = model or nn.Sequential(
        *(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()),
        *(nn.Dropout(0.3), nn.Linear(8, 3)),
    )
    options = {"loss_func": F.cross_entropy, "opt_func": Adam, "lr": 0.02} | options
    splitter = options.pop("splitter", halves)
    return Learner(
        dls or make_dls(), model, splitter=splitter, metrics=[accuracy], path=path, **options
    )


def quietly(learn, what, *args, **kwargs):
    rows = []
    with learn.no_bar():
        learn.logger = rows.append
        try:
            getattr(learn, what)(*args, **kwargs)
        finally:
            learn.logger = print
    return [row[:-1] for row in rows if len(row) > 1]  # without the time


def end_of(learn):
    return (
        {name: t.clone() for name, t in learn.model.state_dict().items()},
        list(learn.recorder.values),
        learn.recorder.losses,
        learn.recorder.lrs,
        learn.recorder.hps,
        torch.rand(1).item(),
    )


def assert_same_end(one, other):
    for name, value in one[0].items():
        assert torch.equal(value, other[0][name]), name
    assert one[1:] == other[1:]


RECIPES = {
    "fine_tune": ((2,), {"base_lr": 0.05}),
    "fit_one_cycle": ((3,), {"lr_max": slice(1e-3, 0.05), "moms": (0.9, 0.8, 0.9)}),
    "fit_flat_cos": ((3, np.array([0.01, 0.05])), {}),
    "fit_sgdr": ((2, 1), {}),
    "fit": ((3, 0.05), {"wd": 0.1}),
}
STEPS = 6  # in an epoch


def killed_and_resumed(make, recipe, kills, *, cbs=list, keep=None):
    """Return the ends of a run that is left alone and of one that is killed, and their rows.

    Args:
        make: returns a learner for a folder's name.
        recipe: a name in RECIPES.
        kills: after how many steps each of the attempts is killed, counted from its start.
        cbs: makes the callbacks that a program gives to the recipe.
        keep: the arguments of Checkpoints.
    """
    args, kwargs = RECIPES[recipe]
    plain = make("plain")
    rows, end = quietly(plain, recipe, *args, **kwargs, cbs=cbs()), end_of(plain)
    for attempt, kill in enumerate([*kills, 10**6]):
        set_seed(99 + attempt)
        learn = make("killed")
        torch.rand(attempt)  # each program draws something else before it comes to it
        own = [Checkpoints(**{"every_steps": 1} | (keep or {})), Kill(kill), *cbs()]
        try:
            if (learn.path / "checkpoints").exists():
                last = quietly(learn, "resume", cbs=own)
            else:
                last = quietly(learn, recipe, *args, **kwargs, cbs=own)
        except Killed:
            continue
    return (rows, end), (last, end_of(learn))


def check_same(one, other):
    (rows, end), (last, end_again) = one, other
    assert last == rows[len(rows) - len(last) :]
    assert_same_end(end, end_again)


@pytest.mark.parametrize("at", [1, STEPS, STEPS + 1, 2 * STEPS - 1, 3 * STEPS])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path, recipe, at):
    plain, again = killed_and_resumed(lambda name: make_learner(tmp_path / name), recipe, [at])
    check_same(plain, again)


class OwnOrder:
    """A sampler that draws its order from PyTorch's random numbers, as PyTorch's own do."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(torch.randperm(self.n).tolist())

    def __len__(self):
        return self.n


class EveryOther(Callback):
    """Steps on every other batch, by cancelling."""

    order = 5

    def before_step(self, learn):
        if learn.train_iter % 2 == 0:
            raise CancelStep


class Short(Callback):
    """Ends the training part of every epoch before its last batches."""

    order = 5

    def before_batch(self, learn):
        if learn.training and learn.iter == 4:
            raise CancelTrain


def f1(preds, targs):
    return (preds.argmax(1) == targs).double().mean()


VARIANTS = {
    "SGD": {"opt_func": SGD},
    "SGD with momentum": {"opt_func": partial(SGD, mom=0.9)},
    "a class of torch.optim": {"opt_func": torch.optim.RAdam},
    "two workers": {"dls": partial(make_dls, workers=2)},
    "weights of items": {"dls": partial(make_dls, shuffle=False, weights=[1.0, 3.0] * 22)},
    "a sampler": {"dls": partial(make_dls, shuffle=False, sampler=OwnOrder(44))},
    "a sampler of PyTorch": {
        "dls": lambda: make_dls(
            shuffle=False,
            sampler=torch.utils.data.WeightedRandomSampler(
                [1.0, 2.0] * 22, 44, generator=torch.Generator().manual_seed(3)
            ),
        )
    },
    "an order of one's own": {
        "dls": lambda: make_dls(shuffle=False, get_idxs=lambda: torch.randperm(44).tolist())
    },
    "accumulation": {"accumulate": 4},
    "bf16": {"precision": "bf16"},
    "a loss with weights": {"loss_func": nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]))},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_does_so_whatever_is_trained_and_how(tmp_path, variant):
    def make(name):
        options = dict(VARIANTS[variant])
        dls = options.pop("dls", make_dls)()
        return make_learner(tmp_path / name, dls=dls, **options)

    plain, again = killed_and_resumed(make, "fine_tune", [5, 2, 7, 3, 4])
    check_same(plain, again)


CALLBACKS = {
    "EMA": lambda: [EMA(0.9)],
    "cancelled steps": lambda: [EveryOther()],
    "cancelled epochs": lambda: [Short()],
    "many": lambda: [EMA(0.8), MixUp(0.4, classes=3), GradientClip(0.1), SaveModelCallback()],
}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_it_does_so_on_a_gpu(tmp_path, precision):
    def make(name):
        dls = make_dls(workers=2)
        dls.to("cuda")
        return make_learner(tmp_path / name, dls=dls, precision=precision)

    set_seed(0, deterministic=True)
    try:
        plain, again = killed_and_resumed(
            make, "fine_tune", [3, 2, 7, 3, 4], cbs=lambda: [EMA(0.9), GradientClip(0.5)]
        )
    finally:
        set_seed(0, deterministic=False)
    check_same(plain, again)


@pytest.mark.parametrize("given", CALLBACKS)
def test_it_does_so_with_callbacks(tmp_path, given):
    cbs = CALLBACKS[given]
    plain, again = killed_and_resumed(
        lambda name: make_learner(tmp_path / name), "fine_tune", [4, 3, 5, 2, 4], cbs=cbs
    )
    check_same(plain, again)


def test_it_does_so_with_metrics_of_training(tmp_path):
    def make(name):
        learn = make_learner(tmp_path / name)
        learn.recorder.train_metrics = True
        learn.metrics = L([F1Score(average="macro"), AvgMetric(f1)])
        return learn

    plain, again = killed_and_resumed(make, "fit_one_cycle", [4, 5, 5])
    check_same(plain, again)


@pytest.mark.parametrize(("recipe", "kills"), [("fit_one_cycle", [8, 8]), ("fine_tune", [14, 2])])
@pytest.mark.parametrize("given", CALLBACKS)
def test_checkpoints_of_epochs_alone_do_as_well(tmp_path, given, recipe, kills):
    def make(name):
        return make_learner(tmp_path / name)

    keep, cbs = {"every_steps": None, "every_minutes": None}, CALLBACKS[given]
    plain, again = killed_and_resumed(make, recipe, kills, cbs=cbs, keep=keep)
    check_same(plain, again)


@pytest.mark.parametrize(
    "variant", [name for name in VARIANTS if "sampler" in name or "own" in name]
)
def test_they_do_for_orders_that_are_drawn(tmp_path, variant):
    def make(name):
        return make_learner(tmp_path / name, dls=VARIANTS[variant]["dls"]())

    keep = {"every_steps": None, "every_minutes": None}
    plain, again = killed_and_resumed(make, "fit", [STEPS + 2, STEPS + 2], keep=keep)
    check_same(plain, again)


def test_they_do_for_loaders_with_generators_of_their_own(tmp_path):
    def generator(seed):
        return torch.Generator().manual_seed(seed)

    def make(name):
        train = torch.utils.data.DataLoader(items(44, 0), 8, shuffle=True, generator=generator(3))
        valid = torch.utils.data.DataLoader(
            items(20, 1), 8, drop_last=True, shuffle=True, generator=generator(4)
        )
        return make_learner(tmp_path / name, dls=DataLoaders(train, valid, device="cpu"))

    keep = {"every_steps": None, "every_minutes": None}
    plain, again = killed_and_resumed(make, "fine_tune", [8, 8], keep=keep)
    check_same(plain, again)


class Centred(nn.Module):
    """Subtracts a running mean that its state_dict does not hold."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6), persistent=False)

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean(0), 0.1)
        return self.layer(x - self.mean)


class Balanced(nn.Module):
    """A loss whose class weights follow the targets that it has seen."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(3))

    def forward(self, preds, targets):
        loss = F.cross_entropy(preds, targets, weight=self.weight.clone())
        if preds.requires_grad:
            self.weight.lerp_(torch.bincount(targets, minlength=3) / len(targets), 0.1)
        return loss


@pytest.mark.parametrize("every_steps", [1, None])
def test_what_no_state_dict_of_the_model_holds_is_kept_too(tmp_path, every_steps):
    def make(name):
        torch.manual_seed(0)
        return make_learner(
            tmp_path / name, model=Centred(), loss_func=Balanced(), splitter=trainable_params
        )

    keep = {"every_steps": every_steps}
    plain, again = killed_and_resumed(make, "fit", [8], cbs=lambda: [EMA(0.9)], keep=keep)
    check_same(plain, again)


def test_it_may_be_killed_in_validation(tmp_path):
    plain = make_learner(tmp_path / "plain")
    rows = quietly(plain, "fit", 3)
    end = end_of(plain)
    learn = make_learner(tmp_path)
    with pytest.raises(Killed):
        quietly(learn, "fit", 3, cbs=[Checkpoints(every_steps=1), Kill(9, "before_validate")])
    again = make_learner(tmp_path)
    assert quietly(again, "resume", cbs=Kill(10**6, "before_validate")) == rows
    assert_same_end(end, end_of(again))


def test_a_loader_that_is_not_ours_is_resumed_at_the_ends_of_epochs(tmp_path):
    def make(name):
        train = torch.utils.data.DataLoader(items(44, 0), 8, shuffle=True)
        dls = DataLoaders(train, DataLoader(items(20, 1), 8), device="cpu")
        return make_learner(tmp_path / name, dls=dls)

    with pytest.warns(UserWarning, match="at the ends of epochs only: a DataLoader cannot begin"):
        plain, again = killed_and_resumed(make, "fit_one_cycle", [8, 8])
    check_same(plain, again)


def test_so_is_a_run_with_a_metric_that_cannot_be_kept(tmp_path):
    class Count(AvgMetric):
        def reset(self):
            super().reset()

    def make(name):
        learn = make_learner(tmp_path / name)
        learn.recorder.train_metrics, learn.metrics = True, L([Count(f1)])
        return learn

    with pytest.warns(UserWarning, match="the metric `f1` has no state_dict"):
        plain, again = killed_and_resumed(make, "fit_one_cycle", [8])
    check_same(plain, again)


def test_a_run_that_was_complete_says_so_and_loads_its_end(tmp_path):
    learn = make_learner(tmp_path)
    quietly(learn, "fine_tune", 1, cbs=Checkpoints())
    end = end_of(learn)
    again, said = make_learner(tmp_path), []
    with again.no_bar():
        again.logger = said.append
        again.resume()
    place = "fit 2: after epoch 0 of 1 (checkpoint-000002.safetensors)."
    assert said[0] == [f"Going on with fine_tune, {place}"]
    assert said[-1] == ["The run was complete: nothing was left to train, and its end is loaded."]
    assert said[1][:-1] == [0, *learn.recorder.values[0]]
    assert_same_end(end, end_of(again))


def test_it_says_where_it_goes_on(tmp_path):
    with pytest.raises(Killed):
        quietly(make_learner(tmp_path), "fit", 3, cbs=[Checkpoints(every_steps=1), Kill(8)])
    again, said = make_learner(tmp_path), []
    with again.no_bar():
        again.logger = said.append
        again.resume(cbs=[Kill(10**6)])
    assert said[0][0].startswith("Going on with fit: at batch 2 of epoch 1 of 3 (checkpoint-0000")


def test_it_computes_as_the_run_did(tmp_path):
    kept_run(tmp_path, precision="bf16")
    again, said = make_learner(tmp_path, channels_last=True), []
    with again.no_bar():
        again.logger = said.append
        again.resume(cbs=Kill(10**6))
    settings = "precision='bf16', channels_last=False"
    told = f"The run was begun with {settings}, and goes on so; this learner had others."
    assert said[1] == [told]
    assert (again.precision.kind, again.channels_last) == ("bf16", False)


def test_a_resumed_run_goes_on_writing_as_it_was_told(tmp_path):
    folder = tmp_path / "kept"
    keep = Checkpoints(every_steps=2, keep=3, folder=folder)
    with pytest.raises(Killed):
        quietly(make_learner(tmp_path), "fit", 3, cbs=[keep, Kill(9)])
    assert len(list(folder.iterdir())) == 3
    newest = max(folder.iterdir())
    quietly(make_learner(tmp_path), "resume", cbs=Kill(10**6), folder=folder)
    assert len(list(folder.iterdir())) == 3
    assert max(folder.iterdir()) > newest


def test_without_a_checkpoint_the_error_names_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint in .*checkpoints.* cbs="):
        make_learner(tmp_path).resume()


def kept_run(tmp_path, **options):
    with pytest.raises(Killed):
        quietly(
            make_learner(tmp_path, **options), "fit", 3, cbs=[Checkpoints(every_steps=1), Kill(8)]
        )
    return sorted((tmp_path / "checkpoints").iterdir())


def test_a_broken_checkpoint_is_passed_over(tmp_path):
    plain = make_learner(tmp_path / "plain")
    rows = quietly(plain, "fit", 3)
    end = end_of(plain)
    before, newest = kept_run(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-40])
    again = make_learner(tmp_path)
    with pytest.warns(UserWarning, match=rf"cut short.*The one before is used: {before.name}"):
        assert quietly(again, "resume", cbs=Kill(10**6)) == rows
    assert_same_end(end, end_of(again))


def test_what_cannot_be_gone_on_with_is_told(tmp_path):
    for path in kept_run(tmp_path):
        path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="is no complete .safetensors file"):
        make_learner(tmp_path).resume(cbs=Kill(1))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": nn.Sequential(nn.Linear(6, 3))}, ModelFileError, "do not fit this Sequential"),
        ({"opt_func": SGD}, ModelFileError, "has the state of AdamW, but this run uses SGD"),
        ({"dls": {"n": 60}}, TrainingError, "44 items to train on, and this learner has 60"),
        ({"dls": {"bs": 4}}, TrainingError, "8 items in a batch, and this learner has 4"),
    ],
)
def test_another_model_or_other_data_is_refused(tmp_path, change, error, words):
    kept_run(tmp_path)
    options = {"splitter": trainable_params} if "model" in change else {}
    if "dls" in change:
        change = {"dls": make_dls(**change["dls"])}
    with pytest.raises(error, match=words):
        quietly(make_learner(tmp_path, **change, **options), "resume", cbs=Kill(9))


def test_callbacks_of_the_call_are_asked_for(tmp_path):
    with pytest.raises(Killed):
        cbs = [Checkpoints(every_steps=1), EMA(), Kill(3)]
        quietly(make_learner(tmp_path), "fine_tune", 1, cbs=cbs)
    with pytest.raises(TrainingError, match=r"begun as learn.fine_tune\(…, cbs=\[EMA, Kill\]\)"):
        make_learner(tmp_path).resume()


def test_callbacks_of_the_learner_are_missed(tmp_path):
    with pytest.raises(Killed):
        learn = make_learner(tmp_path, cbs=EMA())
        quietly(learn, "fine_tune", 1, cbs=[Checkpoints(every_steps=1), Kill(3)])
    with pytest.warns(UserWarning, match="callbacks that are not there now: EMA"):
        quietly(make_learner(tmp_path), "resume", cbs=Kill(10**6))


@pytest.mark.parametrize("kept", [[], ["MixUp"]])
def test_they_are_missed_if_they_have_no_state_as_well(tmp_path, kept):
    made = {"MixUp": MixUp(0.4, classes=3), "GradientClip": GradientClip(0.1)}
    with pytest.raises(Killed):
        learn = make_learner(tmp_path, cbs=[MixUp(0.4, classes=3), GradientClip(0.1)])
        quietly(learn, "fit", 2, cbs=[Checkpoints(every_steps=1), Kill(3)])
    missing = ", ".join(name for name in made if name not in kept)
    with pytest.warns(UserWarning, match=f"callbacks that are not there now: {missing}. It goes"):
        learn = make_learner(tmp_path, cbs=[made[name] for name in kept])
        quietly(learn, "resume", cbs=Kill(10**6))


def test_callbacks_that_are_new_are_told(tmp_path):
    kept_run(tmp_path)
    with pytest.warns(UserWarning, match="The run had no GradientClip, and goes on with it"):
        quietly(make_learner(tmp_path, cbs=GradientClip(0.1)), "resume", cbs=Kill(10**6))


def test_a_bar_may_be_shown_or_not(tmp_path, capsys):
    kept_run(tmp_path)  # without
    learn = make_learner(tmp_path)
    learn.resume(cbs=Kill(10**6))
    assert len(learn.recorder.values) == 3


@pytest.mark.parametrize("at_learner", [True, False])
def test_callbacks_with_other_settings_are_told(tmp_path, at_learner):
    def begin(what, *args, cbs):
        learn = make_learner(tmp_path, cbs=cbs if at_learner else None)
        kill = Kill(3 if what == "fit" else 10**6)
        quietly(learn, what, *args, cbs=[kill, *([] if at_learner else cbs)])

    with pytest.raises(Killed):
        begin("fit", 2, cbs=[Checkpoints(every_steps=1), EMA(0.9)])
    words = r"The run had EMA\(decay=0.9\), and goes on with EMA\(decay=0.99\) in its place"
    with pytest.warns(UserWarning, match=words):
        begin("resume", cbs=[Checkpoints(every_steps=2, keep=5), EMA(0.99)])


def test_callbacks_of_a_class_in_another_order_are_told(tmp_path):
    def two():
        return [SaveModelCallback(fname="a"), SaveModelCallback("accuracy", fname="b")]

    with pytest.raises(Killed):
        quietly(make_learner(tmp_path), "fit", 2, cbs=[Checkpoints(), Kill(8), *two()])
    with pytest.warns(
        UserWarning, match="The run had SaveModelCallback.*those of a class in their"
    ):
        quietly(make_learner(tmp_path), "resume", cbs=[Kill(10**6), *two()[::-1]])


def test_callbacks_may_come_from_a_generator(tmp_path):
    seen = []

    class See(Callback):
        def after_batch(self, learn):
            seen.append(learn.run.call["cbs"])

    quietly(make_learner(tmp_path), "fine_tune", 1, cbs=(cb for cb in [See(), EMA()]))
    assert seen == [["See", "EMA"]] * 2 * (STEPS + 3)


def test_after_a_resume_the_last_checkpoint_is_known(tmp_path):
    path = kept_run(tmp_path)[-1]

    class Look(Callback):
        def before_epoch(self, learn):
            found.extend(cb.last for cb in learn.cbs if isinstance(cb, Checkpoints))
            raise Killed

    for given in ([Checkpoints()], []):
        found = []
        with pytest.raises(Killed), pytest.warns(UserWarning, match="had no Look"):
            quietly(make_learner(tmp_path), "resume", cbs=[Kill(10**6), Look(), *given])
        assert found == [path]


def test_only_recipes_are_called_by_name(tmp_path):
    path = kept_run(tmp_path)[-1]
    tensors, meta = load_state(path)
    meta["run"]["call"]["name"] = "export"
    save_state(path, tensors=tensors, meta=meta)
    with pytest.raises(ModelFileError, match="has no such recipe"):
        make_learner(tmp_path).resume(cbs=Kill(1))


def test_arguments_that_no_file_can_hold_are_refused_before_training(tmp_path):
    class Odd(Learner):
        @resumable
        def twice(self, what, cbs=None):
            self.fit(1, cbs=cbs)

    learn = Odd(make_dls(), nn.Linear(6, 3), F.cross_entropy, path=tmp_path)
    with pytest.raises(TypeError, match="`call.arguments.what` is a function"):
        quietly(learn, "twice", make_dls, cbs=Checkpoints())
    assert learn.train_iter == 0


def test_a_recipe_of_ones_own_is_gone_on_with(tmp_path):
    class Mine(Learner):
        @resumable
        def two_sizes(self, n, cbs=None):
            self.fit(n, 0.01, cbs=cbs)
            self.fit_one_cycle(n, 0.05, cbs=cbs)

    def make(path):
        set_seed(0)
        return Mine(make_dls(), nn.Linear(6, 3), F.cross_entropy, path=path)

    plain = make(tmp_path / "plain")
    quietly(plain, "two_sizes", 1)
    end = end_of(plain)
    with pytest.raises(Killed):
        quietly(make(tmp_path), "two_sizes", 1, cbs=[Checkpoints(every_steps=1), Kill(8)])
    again = make(tmp_path)
    quietly(again, "resume", cbs=Kill(10**6))
    assert_same_end(end, end_of(again))


def test_a_recipe_may_take_whatever_another_one_takes(tmp_path):
    class Mine(Learner):
        @resumable
        def slowly(self, n, **options):
            self.fit(n, 1e-3, **options)

    def make():
        set_seed(0)
        return Mine(make_dls(), nn.Linear(6, 3), F.cross_entropy, path=tmp_path)

    with pytest.raises(Killed):
        quietly(make(), "slowly", 2, wd=0.1, cbs=iter([Checkpoints(every_steps=1), Kill(3)]))
    again, seen = make(), []

    class _See(Callback):
        def before_epoch(self, learn):
            seen.append(learn.run.call["arguments"])

    quietly(again, "resume", cbs=[Kill(10**6), _See()])
    assert seen == [{"n": 2, "wd": 0.1}] * 2


@pytest.mark.parametrize("sign", ["*args", "n, /"])
def test_a_recipe_takes_its_arguments_by_name(sign):
    def by_place(learn, *args, cbs=None):
        pass

    def without_a_name(learn, n, /, cbs=None):
        pass

    method = by_place if sign == "*args" else without_a_name
    with pytest.raises(
        TypeError, match=r"by the names of its arguments, but `(\*args|n)` has none"
    ):
        resumable(method)


def test_a_recipe_that_was_overridden_has_to_be_marked(tmp_path):
    class Mine(Learner):
        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)

    def make():
        return Mine(make_dls(), nn.Linear(6, 3), F.cross_entropy, path=tmp_path)

    with pytest.raises(Killed):
        quietly(make(), "fit", 2, cbs=[Checkpoints(every_steps=1), Kill(3)])
    with pytest.raises(ModelFileError, match="Mine has one of its own.* Put @resumable"):
        make().resume(cbs=Kill(1))


def test_lr_find_in_a_run_leaves_the_run_alone(tmp_path):
    class Look(Callback):
        order = 1e6

        def after_epoch(self, learn):
            if learn.epoch == 1:
                learn.lr_find(num_it=8, show_plot=False)

    learn = make_learner(tmp_path)
    run = learn.run
    quietly(learn, "fit", 3, cbs=[Checkpoints(), Look()])
    assert learn.run is run
    assert run.call is None
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["checkpoint-000002.safetensors", "checkpoint-000003.safetensors"]


def test_the_outermost_call_is_what_is_kept(tmp_path):
    seen = []

    class See(Callback):
        def before_fit(self, learn):
            seen.append((learn.run.call["name"], learn.run.call["arguments"], learn.run.fits))

    quietly(make_learner(tmp_path), "fine_tune", 1, slice(1e-3, 1e-2), cbs=See())
    arguments = {"epochs": 1, "base_lr": slice(1e-3, 1e-2)}
    assert seen == [("fine_tune", arguments, 0), ("fine_tune", arguments, 1)]


def test_wrong_arguments_are_named_by_the_recipe_itself(tmp_path):
    with pytest.raises(TypeError, match=r"fine_tune\(\) missing 1 required positional argument"):
        make_learner(tmp_path).fine_tune()


def test_a_run_that_nobody_left_begins_at_its_beginning():
    run = Run()
    assert not run.passes_over()
    assert run.enter_fit(None, 3) == 3
    assert run.enter_epoch(None) == 0


# A program that begins others without importing all anew: they are its copies, made by fork.
PROGRAMS = """
import os, sys
sys.path.insert(0, sys.argv[2])
from test_resuming import *
torch.set_num_threads(1)

def train(folder):
    learn = make_learner(folder, dls=make_dls(workers=2, n=120, bs=4))
    cbs = [Checkpoints(every_steps=1), EMA(0.9)]
    if (learn.path / "checkpoints").exists():
        rows = quietly(learn, "resume", cbs=cbs)
    else:
        rows = quietly(learn, "fine_tune", 3, 0.05, cbs=cbs)
    learn.save(learn.path / "end.safetensors")
    (learn.path / "rows.json").write_text(json.dumps([rows, learn.recorder.losses]))

for line in sys.stdin:
    if (child := os.fork()) == 0:
        train(line.strip())
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_programs_that_are_killed_at_random_moments_end_as_one_that_is_not(tmp_path):
    rng, files, codes = random.Random(3), tmp_path / "killed/checkpoints", []
    command = [sys.executable, "-W", "ignore", "-c", PROGRAMS, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([*command, str(Path(__file__).parent)], **pipes) as programs:
        for name in ["plain", *["killed"] * 4]:
            seen = set(files.glob("*"))
            print(tmp_path / name, file=programs.stdin)
            child = int(programs.stdout.readline())
            if 0 < len(codes) < 4:
                while set(files.glob("*")) <= seen:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.3))
                os.kill(child, signal.SIGKILL)
            codes.append(int(programs.stdout.readline()))
        programs.stdin.close()
    assert codes == [0, *[-signal.SIGKILL] * 3, 0]
    ends = [load_state(tmp_path / name / "end.safetensors")[0] for name in ("plain", "killed")]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    tables = [json.loads((tmp_path / n / "rows.json").read_text()) for n in ("plain", "killed")]
    assert tables[1][1] == tables[0][1]
    assert tables[1][0] == tables[0][0][-len(tables[1][0]) :]
