import json
import shutil
import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from presize.cli import app
from presize.cli.train import called_as

QUICK = ["--arch", "squeezenet1_1", "--weights", "none", "--epochs", "1"]
QUICK += ["--size", "32", "--bs", "8"]


@pytest.fixture(scope="module")
def trained(stripes, tmp_path_factory):
    """What `presize train` leaves after one epoch on small pictures."""
    out = tmp_path_factory.mktemp("trained") / "out"
    result = CliRunner().invoke(app, ["train", str(stripes), *QUICK, "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out, result.output


def test_training_leaves_model_and_pictures_and_says_how_to_go_on(trained):
    out, said = trained
    assert {p.name for p in out.iterdir()} >= {
        "stripes.safetensors", "grid.png", "confusion.png", "metrics.csv", "config.toml",
        "report.html",
    }  # fmt: skip
    for name in ("grid.png", "confusion.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 200
    assert "24 pictures to train on, 12 to validate, 2 classes: across, down" in said
    assert "train_loss" in said
    assert "of 12 pictures" in said
    assert f" predict {out / 'stripes.safetensors'}" in said


def test_the_next_command_can_be_copied_wherever_this_one_is_installed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "argv", [".venv/bin/presize", "train"])
    assert called_as() == ".venv/bin/presize"
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/presize")
    assert called_as() == "presize"


def test_the_model_file_predicts(trained, picture_folder):
    model = trained[0] / "stripes.safetensors"
    pictures = [picture_folder / "valid/cat/0.jpg", picture_folder / "valid/dog"]
    result = CliRunner().invoke(app, ["predict", "--json", str(model), *map(str, pictures)])
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)
    assert len(answers) == 1 + 6
    for answer in answers:
        assert answer["labels"] == [max(answer["probabilities"], key=answer["probabilities"].get)]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    table = CliRunner().invoke(app, ["predict", str(model), str(pictures[0])])
    assert "probability" in table.output
    assert "%" in table.output


def test_a_broken_picture_does_not_keep_the_others_from_their_answer(trained, picture_folder):
    model, good = trained[0] / "stripes.safetensors", picture_folder / "valid/cat/0.jpg"
    broken, missing = picture_folder / "broken.jpg", picture_folder / "missing.jpg"
    broken.write_bytes(good.read_bytes()[:200])
    files = [str(f) for f in (good, broken, missing)]
    result = CliRunner().invoke(app, ["predict", "--json", str(model), *files])
    assert result.exit_code == 1
    answers = json.loads(result.stdout)
    assert [a["file"] for a in answers] == files
    assert "labels" in answers[0]
    assert "broken.jpg" in answers[1]["error"]
    assert "missing.jpg" in answers[2]["error"]
    table = CliRunner().invoke(app, ["predict", str(model), *files])
    assert table.exit_code == 1
    assert "broken.jpg" in table.stderr


def test_an_empty_folder_of_pictures_to_predict_is_told(trained, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    model = trained[0] / "stripes.safetensors"
    result = CliRunner().invoke(app, ["predict", str(model), str(empty)])
    assert isinstance(result.exception, FileNotFoundError)
    assert "no pictures in" in str(result.exception)


@pytest.mark.usefixtures("undrawn")
def test_a_folder_without_a_split_gets_one(picture_folder, tmp_path):
    out = tmp_path / "flat"
    result = CliRunner().invoke(
        app, ["train", str(picture_folder / "train"), *QUICK, "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "20 pictures to train on, 4 to validate" in result.output
    assert (out / "train.safetensors").is_file()
