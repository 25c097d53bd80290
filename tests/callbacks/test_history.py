"""The history has every fit; searches for a rate, and fits that made no step, leave none."""

import json

import pytest
import torch
from torch import nn

from presize.callbacks.base import Callback, CancelFit
from presize.callbacks.recorder import Recorder
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.training_record import FitRecord


def learner(**options):
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    pairs = list(zip(x, (x[:, 0] > 0).long(), strict=True))
    dls = DataLoaders(DataLoader(pairs[:48], bs=8, shuffle=True), DataLoader(pairs[48:], bs=8))
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    options = {"splitter": lambda m: [list(m[0].parameters()), list(m[2].parameters())]} | options
    return Learner(dls, model, nn.CrossEntropyLoss(), metrics=accuracy, **options)


def test_a_fit_has_its_table_its_curve_and_its_schedule():
    learn = learner()
    with learn.no_logging():
        learn.fit_one_cycle(2, 0.01)
    (fit,) = learn.history.fits
    assert (fit.method, fit.trained, fit.n_epoch) == ("fit_one_cycle", "all layers", 2)
    assert (fit.n_steps, fit.epoch_steps) == (12, [6, 12])
    assert fit.names == ["epoch", "train_loss", "valid_loss", "accuracy", "time"]
    assert [row[:4] for row in fit.rows] == [
        [i, *values] for i, values in enumerate(map(list, learn.recorder.values))
    ]
    assert fit.loss_steps == list(range(12))
    assert fit.losses == pytest.approx(learn.recorder.losses, rel=1e-5)
    assert fit.hyper["lr"] == pytest.approx(learn.recorder.hps["lr"], rel=1e-5)
    assert fit.seconds > 0 and 0 <= fit.waited <= 1


def test_fine_tune_makes_two_and_says_which_layers_were_trained():
    learn = learner()
    with learn.no_logging():
        learn.fine_tune(2)
    first, second = learn.history.fits
    assert {first.method, second.method} == {"fine_tune"}
    assert first.trained == "the last layers, the others frozen"
    assert second.trained == "all layers"
    assert [fit.n_epoch for fit in learn.history.fits] == [1, 2]


def test_lr_find_leaves_no_fit_behind():
    learn = learner()
    learn.lr_find(show_plot=False, num_it=5)
    assert learn.history.fits == [] and learn.history.started is None
    with learn.no_logging():
        learn.fit(1)
    learn.lr_find(show_plot=False, num_it=5)
    assert len(learn.history.fits) == 1


def test_a_fit_that_made_no_step_is_not_kept_and_one_that_was_ended_is():
    class Stop(Callback):
        order = 60  # when the recorder has the batch

        def __init__(self, event):
            self.event = event

        def before_fit(self, learn):
            if self.event == "fit":
                raise CancelFit

        def after_batch(self, learn):
            if self.event == "batch" and learn.iter == 2:
                raise CancelFit

    learn = learner()
    with learn.no_logging():
        learn.fit(1, cbs=Stop("fit"))
        assert learn.history.fits == []
        learn.fit(1, cbs=Stop("batch"))
    (fit,) = learn.history.fits
    assert (fit.n_steps, fit.rows) == (3, [])


def test_a_recorder_of_a_fits_own_is_the_one_that_is_asked():
    learn = learner()
    with learn.no_logging():
        learn.fit(1, cbs=Recorder(train_metrics=True))
    assert "train_accuracy" in learn.history.fits[0].names


def test_a_loss_that_is_no_number_is_none_in_the_record(recwarn):
    learn = learner()
    with learn.no_logging():
        learn.fit(1)
    learn.history.before_fit(learn)
    learn.recorder.shown[0][1] = float("nan")
    learn.history.after_fit(learn)
    assert learn.history.fits[-1].rows[0][1] is None


def test_the_history_goes_through_a_checkpoint():
    learn = learner()
    with learn.no_logging():
        learn.fine_tune(1)
    state = json.loads(json.dumps(learn.history.state_dict()))
    other = learner()
    other.history.load_state_dict(state)
    assert other.history.fits == learn.history.fits
    assert isinstance(other.history.fits[0], FitRecord)
    assert other.history.started == learn.history.started
