"""The examples run, and the short one learns what the long one does."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["digits_presize", "digits_plain_torch", "distributed"])
def test_an_example_trains(name):
    assert example(name).main(2) > 0.8


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "digits.safetensors"
    example("predicting").train(path)
    return path


@pytest.mark.parametrize(
    ("name", "needs"),
    [("predicting", ()), ("serving", ("fastapi", "uvicorn")), ("exporting", ("onnxruntime",))],
)
def test_an_example_uses_a_model(name, needs, model, capsys):
    for library in needs:
        pytest.importorskip(library)
    assert example(name).main(model) > 0.8
    assert capsys.readouterr().out
