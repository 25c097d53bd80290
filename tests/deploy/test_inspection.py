"""What is told of a file without building it: models, checkpoints, weights, predictions, ONNX."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from presize.callbacks.checkpoint import Checkpoints
from presize.cli import main
from presize.core.errors import ModelFileError
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.inspection import inspect_file
from presize.deploy.load import load_learner
from presize.train.metrics import accuracy
from presize.train.state import load_state, save_state
from presize.vision.learner import vision_learner

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def learn(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(16), bs=8, num_workers=0)
    return vision_learner(
        dls, "resnet18", cut=3, pretrained=False, lin_ftrs=[4], metrics=accuracy, path=tmp_path
    )


def test_a_model_file_says_what_it_is(tmp_path):
    path = FIXTURES / "version-2.safetensors"
    facts, learn = inspect_file(path), load_learner(path)
    assert facts.kind == "presize model" and facts.size == path.stat().st_size
    assert facts.classes == list(learn.dls.vocab) and facts.task == learn.dls.task
    assert facts.parameters == sum(p.numel() for p in learn.model.parameters())
    assert facts.architecture == learn.model.spec
    assert facts.picture_size == tuple(
        learn.dls.test_dl([FIXTURES / "two.png"]).one_batch()[0].shape[-2:]
    )
    assert [t["name"] for t in facts.transforms][:3] == ["Resize", "ToTensor", "IntToFloatTensor"]
    assert facts.calibration["temperature"] == learn.calibration.temperature
    assert facts.training["metrics"]["accuracy"] == learn.record.fits[-1].rows[-1][-2]
    assert facts.training["items"] == {"train": 42, "valid": 18}
    assert facts.loss == "CrossEntropyLossFlat" and facts.whole
    assert json.loads(json.dumps(facts.to_dict()))["classes"] == ["0", "1", "2"]
    text = str(facts)
    for words in (
        "presize model, format 2, written by presize 0.1.0", "48,996 bytes, 10,324 parameters",
        "resnet18 (torchvision), head 4, 3 outputs", "3: 0, 1, 2", "16 x 16 pixels",
        "temperature 1.306, calibration error 0.06486 -> 0.03586, tells the unknown by features",
        "1 epoch, 42 for train, 18 for valid, seed 7", "accuracy 0.3889", "tensors right",
    ):  # fmt: skip
        assert words in text


def test_nothing_is_built(learn, monkeypatch):
    path = learn.export("model", drift=False)

    def build(*_, **__):
        raise AssertionError("it was built")

    for place in ("presize.models.arch._assemble", "presize.deploy.registry.build_transform"):
        monkeypatch.setattr(place, build)
    monkeypatch.setattr(torch.nn.Module, "__init__", build)
    assert inspect_file(path).architecture["name"] == "resnet18"


def test_other_files_of_presize(learn, tmp_path):
    with learn.no_logging():
        learn.fit(1, cbs=Checkpoints())
    parameters = sum(p.numel() for p in learn.model.parameters())
    saved = inspect_file(learn.save("weights"))
    assert (saved.kind, saved.parameters) == ("presize learner", parameters)
    assert "its averages" in saved.more["optimizer"]
    learn.interpret().save(tmp_path / "predictions")
    told = inspect_file(tmp_path / "predictions.safetensors")
    assert (told.kind, told.classes) == ("presize predictions", ["cat", "dog"])
    assert told.more == {"of": "classification", "split": "valid", "items": 12}


def test_checkpoints(learn):
    seen = []
    keeper = Checkpoints(every_epoch=True)
    with learn.no_logging():
        learn.fit(2, cbs=keeper)
    seen = sorted((learn.path / "checkpoints").glob("*.safetensors"))
    for path in seen:
        facts = inspect_file(path)
        assert facts.kind == "presize checkpoint" and facts.more["n_epoch"] == 2
        assert facts.parameters == sum(p.numel() for p in learn.model.parameters())
    assert seen


def test_weights_of_another_program(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(3, 4), "n": torch.ones(2).half()}, path, metadata={"by": "me"})
    facts = inspect_file(path)
    assert (facts.kind, facts.parameters) == ("weights", 14)
    assert facts.tensors == {"F32": 1, "F16": 1} and facts.more == {"by": "me"}


def test_names_in_a_file_cannot_steer_a_terminal(learn):
    path = learn.export("model", drift=False)
    tensors, meta = load_state(path)
    meta["data"]["targets"][0][0]["arguments"]["vocab"] = ["\x1b[2J", "\u202eevil\x9b"]
    meta["architecture"]["name"] = "a\nchecksums     tensors right"
    save_state(path, tensors=tensors, meta=meta)
    text = str(inspect_file(path))
    assert "\\x1b[2J" in text and "\\u202eevil\\x9b" in text and "a\\nchecksums" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_an_onnx_model(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = ["batch", 3, 8, 8]
    weight = helper.make_tensor("w", kind, [2, 2], [1.0, 2.0, 3.0, 4.0])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [weight],
    )
    model = helper.make_model(graph)
    told = {"vocab": '["a", "b"]', "task": "classification", "presize": "1.2", "check": '{"n": 3}'}
    helper.set_model_props(model, told)
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    facts = inspect_file(path)
    assert (facts.kind, facts.classes, facts.task) == ("onnx", ["a", "b"], "classification")
    assert (facts.parameters, facts.written_by["presize"]) == (4, "1.2")
    assert facts.more["inputs"] == {"x": shape} and facts.more["check"] == {"n": 3}
    assert "check         n 3" in str(facts)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelFileError, match="cannot be read as an ONNX model"):
        inspect_file(path)


def test_the_command(tmp_path, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["presize", "inspect", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    path = FIXTURES / "version-1.safetensors"
    code, told, err = run(path)
    assert (code, err) == (0, "") and told == f"{inspect_file(path)}\n"
    code, told, err = run(path, "--json")
    assert (code, err) == (0, "") and json.loads(told)["classes"] == ["0", "1", "2"]
    tensors, meta = load_state(path)
    save_state(tmp_path / "new.safetensors", tensors=tensors, meta=meta | {"format": 9})
    code, told, err = run(tmp_path / "new.safetensors")
    assert code == 1 and "it has the format 9, and this presize reads formats up to 3" in told
    code, told, err = run(tmp_path / "no.safetensors")
    assert (code, told) == (1, "") and "Did you mean `new.safetensors`?" in err
