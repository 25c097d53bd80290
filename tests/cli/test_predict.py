"""`presize predict`: what it prints and writes, for whom, and how it ends."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from presize.cli import app
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.models.zoo import resnet18
from presize.vision.learner import vision_learner


@pytest.fixture
def learn(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(32), bs=8, num_workers=0, device="cpu"
    )
    torch.manual_seed(0)  # of some weights all answers are equally sure
    return vision_learner(dls, resnet18, pretrained=False, path=tmp_path)


@pytest.mark.filterwarnings("ignore:A t")
def test_what_is_none_of_the_classes_is_said_with_the_nearest(learn, picture_folder):
    found = learn.calibrate(coverage=0.5)
    pictures = sorted((picture_folder / "valid").rglob("*.jpg"))
    preds, _, is_unknown = learn.get_preds(with_unknown=True)
    assert 0 < int(is_unknown.sum()) < len(pictures)
    model = str(learn.export("model"))
    result = CliRunner().invoke(app, ["predict", "--json", model, *map(str, pictures)])
    assert result.exit_code == 0, result.output
    answers = {answer["file"]: answer for answer in json.loads(result.stdout)}
    rows = zip(learn.dls.valid.dataset.items, preds.tolist(), is_unknown.tolist(), strict=True)
    for file, row, unknown in rows:
        answer = answers[str(file)]
        assert answer["unknown"] is unknown
        assert answer["labels"] == [["cat", "dog"][row[1] > row[0]]]
        assert answer["probabilities"]["cat"] == pytest.approx(row[0], abs=1e-4)
    # Nothing is known to this one, and all to the next.
    for threshold, said in ((-1.0, True), (1.0, False)):
        learn.calibration = replace(found, threshold=threshold)
        model = str(learn.export("model"))
        table = CliRunner().invoke(app, ["predict", model, str(pictures[0])]).output
        assert ("none of these (nearest: " in " ".join(table.split())) is said


def test_a_model_that_cannot_tell_says_nothing_of_it(learn, picture_folder):
    picture = str(picture_folder / "valid/cat/0.jpg")
    result = CliRunner().invoke(app, ["predict", "--json", str(learn.export()), picture])
    assert "unknown" not in json.loads(result.stdout)[0]


FIXTURES = Path(__file__).parents[1] / "deploy" / "fixtures"
MODEL, TWO = str(FIXTURES / "version-2.safetensors"), str(FIXTURES / "two.png")


def run(*arguments, given=None):
    return CliRunner().invoke(app, ["predict", MODEL, *map(str, arguments)], input=given)


def test_lines_are_aligned_and_say_no_more_than_asked_for():
    result = run(TWO, TWO)
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["label", "probability", "picture"]
    assert [line.split() for line in lines] == [["1", "44.8%", TWO]] * 2
    assert [line.index("44.8%") for line in lines] == [head.index("probability")] * 2
    assert [line.split()[:2] for line in run("--top", 2, TWO).stdout.splitlines()[1:]] == [
        ["1", "44.8%"],
        ["2", "33.0%"],
    ]


def test_names_of_files_come_from_standard_input():
    result = run("-", "--jsonl", given=f"{TWO}\n\n{TWO}\r\nno such.png\n")
    assert result.exit_code == 1
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["file"] for row in rows] == [TWO, TWO, "no such.png"]
    assert "There is no picture at `no such.png`" in rows[2]["error"]
    nothing = run("-", "--json", given="")
    assert (nothing.exit_code, json.loads(nothing.stdout)) == (0, [])


def test_only_the_likeliest_are_told_if_that_is_asked_for():
    (row,) = json.loads(run("--json", "--top", 1, TWO).stdout)
    assert row["probabilities"] == {"1": pytest.approx(0.448, abs=1e-3)}
    assert row["confidence"] == row["probabilities"]["1"]


def test_a_table_is_written_in_place_of_lines(tmp_path):
    out = tmp_path / "all.csv"
    result = run(TWO, "gone.png", "--out", out, "--batch", 1)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"Written to {out}: 1 1. 1 could not be read: see the column `error`." in result.stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert [(row["file"], row["labels"]) for row in rows] == [(TWO, "1"), ("gone.png", "")]
    refused = run(TWO, "--out", tmp_path / "all.xls")
    assert ".csv, .parquet, .json, .jsonl" in str(refused.exception)


def test_what_is_printed_and_written_has_the_same_names(tmp_path):
    out = tmp_path / "all.json"
    printed = json.loads(run(TWO, "gone.png", "--out", out, "--json").stdout)
    written = json.loads(out.read_text(encoding="utf-8"))
    names = ["file", "labels", "confidence", "probabilities", "unknown"]
    assert list(printed[0]) == list(written[0]) == names
    assert (printed[0]["file"], printed[0]["labels"]) == (TWO, ["1"])
    assert written[0]["probabilities"] == pytest.approx(printed[0]["probabilities"], abs=1e-6)
    assert printed[1] == written[1]
    assert list(printed[1]) == ["file", "error"]


def test_folders_are_looked_through_unless_told_not_to(tmp_path):
    (tmp_path / "deep").mkdir()
    for place in (tmp_path / "a.png", tmp_path / "deep" / "b.png"):
        place.write_bytes(Path(TWO).read_bytes())
    for options, n in (((), 2), (("--no-recurse",), 1)):
        assert len(json.loads(run(tmp_path, "--json", *options).stdout)) == n


def test_views_are_averaged():
    plain, views = (json.loads(run(TWO, "--json", *o).stdout)[0] for o in ((), ("--tta", "2")))
    assert plain["probabilities"] != views["probabilities"]
    assert sum(views["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_names_cannot_steer_the_terminal(tmp_path):
    steering = tmp_path / "a\x1b[2Jb.png"
    steering.write_bytes(Path(TWO).read_bytes())
    result = run(steering, tmp_path / "\x1b[31mgone.png")
    assert "\x1b" not in result.stdout + result.stderr
    assert "b.png" in result.stdout


def test_drift_of_a_file_without_a_reference_is_told_at_once():
    result = run(TWO, "--drift")
    assert "Export the model again" in str(result.exception)
    assert result.stdout == ""


PROGRAM = "from presize.cli import main; main()"


def test_a_pipe_that_nobody_reads_ends_it_without_a_word():
    command = ["predict", MODEL, "-", "--batch", "1", "--jsonl"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        process.stdin.write(f"{TWO}\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("{")  # answered before the input has ended
        process.stdout.close()
        process.stdin.write(f"{TWO}\n" * 50)
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


def test_an_interrupt_leaves_what_was_told_until_then(tmp_path, monkeypatch):
    def interrupted():
        yield from [TWO] * 3
        raise KeyboardInterrupt

    # By the module: in the package the function has its name.
    monkeypatch.setattr(sys.modules["presize.cli.predict"], "_lines", interrupted)
    out = tmp_path / "all.jsonl"
    result = run("-", "--batch", 1, "--workers", 0, "--out", out)
    assert result.exit_code not in (0, 2)
    assert f"What was told until then is in {out}.part." in result.stderr
    assert not out.exists()
    assert len(Path(f"{out}.part").read_text().splitlines()) == 3
