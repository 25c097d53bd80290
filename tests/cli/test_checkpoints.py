"""`presize train` that is killed, and `presize train --resume`."""

import os
import signal

import pytest
from typer.testing import CliRunner

from presize.callbacks.checkpoint import Checkpoints
from presize.cli import app
from presize.core.errors import TrainingError
from presize.train.state import load_state

QUICK = ["--arch", "resnet18", "--weights", "none", "--epochs", "2", "--size", "32", "--bs", "8"]
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


def test_a_run_that_was_killed_goes_on_and_leaves_the_same_model(
    picture_folder, tmp_path, monkeypatch
):
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run(picture_folder, plain).exit_code == 0
    killed(picture_folder, out, monkeypatch)
    assert len(list((out / "checkpoints").iterdir())) == 2
    result = run(picture_folder, out, "--resume", "--epochs", "7", "--lr", "0.1")
    assert result.exit_code == 0, result.output
    assert "Going on with fit_one_cycle: at batch 2 of epoch 1 of 2" in result.output
    assert "--epochs 7 is not used: the run began with 2, and goes on with that." in result.output
    assert "--lr 0.1 is not used" in result.output
    assert all((value == weights(out)[name]).all() for name, value in weights(plain).items())
    assert not (out / "checkpoints").exists()
    assert not (plain / "checkpoints").exists()


def test_without_a_checkpoint_it_begins_and_says_so(picture_folder, tmp_path):
    result = run(picture_folder, tmp_path / "out", "--resume", "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert "There is no checkpoint in " in result.output
    assert ": a new run begins." in result.output
    assert (tmp_path / "out/pictures.safetensors").is_file()


def test_a_new_run_in_such_a_folder_says_what_it_does(picture_folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    killed(picture_folder, out, monkeypatch, batches=2)
    result = run(picture_folder, out, "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert (
        "has checkpoints of a run that did not end, which --resume goes on with." in result.output
    )
    assert not (out / "checkpoints").exists()


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


def test_another_split_is_refused(picture_folder, tmp_path, monkeypatch):
    out, flat = tmp_path / "out", picture_folder / "train"
    killed(flat, out, monkeypatch, batches=2)
    result = run(flat, out, "--resume", "--seed", "5")
    assert isinstance(result.exception, TrainingError)
    assert "with other pictures, or with the same ones in another order" in str(result.exception)
