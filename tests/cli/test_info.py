"""`presize info`, for people and for programs."""

import json
from importlib.metadata import version

import torch

from presize import __version__
from presize.cli.info import EXTRAS, extras


def test_programs_get_the_same_as_json(presize):
    code, out, err = presize("info", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["presize"] == __version__
    assert (
        told["torch"] == torch.__version__.partition("+")[0] or told["torch"] == torch.__version__
    )
    assert len(told["devices"]) == torch.cuda.device_count()
    assert set(told["extras"]) == set(EXTRAS)
    shown = presize("info")[1]
    for name, value in told.items():
        if isinstance(value, str):
            assert name in shown


def test_extras_are_told_with_how_to_get_them(presize, monkeypatch):
    monkeypatch.setitem(EXTRAS, "serve", "no-such-library")
    assert extras()["serve"] is None
    assert extras()["hub"] == version("huggingface_hub")
    assert "pip install 'presize[serve]'" in " ".join(presize("info")[1].split())


def test_each_extra_of_the_project_is_known():
    import tomllib
    from pathlib import Path

    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    named = tomllib.loads(project.read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(named) - {"dev", "docs"}
