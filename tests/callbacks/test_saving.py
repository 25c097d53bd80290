import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.csv_logger import CSVLogger
from presize.callbacks.saving import (
    EarlyStoppingCallback,
    PatienceCallback,
    ReduceLROnPlateau,
    SaveModelCallback,
    TrackerCallback,
)
from presize.core.errors import DataError
from presize.core.ranks import Rank
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD


class Scripted(Callback):
    """Puts given values into the table in place of the validation loss."""

    order = 55

    def __init__(self, values):
        self.script = values

    def after_epoch(self, learn):
        learn.recorder.values[-1][1] = self.script[learn.epoch]


def fit(values, *cbs, tmp_path=".", **options):
    batches = [(torch.randn(4, 3), torch.randn(4, 1))]
    dls = DataLoaders(batches, batches, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.1, path=tmp_path)
    with learn.no_logging():
        learn.fit(len(values), cbs=[Scripted(values), *cbs], **options)
    return learn


@pytest.mark.parametrize(
    ("monitor", "comp"),
    [("valid_loss", np.less), ("error_rate", np.less), ("accuracy", np.greater)],
)
def test_losses_are_minimised_and_other_figures_maximised(monitor, comp):
    assert TrackerCallback(monitor).comp is comp


def test_min_delta_is_what_counts_as_better():
    plain, strict = TrackerCallback(), TrackerCallback(min_delta=0.2)
    fit([1.0, 0.9, 0.7], plain, strict)
    assert (plain.best, strict.best) == (0.7, 0.7)
    plain, strict = TrackerCallback(), TrackerCallback(min_delta=0.2)
    fit([1.0, 0.9, 0.85], plain, strict)
    assert (plain.best, strict.best) == (0.85, 1.0)


def test_an_unknown_column_is_named_with_the_near_miss():
    with pytest.raises(ValueError, match="Did you mean `valid_loss`"):
        fit([1.0], TrackerCallback("valid_los"))


def test_the_best_model_is_saved_and_loaded_at_the_end(tmp_path, capsys):
    weights = {}

    class Keep(Callback):
        order = 62

        def after_epoch(self, learn):
            weights[learn.epoch] = learn.model.weight.clone()

    learn = fit([3.0, 1.0, 2.0], SaveModelCallback(), Keep(), tmp_path=tmp_path)
    assert learn.model.weight.tolist() == weights[1].tolist()
    assert (tmp_path / "models" / "model.safetensors").exists()
    assert "Better model found at epoch 1 with valid_loss: 1.0." in capsys.readouterr().out


def test_every_epoch_appends_its_number(tmp_path):
    fit([3.0, 1.0, 2.0], SaveModelCallback(every_epoch=True), tmp_path=tmp_path)
    names = sorted(p.name for p in (tmp_path / "models").iterdir())
    assert names == [f"model_{i}.safetensors" for i in range(3)]


def test_training_stops_without_improvement():
    learn = fit([3.0, 2.0, 2.5, 2.6, 1.0], EarlyStoppingCallback(patience=2))
    assert len(learn.recorder.values) == 4


def test_the_rate_is_lowered_on_a_plateau():
    learn = fit([3.0, 2.0, 2.5, 2.6], ReduceLROnPlateau(patience=2, factor=5.0, min_lr=0.001))
    assert learn.opt.param_groups[-1]["lr"] == pytest.approx(0.02)


def fit_without_validation(*cbs, metrics=None, path="."):
    batches = [(torch.randn(4, 3), torch.randn(4, 1))]
    dls = DataLoaders(batches, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.1, metrics=metrics, path=path)
    with learn.no_logging():
        learn.recorder.train_metrics = metrics is not None
        learn.fit(3, cbs=list(cbs))
    return learn


@pytest.mark.parametrize(
    "cb",
    [
        EarlyStoppingCallback(),
        SaveModelCallback(),
        ReduceLROnPlateau(),
        TrackerCallback("valid_l1_loss"),
    ],
    ids=repr,
)
def test_a_figure_of_validation_is_not_followed_where_there_is_none(cb):
    with pytest.raises(DataError, match=r"has no validation set.*monitor='train_loss'") as caught:
        fit_without_validation(cb, metrics=F.l1_loss)
    assert f"{type(cb).__name__} is to follow `{cb.monitor}`" in str(caught.value)


def test_figures_of_training_are_followed_without_validation(tmp_path):
    cbs = [TrackerCallback("train_loss"), TrackerCallback("train_l1_loss")]
    fit_without_validation(*cbs, metrics=F.l1_loss)
    assert all(np.isfinite(cb.best) for cb in cbs)
    fit_without_validation(SaveModelCallback(every_epoch=True), path=tmp_path)
    assert len(list((tmp_path / "models").iterdir())) == 3


def test_an_epoch_without_a_value_does_not_count():
    stop, lower = EarlyStoppingCallback(patience=2), ReduceLROnPlateau(patience=2)
    learn = fit([3.0, None, None, 4.0, None, 4.0, 4.0], stop, lower)
    assert len(learn.recorder.values) == 6
    assert stop.wait == 2
    assert learn.opt.param_groups[-1]["lr"] == pytest.approx(0.01)


def test_the_last_epoch_of_a_fit_that_is_stopped_is_written_down(tmp_path):
    cbs = [EarlyStoppingCallback(patience=2), CSVLogger(), Checkpoints(keep=9)]
    learn = fit([3.0, 2.0, 2.5, 2.6, 1.0], *cbs, tmp_path=tmp_path)
    assert len(learn.recorder.values) == 4
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + 4
    assert len(list((tmp_path / "checkpoints").iterdir())) == 4


def test_a_fit_that_was_stopped_is_complete_for_a_run_that_goes_on(tmp_path):
    def script():
        return [Scripted([3.0, 2.0, 2.5, 2.6, 1.0]), EarlyStoppingCallback(patience=2)]

    batches = [(torch.randn(4, 3), torch.randn(4, 1))]
    learners = [
        Learner(
            DataLoaders(batches, batches, device="cpu"),
            nn.Linear(3, 1),
            F.mse_loss,
            SGD,
            lr=0.1,
            path=tmp_path,
        )
        for _ in range(2)
    ]
    stopped, again = learners
    with stopped.no_logging():
        stopped.fit(5, cbs=[*script(), Checkpoints()])
    with again.no_logging():
        again.resume(cbs=script())
    assert not again.run.trained
    assert list(again.recorder.values) == list(stopped.recorder.values)
    assert len(again.recorder.values) == 4
    assert torch.equal(again.model.weight, stopped.model.weight)


def test_trackers_rest_during_lr_find(tmp_path):
    learn = fit([1.0], tmp_path=tmp_path)
    learn.add_cbs([SaveModelCallback("accuracy"), EarlyStoppingCallback("accuracy")])
    learn.lr_find(show_plot=False, num_it=40)
    assert not (tmp_path / "models").exists()


class Restore(Callback):
    """Puts a state back where a resumed run does, after `before_fit`."""

    order = 90

    def __init__(self, cb, state):
        self.cb, self.state = cb, state

    def before_fit(self, learn):
        self.cb.load_state_dict(self.state)


FIGURES = [3.0, 1.0, 2.0, 2.5, 0.5, 0.9]


def test_a_resumed_run_saves_the_same_epochs(tmp_path, capsys):
    first, again = SaveModelCallback(), SaveModelCallback()
    fit(FIGURES[:3], first, tmp_path=tmp_path)
    state = first.state_dict()
    assert state == {"best": 1.0, "saved": True}
    capsys.readouterr()
    fit(FIGURES, again, Restore(again, state), tmp_path=tmp_path, start_epoch=3)
    assert capsys.readouterr().out == "Better model found at epoch 4 with valid_loss: 0.5.\n"


def test_a_resumed_run_loads_what_was_best_before_it(tmp_path):
    first, again = SaveModelCallback(), SaveModelCallback()
    best = fit(FIGURES[:3], first, tmp_path=tmp_path).model.weight
    learn = fit(
        [*FIGURES[:3], 5.0],
        again,
        Restore(again, first.state_dict()),
        tmp_path=tmp_path,
        start_epoch=3,
    )
    assert torch.equal(learn.model.weight, best)


def test_patience_goes_on_where_it_was(capsys):
    first, again = EarlyStoppingCallback(patience=3), EarlyStoppingCallback(patience=3)
    fit([1.0, 2.0, 2.0], first)
    assert first.state_dict() == {"best": 1.0, "wait": 2}
    learn = fit([9.0] * 9, again, Restore(again, first.state_dict()), start_epoch=3)
    assert len(learn.recorder.values) == 1
    assert "No improvement of valid_loss in 3 epochs: stopping." in capsys.readouterr().out


def test_only_the_main_process_speaks(capsys, monkeypatch):
    monkeypatch.setattr(Learner, "ranks", Rank(1, 2))
    from presize.callbacks.saving import _say

    learn = object.__new__(Learner)
    _say(learn, "hello")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(Learner, "ranks", Rank(0, 2))
    _say(learn, "hello")
    assert capsys.readouterr().out == "hello\n"


def test_a_rate_that_a_schedule_sets_cannot_be_lowered_and_the_user_hears_it():
    batches = [(torch.randn(4, 3), torch.randn(4, 1))]
    dls = DataLoaders(batches, batches, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.1, cbs=ReduceLROnPlateau())
    with learn.no_logging(), pytest.warns(UserWarning, match=r"no effect in this fit.*Use it with"):
        learn.fit_one_cycle(1)
    with learn.no_logging():
        learn.fit(1)
    learn.lr_find(show_plot=False, num_it=20)


def test_a_callback_with_patience_must_say_what_it_does():
    class Waits(PatienceCallback):
        pass

    with pytest.raises(NotImplementedError, match=r"Waits needs a method give_up\(self, learn\)"):
        fit([1.0, 2.0], Waits())


def test_their_repr_shows_what_they_follow():
    assert repr(SaveModelCallback("accuracy")) == "SaveModelCallback('accuracy')"
