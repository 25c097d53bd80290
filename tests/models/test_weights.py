import argparse
import re
import urllib.error
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models as tv

from presize.core.errors import WeightsError
from presize.models.arch import create_vision_model
from presize.models.weights import adapt_input, hub_folder, read_weights

NAME = "squeezenet1_1"  # has small weights, and is quick to make


@pytest.fixture
def state() -> dict[str, Tensor]:
    return dict(tv.get_model(NAME, weights=None).state_dict())


def _same_body(model: nn.Sequential, state: dict[str, Tensor]) -> bool:
    body = model[0].state_dict()
    return all(torch.equal(t, state[f"features.{k}"]) for k, t in body.items())


# ---- files in all the forms that people have ----


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_weights(tmp_path: Path, state: dict[str, Tensor], suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        safetensors.torch.save_file(state, path)
    for source in (path, str(path), path.as_uri()):
        model = create_vision_model(NAME, 3, weights=source)
        assert _same_body(model, state) and model.pretrained
        assert model.stats == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize("nest", ["state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "_orig_mod."])
def test_nested_and_prefixed(
    tmp_path: Path, state: dict[str, Tensor], nest: str, prefix: str
) -> None:
    content: Any = OrderedDict((prefix + k, v) for k, v in state.items())
    content = {nest: content, "epoch": 90, "best": 71.2, "args": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "run.pth")
    assert _same_body(create_vision_model(NAME, 3, weights=tmp_path / "run.pth"), state)


def test_classifiers_may_be_there_or_not(state: dict[str, Tensor]) -> None:
    features = {k: v for k, v in state.items() if k.startswith("features.")}
    other = {**features, "classifier.1.weight": torch.zeros(3, 512), "fc.0.bias": torch.zeros(3)}
    for weights in (features, other):
        assert _same_body(create_vision_model(NAME, 3, weights=weights), state)


def test_old_names_of_densenets() -> None:
    whole = tv.densenet121()
    new = whole.state_dict()
    old = {re.sub(r"(denselayer\d+\.\w+)([12])\.", r"\1.\2.", k): v for k, v in new.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    body = create_vision_model("densenet121", 3, weights=old)[0]
    got, expected = list(body.state_dict().values()), list(whole.features.state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_positions_of_a_vit_are_fitted_to_the_size() -> None:
    whole = tv.vit_b_32(image_size=64)
    model = create_vision_model("vit_b_32", 3, weights=whole.state_dict(), img_size=96)
    assert model[0].get_parameter("encoder.pos_embedding").shape == (1, 10, 768)
    assert model.spec["img_size"] == 96


def test_weights_of_a_timm_model() -> None:
    import timm

    whole = timm.create_model("convnext_atto", num_classes=7)
    model = create_vision_model("convnext_atto", 3, weights=whole.state_dict())
    body = model[0].state_dict()
    assert model.pretrained and model.stats is not None
    assert all(torch.equal(t, body[k]) for k, t in whole.state_dict().items() if k in body)
    grey = create_vision_model("convnext_atto", 3, n_in=1, weights=whole.state_dict())
    assert grey[0].get_parameter("stem.0.weight").shape[1] == 1


def test_input_weights_for_other_channels() -> None:
    w = torch.randn(4, 3, 2, 2)
    assert adapt_input(w, 3) is w
    assert torch.allclose(adapt_input(w, 1)[:, 0], w.sum(1))
    assert torch.allclose(adapt_input(w, 6).sum(1), w.sum(1), atol=1e-6)
    assert torch.allclose(adapt_input(w, 2), w[:, :2] * 1.5)
    assert adapt_input(torch.randn(4, 5, 2, 2), 1).shape[1] == 5


# ---- the shared real weights ----


def test_a_hub_cache_serves_pretrained(mobilenet_weights: Path, mobilenet_hub: Path) -> None:
    assert hub_folder() == mobilenet_hub
    state = read_weights(mobilenet_weights)
    for weights in (None, "IMAGENET1K_V2", tv.MobileNet_V2_Weights.IMAGENET1K_V2):
        model = create_vision_model(tv.mobilenet_v2, 37, weights=weights)
        assert model.pretrained and _same_body(model, state)
    grey: Any = create_vision_model(tv.mobilenet_v2, 37, n_in=1)
    first = state["features.0.0.weight"]
    assert torch.allclose(grey[0][0][0].weight, first.sum(1, keepdim=True))


class Cifar(nn.Module):
    """A residual network for small pictures, under the names of an old checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._layer(16, 16)
        self.layer2 = self._layer(16, 32)
        self.layer3 = self._layer(32, 64)
        self.linear = nn.Linear(64, 10)

    def _layer(self, n_in: int, n_out: int) -> nn.Sequential:
        return nn.Sequential(Block(n_in, n_out), Block(n_out, n_out), Block(n_out, n_out))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        out: Tensor = self.linear(x.mean((2, 3)))
        return out


class Block(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.grow = n_out // n_in
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=self.grow, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grow > 1:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(y + x)


def test_nested_prefixed_cuda_weights_of_an_own_architecture(mobilenet_weights: Path) -> None:
    path = mobilenet_weights.parent / "resnet20-12fca82f.th"
    model = create_vision_model(Cifar, 5, weights=path)
    state = read_weights(path)
    body = model[0].state_dict()
    assert len(state) == 97 and len(body) == len(state) - 2 + 19
    loaded = {k: t for k, t in body.items() if not k.endswith("num_batches_tracked")}
    assert all(torch.equal(t, state[f"module.{k}"]) for k, t in loaded.items())
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 5)
    with pytest.raises(
        WeightsError, match=r"resnet20-12fca82f.th does not fit .*: 0 of 50 tensors"
    ):
        create_vision_model(NAME, 5, weights=path)


# ---- what can be wrong with them ----


def test_weights_of_another_architecture(state: dict[str, Tensor]) -> None:
    state = {k: v for k, v in state.items() if k.startswith("features")}
    state["features.0.weight"] = torch.zeros(64, 3, 5, 5)
    state["extra.weight"] = state.pop("features.3.squeeze.weight")
    with pytest.raises(WeightsError) as error:
        create_vision_model(NAME, 3, weights=state)
    for part in (
        "The mapping given as weights= does not fit the architecture: 48 of 50 tensors match.",
        "Wrong shape (1): features.0.weight expected 64x3x3x3, got 64x3x5x5.",
        "Missing (1): features.3.squeeze.weight.",
        "Unexpected (1): extra.weight.",
        "pretrained=False for random weights",
    ):
        assert part in str(error.value)


def test_a_deeper_network_of_the_family_is_not_taken() -> None:
    with pytest.raises(
        WeightsError, match=r"120 of 120 tensors match\. Unexpected \(\d+\): layer1.2"
    ):
        create_vision_model("resnet18", 3, weights=tv.resnet34().state_dict())


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"no file of weights at .*mime.pth. Did you mean `mine.p"
    ):
        (tmp_path / "mine.pth").write_bytes(b"")
        create_vision_model(NAME, 3, weights=tmp_path / "mime.pth")
    with pytest.raises(WeightsError, match=r"mine.pth \(0 bytes\) cannot be read .* whole"):
        create_vision_model(NAME, 3, weights=tmp_path / "mine.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match=r"list.pth holds a list, not a dict of tensors"):
        create_vision_model(NAME, 3, weights=tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"none.pth holds no tensors; its keys are epoch"):
        create_vision_model(NAME, 3, weights=tmp_path / "none.pth")
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(WeightsError, match=r"a.safetensors \(64 bytes\) cannot be read"):
        create_vision_model(NAME, 3, weights=tmp_path / "a.safetensors")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(WeightsError, match=r"never unpickles .* torch.save\(model.state_dict"):
        create_vision_model(NAME, 3, weights=tmp_path / "model.pth")


def test_names_of_weights_that_are_not_there() -> None:
    with pytest.raises(
        ValueError, match=r"neither a file nor weights of mobilenet_v2, .*_V1, .*\?"
    ):
        create_vision_model("mobilenet_v2", 3, weights="IMAGENET1K_V3")
    with pytest.raises(ValueError, match="MobileNet_V2_Weights.IMAGENET1K_V1 is not for resnet18"):
        create_vision_model("resnet18", 3, weights=tv.MobileNet_V2_Weights.IMAGENET1K_V1)
    with pytest.raises(ValueError, match=r"no weights `a1` of resnet10t, but c3_in1k"):
        create_vision_model("resnet10t", 3, weights="a1")
    with pytest.raises(TypeError, match=r"weights= is a file, .* but got <?MobileNet_V2_Weights"):
        create_vision_model("resnet10t", 3, weights=tv.MobileNet_V2_Weights.DEFAULT)
    with pytest.raises(WeightsError, match="timm has no pretrained weights for resnet50_mlp"):
        create_vision_model("resnet50_mlp", 3)


def _offline(*_: object, **__: object) -> None:
    raise urllib.error.URLError(ConnectionRefusedError("no network"))


def test_without_a_network_the_ways_out_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", _offline)
    with pytest.raises(WeightsError) as error:
        create_vision_model("resnet34", 3)
    text = str(error.value)
    assert f"`resnet34-b627a593.pth` are not in {hub_folder()}" in text
    assert "https://download.pytorch.org/models/resnet34-b627a593.pth (URLError: " in text
    for way in ("put the file into that folder", "weights='path/to/file'", "pretrained=False"):
        assert way in text
    with pytest.raises(WeightsError, match=r"`w.pth` are not in .* from https://example.org/w.pth"):
        create_vision_model("resnet34", 3, weights="https://example.org/w.pth")
    assert capfd.readouterr() == ("", "")


def test_without_a_network_timm_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _offline)
    with pytest.raises(WeightsError) as error:
        create_vision_model("resnet10t.c3_in1k", 3)
    text = str(error.value)
    assert "models--timm--resnet10t.c3_in1k" in text and "HF_HOME" in text
    assert "`hf download timm/resnet10t.c3_in1k`" in text and "pretrained=False" in text


def test_timm_loads_through_its_own_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    whole = timm.create_model("resnet10t").state_dict()
    asked: list[str] = []

    def serve(repo: str, **_: object) -> dict[str, Tensor]:
        asked.append(repo)
        return dict(whole)

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: _Answer())
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", serve)
    for weights in (None, "c3_in1k"):
        model = create_vision_model("resnet10t", 3, weights=weights)
        body = model[0].state_dict()
        assert model.pretrained and model.stats == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        assert all(torch.equal(t, whole[k]) for k, t in body.items())
    assert asked == ["timm/resnet10t.c3_in1k"] * 2


class _Answer:
    def close(self) -> None:
        pass


def test_a_broken_file_in_the_cache_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    hub_folder().mkdir(parents=True)
    (hub_folder() / "resnet34-b627a593.pth").write_bytes(b"<html>try later</html>")
    with pytest.raises(WeightsError, match=r"resnet34-b627a593.pth are there but cannot be read"):
        create_vision_model("resnet34", 3)
