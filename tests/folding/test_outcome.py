import pytest
import torch
from torch import nn

from presize.callbacks.recorder import Recorder
from presize.data.folders import ImageDataLoaders
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.folding.outcome import judged
from presize.learner import Learner
from presize.train.metrics import accuracy


@pytest.fixture
def dls(picture_folder):
    return ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(8), bs=5, num_workers=0, device="cpu"
    )


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


@pytest.mark.parametrize("options", [{"shuffle": True, "drop_last": True}, {"n": 3}])
def test_rows_are_in_the_order_of_the_items_whatever_the_loader_does(dls, options):
    valid = dls.valid.new(**options)
    learn = Learner(DataLoaders(dls.train, valid), network())
    outcome = judged(learn, list(range(12)))
    wanted, targets = Learner(dls, learn.model).get_preds()
    assert torch.allclose(outcome.preds, wanted) and torch.equal(outcome.targets, targets)
    assert outcome.rows == list(range(12))


def test_there_are_figures_whatever_the_recorder_does(dls):
    learn = Learner(dls, network(), metrics=accuracy)
    wanted = judged(learn, list(range(12)))
    assert wanted.names == ["valid_loss", "accuracy"]
    recorder = Recorder(valid_metrics=False)
    learn.add_cb(recorder)
    assert judged(learn, list(range(12))).scores == pytest.approx(wanted.scores)
    assert learn.recorder is recorder and not recorder.valid_metrics
    learn.remove_cb(Recorder)
    assert judged(learn, list(range(12))).scores == pytest.approx(wanted.scores)
