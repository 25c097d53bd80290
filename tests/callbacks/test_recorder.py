"""The recorder: its table and its curve, also where epochs end early."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelEpoch
from presize.callbacks.bottleneck import Waiting
from presize.callbacks.recorder import Recorder
from presize.core.errors import TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner


def fitted(n_epoch=1, *, valid=True, **options):
    """A learner after a fit of 8 steps an epoch."""
    x = torch.randn(32, 3)
    data = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(data, 4), DataLoader(data, 8) if valid else None, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss)
    with learn.no_logging():
        learn.fit(n_epoch, **options)
    return learn


def leave(event, epoch):
    """A callback that leaves an epoch in this event."""

    def act(self, learn):
        if learn.epoch == epoch:
            raise CancelEpoch

    return type("Leave", (Callback,), {event: act, "order": 1000})()


def test_there_is_no_last_record_before_a_fit():
    with pytest.raises(TrainingError, match="this learner has not trained. Call fit"):
        Recorder().final_record()


@pytest.mark.parametrize("train_metrics", [False, True])
def test_the_curve_of_a_fit_without_validation_data_is_that_of_training(train_metrics):
    learn = fitted(valid=False)
    learn.recorder.train_metrics = train_metrics
    axes = learn.recorder.plot_loss()
    assert [line.get_label() for line in axes.lines] == ["train"]


def test_nor_is_there_another_where_validation_is_not_measured():
    recorder = Recorder(valid_metrics=False)
    fitted(2, cbs=[recorder, leave("before_epoch", 1)])
    assert [line.get_label() for line in recorder.plot_loss().lines] == ["train"]


@pytest.mark.parametrize(
    ("event", "steps", "columns"),
    [
        ("before_epoch", 0, 0),
        ("before_train", 0, 0),
        ("after_batch", 1, 0),
        ("after_train", 8, 1),
        ("before_validate", 8, 1),
        ("after_validate", 8, 2),
    ],
)
def test_rows_and_steps_stay_together_where_an_epoch_is_left(event, steps, columns):
    recorder = fitted(3, cbs=leave(event, 1)).recorder
    assert [len(row) for row in recorder.values] == [2, columns, 2]
    assert recorder.iters == [8, 8 + steps, 16 + steps]
    whole = [0, 1, 2] if columns == 2 else [0, 2]
    valid = recorder.plot_loss().lines[1]
    assert valid.get_xdata().tolist() == [recorder.iters[epoch] - 1 for epoch in whole]
    assert valid.get_ydata().tolist() == [recorder.values[epoch][1] for epoch in whole]


def test_a_fit_in_an_except_block_tells_what_it_waited_for(capsys, monkeypatch):
    monkeypatch.setattr(Waiting, "verdict", lambda self, dl: "It waited.")
    learn = fitted()
    capsys.readouterr()
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:  # as where a fit is tried again
        learn.fit(1)
    assert "It waited." in capsys.readouterr().out
