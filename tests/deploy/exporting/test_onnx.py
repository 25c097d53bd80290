import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from presize.core.errors import ExportError
from presize.deploy.exporting import onnx as exporting
from presize.deploy.exporting import onnx_graph, quantise
from presize.deploy.exporting.onnx import export_onnx
from presize.learner import Learner

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def metadata(path):
    return session(path).get_modelmeta().custom_metadata_map


@pytest.fixture(scope="module")
def plain(learn, tmp_path_factory):
    """An export from the learner itself, in float32."""
    return export_onnx(learn, tmp_path_factory.mktemp("onnx") / "plain.onnx", quiet=True)


@pytest.fixture(scope="module")
def small(learn, plain, tmp_path_factory):
    """An export with the preprocessing in the graph, and a network of 8-bit integers."""
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    with pytest.MonkeyPatch.context() as patch:
        traced_already(patch, plain)
        return export_onnx(learn, path, preprocessing=True, quantise="static", quiet=True)


def traced_already(patch, report):
    """Take the graph that was exported before: each export takes seconds."""
    model = pytest.importorskip("onnx").load(report.path)
    patch.setattr(exporting, "network_graph", lambda subject, opset: model)


def test_onnxruntime_alone_answers_as_get_preds(learn, plain):
    inputs, expected, _ = learn.get_preds(with_input=True)
    for size in (1, 5, 12):
        (got,) = session(plain.path).run(None, {"pictures": inputs[:size].numpy()})
        np.testing.assert_allclose(got, expected[:size].numpy(), atol=1e-6)


def test_axes_of_any_length_have_names(plain, small):
    shapes = [
        [value.shape for value in (*file.get_inputs(), *file.get_outputs())]
        for file in (session(plain.path), session(small.path))
    ]
    assert shapes == [
        [["batch", 3, 24, 24], ["batch", 2]],
        [["batch", "height", "width", 3], ["batch", 2]],
    ]


def test_the_file_says_what_a_program_without_presize_needs(plain):
    told = metadata(plain.path)
    assert json.loads(told["vocab"]) == ["cat", "dog"]
    assert told["task"] == "classification"
    assert json.loads(told["size"]) == [24, 24]
    assert json.loads(told["input"]) == {
        "name": "pictures",
        "dtype": "float32",
        "shape": ["batch", 3, 24, 24],
        "colour": "RGB",
    }
    normal = json.loads(told["normalisation"])
    assert normal["mean"] == pytest.approx([0.485, 0.456, 0.406])
    assert normal["scale"] == pytest.approx(1 / 255)
    assert json.loads(told["temperature"]) == 2.0
    assert json.loads(told["unknown"])["least_probability"] == pytest.approx(0.6)
    check = json.loads(told["check"])
    assert check["real"] == {"pictures": 12, "same": 12, "largest": check["real"]["largest"]}
    assert check["real"]["largest"] <= 1e-4
    assert check["random"]["same"] == check["random"]["pictures"] > 0


def test_the_report_says_the_same_in_words(plain):
    text = str(plain)
    assert "validation set    same answer for 12 of 12 (100 %), largest difference" in text
    assert "random inputs" in text and "ms a picture" in text
    assert plain.size == plain.path.stat().st_size
    json.dumps(plain.to_dict())


def test_no_path_of_this_machine_gets_into_the_file(plain, small, photo_folder):
    for report in (plain, small):
        data = report.path.read_bytes()
        for private in (str(photo_folder), "site-packages", "/src/presize", "cat0.png"):
            assert private.encode() not in data


def test_pixels_in_probabilities_out(learn, small):
    """The answer of the file, from decoded pixels alone, is near that of the learner."""
    files = list(learn.dls.valid.dataset.items)
    ask = session(small.path)
    told = json.loads(metadata(small.path)["input"])
    assert (told["dtype"], told["shape"]) == ("uint8", ["batch", "height", "width", 3])
    for file in files[::4]:
        pixels = np.asarray(Image.open(file).convert("RGB"))[None]
        (got,) = ask.run(None, {"pictures": pixels})
        np.testing.assert_allclose(got[0], learn.predict(file)[2].numpy(), atol=0.03)
    (got,) = ask.run(None, {"pictures": np.zeros((3, 70, 31, 3), np.uint8)})
    assert got.shape == (3, 2)
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)


def test_preprocessing_in_float32_is_as_near_as_it_says(small):
    prepared = small.found.prepared
    assert (prepared.pictures, prepared.same) == (12, 12)
    assert prepared.largest < 0.005


def test_what_int8_costs_is_measured_on_validation(small):
    found = small.found.quantisation
    assert found.mode == "static"
    assert found.agreement.pictures == 12
    assert 0 <= found.accuracy_after <= 1
    assert found.lost == found.accuracy_before - found.accuracy_after
    assert found.size_after < found.size_before
    stored = json.loads(metadata(small.path)["check"])["quantisation"]
    assert stored["accuracy_after"] == found.accuracy_after
    assert "on 12 validation pictures" in str(small)
    assert metadata(small.path)["quantised"] == "static"


def test_accuracy_is_that_of_numpy():
    preds = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    targets = torch.tensor([0, 1, 1])
    assert quantise._accuracy(preds, targets, "classification") == pytest.approx(2 / 3)
    several = torch.tensor([[1, 0], [1, 1], [0, 0]])
    assert quantise._accuracy(preds, several, "multilabel") == pytest.approx(4 / 6)
    assert quantise._accuracy(preds, None, "classification") is None


def tiny_net(learn, layer):
    """A learner of the same data with one layer before the linear one."""
    net = nn.Sequential(nn.AvgPool2d(2), layer, nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, 3, 24, 24))
    return Learner(learn.dls, net)


class Warped(nn.Module):
    """Reads the nearest pixel at ties, where PyTorch and onnxruntime round otherwise."""

    def forward(self, x):
        moved = torch.tensor([[[0.9, 0.3, 0.2], [-0.3, 1.1, -0.1]]]).expand(x.shape[0], 2, 3)
        places = F.affine_grid(moved, [x.shape[0], 3, 20, 20], align_corners=False)
        return F.grid_sample(x, places, mode="nearest", align_corners=False)


def test_a_layer_without_an_operator_is_named_and_nothing_else_is_said(learn, tmp_path, capfd):
    with pytest.raises(ExportError, match=r"`Sequential`: DispatchError: No ONNX function found "):
        export_onnx(tiny_net(learn, nn.AdaptiveMaxPool2d(5)), tmp_path / "m.onnx", quiet=True)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def traced_before(monkeypatch, plain):
    traced_already(monkeypatch, plain)


def test_what_answers_otherwise_is_not_written(learn, tmp_path):
    target = tmp_path / "model.onnx"
    target.write_bytes(b"as before")
    with pytest.raises(ExportError) as caught:
        export_onnx(tiny_net(learn, Warped()), target, quiet=True)
    text = str(caught.value)
    assert "PyTorch and onnxruntime do not agree, so nothing was written: for /" in text
    assert ".png a probability differs by 0." in text
    assert "where 0.0001 is let through" in text and "of 12 pictures have the same answer)" in text
    assert target.read_bytes() == b"as before"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_int8_that_costs_too_much_is_not_written(learn, tmp_path, monkeypatch, traced_before):
    monkeypatch.setattr(quantise, "_smaller", lambda model, subject, mode: model)
    honest = quantise.onnx_run
    turned = iter([False, True])  # the one before, the one after

    def run_of(model):
        run = honest(model)
        return (lambda x: run(x).flip(1)) if next(turned) else run

    monkeypatch.setattr(quantise, "onnx_run", run_of)
    samples = list(learn.dls.valid.dataset.items)  # whose labels are not known
    with pytest.raises(ExportError, match=r"int8 \(dynamic\) costs.*1 of the pictures get another"):
        export_onnx(learn, tmp_path / "m.onnx", quantise="dynamic", samples=samples, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_predictor_is_as_good_a_source_and_prints(learn, tmp_path, capsys, traced_before):
    from presize.deploy.predictor import Predictor

    report = export_onnx(Predictor(learn), tmp_path / "named")
    assert report.path == tmp_path / "named.onnx"
    assert capsys.readouterr().out == f"{report}\n"


def test_settings_that_are_none_are_named(learn, tmp_path, plain):
    plain_model = pytest.importorskip("onnx").load(plain.path)
    with pytest.raises(ValueError, match=r"quantise= is one of.*Did you mean `static`"):
        export_onnx(learn, tmp_path / "m.onnx", quantise="statik")
    with pytest.raises(ValueError, match=r"`m.pt2` ends with .pt2. Name it m.onnx"):
        export_onnx(learn, tmp_path / "m.pt2")
    with pytest.raises(ExportError, match=r"opset 18 where opset=99 was asked for"):
        onnx_graph._check_opset(plain_model, 99)
    with pytest.raises(TypeError, match="Learner, a Predictor or the path"):
        export_onnx(torch.nn.Linear(2, 2), tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        export_onnx(tmp_path / "none.safetensors", tmp_path / "m.onnx")


def test_a_missing_library_says_how_to_get_it(learn, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        ImportError, match=r'Exporting to ONNX needs.*pip install "presize\[onnx\]"'
    ):
        export_onnx(learn, tmp_path / "m.onnx")
