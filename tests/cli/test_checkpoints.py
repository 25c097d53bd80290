"""`presize train` that is killed, and `presize train --resume`."""

import os
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from typer.testing import CliRunner

from presize.callbacks.base import Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.cli import app
from presize.cli.checkpoints import told_ended, train_or_resume
from presize.cli.recipe import DIGITS, recipe_for
from presize.core.errors import ModelFileError, TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train import checkpoint_files
from presize.train.state import load_state, save_state

QUICK = ["--arch", "squeezenet1_1", "--weights", "none", "--epochs", "2"]
QUICK += ["--size", "32", "--bs", "8"]
QUICK += ["--no-auto"]  # which may choose otherwise in another run


class Killed(BaseException):
    pass


def run(picture_folder, out, *options):
    command = ["train", str(picture_folder), *QUICK, "--out", str(out), *options]
    return CliRunner().invoke(app, command)


def killed(picture_folder, out, monkeypatch, batches=5):
    """Run the command and end it after so many batches; a checkpoint of each step is there."""
    with monkeypatch.context() as patch:
        after = Checkpoints.after_batch

        def after_batch(self, learn):
            self.every_steps = 1
            after(self, learn)
            if learn.training and learn.train_iter == batches:
                raise Killed

        patch.setattr(Checkpoints, "after_batch", after_batch)
        with pytest.raises(Killed):
            run(picture_folder, out)


def weights(out):
    return load_state(out / "pictures.safetensors")[0]


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_killed_goes_on_and_leaves_the_same_model(
    picture_folder, tmp_path, monkeypatch
):
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run(picture_folder, plain).exit_code == 0
    killed(picture_folder, out, monkeypatch)
    assert len(list((out / "checkpoints").glob("checkpoint-*"))) == 2
    result = run(picture_folder, out, "--resume", "--epochs", "7", "--lr", "0.1")
    assert result.exit_code == 0, result.output
    assert "Going on with fit_one_cycle: at batch 2 of epoch 1 of 2" in result.output
    assert "--epochs 7 is not used: the run began with 2, and goes on with that." in result.output
    assert "--lr 0.1 is not used" in result.output
    assert all((value == weights(out)[name]).all() for name, value in weights(plain).items())
    assert not (out / "checkpoints").exists()
    assert not (plain / "checkpoints").exists()
    model = out / "pictures.safetensors"
    written = model.stat().st_mtime_ns
    again = run(picture_folder, out, "--resume")
    assert again.exit_code == 0
    assert f"The run in {out} has ended, and its model is {model}" in again.output
    assert "leave out --resume" in again.output
    assert model.stat().st_mtime_ns == written


@pytest.mark.usefixtures("undrawn")
def test_without_a_checkpoint_it_begins_and_says_so(picture_folder, tmp_path):
    result = run(picture_folder, tmp_path / "out", "--resume", "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert "There is no checkpoint in " in result.output
    assert ": a new run begins." in result.output
    assert (tmp_path / "out/pictures.safetensors").is_file()


@pytest.mark.usefixtures("undrawn")
def test_a_new_run_in_such_a_folder_says_what_it_does(picture_folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    killed(picture_folder, out, monkeypatch, batches=2)
    result = run(picture_folder, out, "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert (
        "has checkpoints of a run that did not end, which --resume would have gone on with."
        in result.output
    )
    assert f"Those of the run before are in {out / 'checkpoints/earlier'} until" in result.output
    assert not (out / "checkpoints").exists()


@pytest.mark.usefixtures("undrawn")
def test_sigterm_ends_it_with_the_way_to_go_on(picture_folder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        before = Checkpoints.before_train

        def before_train(self, learn):
            before(self, learn)
            os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr(Checkpoints, "before_train", before_train)
        result = run(picture_folder, tmp_path / "out")
    assert result.exit_code == 143
    assert "SIGTERM came, training stopped at epoch 0, batch 0. The last checkpoint is" in (
        result.stderr
    )
    assert result.stderr.endswith("The same command with --resume goes on.\n")
    assert run(picture_folder, tmp_path / "out", "--resume").exit_code == 0


@pytest.mark.usefixtures("undrawn")
def test_another_split_is_refused(picture_folder, tmp_path, monkeypatch):
    out, flat = tmp_path / "out", picture_folder / "train"
    killed(flat, out, monkeypatch, batches=2)
    result = run(flat, out, "--resume", "--seed", "5")
    assert isinstance(result.exception, TrainingError)
    assert "with other pictures, or with the same ones in another order" in str(result.exception)


# ---- the same with a learner that takes no time ------------------------------------------------


class Kill(Callback):
    order = 20000

    def __init__(self, after):
        self.left = after

    def after_batch(self, learn):
        self.left -= learn.training
        if not self.left:
            raise Killed


def train_small(path, recipe=DIGITS, *, resume=False, kill=10**6, every_steps=None):
    """Train by a recipe; a checkpoint of each so many steps is there."""
    data = DataLoader([(torch.ones(2), torch.zeros(1))] * 6, 2)
    dls = DataLoaders(data, data, device="cpu")
    model = nn.Linear(2, 1)
    halves = [[model.weight], [model.bias]]
    learn = Learner(dls, model, F.mse_loss, path=path, cbs=Kill(kill), splitter=lambda _: halves)
    init = Checkpoints.__init__

    def often(self, **options):
        init(self, **options | {"every_steps": every_steps})

    with learn.no_logging(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "__init__", often)
        train_or_resume(learn, recipe, resume=resume)
    return learn


def settings(**options):
    names = ("arch", "epochs", "size", "presize", "bs", "lr", "weights")
    return recipe_for("digits", **dict.fromkeys(names) | options)


@pytest.fixture
def left(tmp_path):
    """A folder with the checkpoints of a run that was killed."""
    with pytest.raises(Killed):
        train_small(tmp_path, kill=5, every_steps=1)
    return tmp_path


def test_a_new_run_that_died_before_its_first_is_begun_again(left, capsys):
    with pytest.raises(Killed):
        train_small(left, settings(lr=1e-4), kill=2)
    assert "until the new one has written its first" in capsys.readouterr().out
    learn = train_small(left, settings(lr=1e-4, epochs=1), resume=True)
    said = capsys.readouterr().out
    assert f"There is no checkpoint in {left / 'checkpoints'}: a new run begins." in said
    assert f"Those of the run before are in {left / 'checkpoints/earlier'}" in said
    assert max(learn.recorder.lrs) <= 1e-4
    assert len(learn.recorder.values) == 1


@pytest.mark.parametrize(
    ("options", "began", "given"),
    [
        ({"size": 48}, "--size 32 --presize 32", "--size 48 --presize 48"),
        ({"presize": 64}, "--presize 32", "--presize 64"),
        ({"arch": "resnet34", "bs": 8}, "--arch resnet18 --bs 32", "--arch resnet34 --bs 8"),
        ({"weights": "default"}, "--weights none", "--weights default"),
    ],
)
def test_settings_that_would_spoil_the_run_are_refused(left, options, began, given):
    said = f"began with {began}, and this command has {given}. .* give {began}, or leave out"
    with pytest.raises(TrainingError, match=said):
        train_small(left, settings(**options), resume=True)


def test_settings_that_have_no_effect_are_told(tmp_path, capsys):
    with pytest.raises(Killed):
        train_small(tmp_path, settings(weights="default"), kill=5, every_steps=1)
    train_small(tmp_path, settings(weights="own.pth", epochs=2), resume=True)
    said = capsys.readouterr().out
    assert "--weights own.pth is not used: the run began with default, and goes on" in said
    assert "--epochs 2 is not used: the run began with 10" in said
    assert "--lr" not in said


def test_a_checkpoint_is_read_whole_only_once(left, monkeypatch):
    broken = max((left / "checkpoints").glob("checkpoint-*"))
    broken.write_bytes(broken.read_bytes()[:-20])
    read, real = [], checkpoint_files.load_state
    monkeypatch.setattr(
        checkpoint_files, "load_state", lambda p, **o: (read.append(p.name), real(p, **o))[1]
    )
    with pytest.warns(UserWarning, match="The one before is used"):
        train_small(left, resume=True)
    assert len(read) == len(set(read)) == 2


def test_broken_checkpoints_have_a_way_out(left):
    for path in (left / "checkpoints").glob("checkpoint-*"):
        path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="Remove them, or begin a new run: .*leave out --res"):
        train_small(left, resume=True)
    assert len(train_small(left, settings(epochs=1)).recorder.values) == 1


def test_a_run_has_ended_if_its_model_is_there_and_nothing_has_begun_since(left, capsys):
    model, kept = left / "m.safetensors", left / "checkpoints"
    assert not told_ended(left, model)
    save_state(model, tensors={}, meta={})
    assert not told_ended(left, model)  # killed before the checkpoints were removed
    (kept / "mine.txt").touch()
    checkpoint_files.CheckpointFolder(kept).remove()
    assert told_ended(left, model)
    assert "leave out --resume" in capsys.readouterr().out
    with pytest.raises(Killed):
        train_small(left, kill=2)
    assert not told_ended(left, model)
