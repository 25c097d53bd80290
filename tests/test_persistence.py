"""Weights that are kept and read again."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.checkpoint import Checkpoints
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner


def make_learner(path):
    data = DataLoader([(torch.ones(2), torch.zeros(1))] * 4, 2)
    return Learner(DataLoaders(data, data, device="cpu"), nn.Linear(2, 1), F.mse_loss, path=path)


def test_a_checkpoint_is_read_by_its_own_path_also_a_relative_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn, keep = make_learner("out"), Checkpoints()
    with learn.no_logging():
        learn.fit(1, cbs=keep)
    assert not keep.last.is_absolute()
    other = make_learner("out").load(keep.last)
    assert torch.equal(other.model.weight, learn.model.weight)


def test_the_folder_of_models_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours, theirs = make_learner("out"), make_learner(".")
    ours.save("best")
    theirs.save(tmp_path / "best")
    assert torch.equal(make_learner("out").load("best").model.weight, ours.model.weight)
    with pytest.raises(FileNotFoundError, match="Did you mean `best.safetensors`"):
        ours.load("bast")
