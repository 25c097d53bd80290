"""How a model came to be: told by the learner that trained it, then by its file."""

import sys
from functools import partial

import pytest
import torch
from torch import nn

from presize.core.randomness import set_seed
from presize.data.folders import ImageDataLoaders
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.marks import from_text, mark
from presize.data.resize import Resize
from presize.deploy.load import load_learner
from presize.history import data_facts, training_record, typed_command
from presize.learner import Learner
from presize.models.arch import resnet18
from presize.train.metrics import accuracy
from presize.train.optim import SGD
from presize.train.training_record import TrainingRecord
from presize.vision.learner import vision_learner


@pytest.fixture
def trained(picture_folder):
    set_seed(7)
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(32), bs=4, num_workers=0)
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    with learn.no_logging():
        learn.fit_one_cycle(1)
    return learn


def test_a_learner_tells_its_fits_its_data_and_its_model(trained, picture_folder):
    record = training_record(trained)
    assert [fit.method for fit in record.fits] == ["fit_one_cycle"]
    assert record.data.source == str(picture_folder)
    assert record.data.splits == {"train": 24, "valid": 12}
    assert record.data.classes["valid"] == {"cat": 6, "dog": 6}
    assert record.model["name"] == "resnet18"
    assert record.model["weights"] == "random at the start"
    assert record.seed == 7
    assert record.environment["device"] == "cpu"
    assert record.started is not None


def test_a_partial_is_told_by_what_it_calls(trained):
    trained.opt_func, trained.opt = partial(SGD, mom=0.5), None
    assert training_record(trained).model["optimizer"] == "SGD"


def test_the_file_tells_what_the_learner_told(trained):
    path = trained.export("model.safetensors")
    assert training_record(load_learner(path)) == training_record(trained)


def test_a_file_that_says_nothing_of_its_training_has_a_model_and_no_command(trained):
    loaded = load_learner(trained.export("model.safetensors"))
    loaded.record = TrainingRecord()
    record = training_record(loaded)
    assert record.model["name"] == "resnet18"
    assert "weights" not in record.model  # whether they began at random is not known
    assert record.command is None and record.seed is None and record.fits == []


def test_a_loaded_model_that_trains_on_adds_its_fits(trained):
    path = trained.export("model.safetensors")
    loaded = load_learner(path)
    loaded.dls = trained.dls
    with loaded.no_logging():
        loaded.fit(1)
    assert [fit.method for fit in training_record(loaded).fits] == ["fit_one_cycle", "fit"]


def test_the_marks_are_those_of_the_validation_files(trained):
    known = from_text(data_facts(trained).valid_marks)
    valid, train = trained.dls.valid.dataset.items, trained.dls.train.dataset.items
    assert known == {mark(file, trained.dls.path) for file in valid}
    assert not any(mark(file, trained.dls.path) in known for file in train)


def test_data_that_is_in_no_files_is_counted_and_has_no_marks():
    pairs = [(torch.zeros(4), torch.tensor(i % 2)) for i in range(8)]
    dls = DataLoaders(DataLoader(pairs[:6], bs=2), DataLoader(pairs[6:], bs=2))
    facts = data_facts(Learner(dls, nn.Linear(4, 2), nn.CrossEntropyLoss()))
    assert facts.splits == {"train": 6, "valid": 2}
    assert facts.classes == {} and facts.valid_marks is None


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/usr/bin/presize", "train", "my pets"], "presize train 'my pets'"),
        (["/x/presize/__main__.py", "train", "pets"], "python -m presize train pets"),
        (["train.py", "--fast"], "python train.py --fast"),
        (["-c"], None),
        (["/x/ipykernel_launcher.py", "-f", "kernel.json"], None),
        ([], None),
    ],
)
def test_the_command_is_told_as_it_was_typed(monkeypatch, argv, told):
    monkeypatch.setattr(sys, "argv", argv)
    assert typed_command() == told


def test_a_notebook_has_no_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/lib/colab_kernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.setattr("presize.history.in_notebook", lambda: True)
    assert typed_command() is None
