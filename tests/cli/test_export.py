import json
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from presize.cli.export import export
from presize.core.errors import ExportError

MODEL = Path(__file__).parent.parent / "deploy/fixtures/version-1.safetensors"


@pytest.fixture
def run():
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(export)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_a_program_is_written_and_told_as_json(run, tmp_path):
    target = tmp_path / "model.pt2"
    answer = run(MODEL, "--to", "pt2", "--out", target, "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert (told["path"], told["kind"]) == (str(target), "pt2")
    assert told["size"] == target.stat().st_size
    assert told["check"]["pictures_from"] == "made-up pictures"
    assert told["check"]["real"]["same"] == told["check"]["real"]["pictures"] > 0


def test_pictures_that_the_model_does_not_know_are_refused(run, tmp_path):
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (20, 20), (9 * i, 0, 0)).save(tmp_path / f"photos/{label}/{i}.png")
    answer = run(MODEL, "--out", tmp_path / "m.pt2", "--data", tmp_path / "photos")
    assert answer.exit_code == 1
    assert "it knows 3 classes" in str(answer.exception)
    assert not (tmp_path / "m.pt2").exists()


def test_int8_is_for_onnx(run):
    answer = run(MODEL, "--to", "pt2", "--quantise", "static")
    assert answer.exit_code == 2
    assert "8-bit integers are for --to onnx" in answer.output


def test_the_default_is_beside_the_model(run, monkeypatch, tmp_path):
    asked = []

    def exporter(source, target, **options):
        asked.append((source, target, options))
        raise ExportError("Stop here.")

    monkeypatch.setattr(sys.modules["presize.cli.export"], "_exporter", lambda to: exporter)
    model = tmp_path / "pets.safetensors"
    answer = run(model, "--quantise", "dynamic", "--preprocessing", "--most-lost", "0.1")
    assert isinstance(answer.exception, ExportError)
    ((source, target, options),) = asked
    assert (source, target) == (model, tmp_path / "pets.onnx")
    assert (options["quantise"], options["preprocessing"]) == ("dynamic", True)
    assert options["most_lost"] == 0.1


@pytest.mark.parametrize(
    ("words", "kind"),
    [(["--out", "m.pt2"], "pt2"), (["--out", "m.onnx"], "onnx"), (["--to", "pt2"], "pt2")],
)
def test_the_ending_says_what_is_written(run, monkeypatch, words, kind):
    asked = []
    monkeypatch.setattr(sys.modules["presize.cli.export"], "_exporter", asked.append)
    run("pets.safetensors", *words)
    assert asked == [kind]
