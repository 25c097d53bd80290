"""The features of a classifier: the input of its last layer, and no trace of having looked."""

import pytest
import torch
from torch import Tensor, nn

from presize.core.errors import TrainingError
from presize.models.arch import create_vision_model
from presize.models.features import captured_features


def convnet(n: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, n)
    )


def test_they_are_what_the_last_layer_multiplies() -> None:
    model, x = convnet().eval(), torch.randn(5, 3, 9, 9)
    with captured_features(model) as seen:
        out = model(x)
    assert torch.equal(seen.last @ model[4].weight.T + model[4].bias, out)
    assert seen.last.dtype == torch.float32 and not seen.last.requires_grad


def test_of_a_vision_model_they_are_those_before_the_classes() -> None:
    model = create_vision_model("resnet18", 7, pretrained=False).eval()
    with captured_features(model) as seen, torch.no_grad():
        out = model(torch.randn(2, 3, 64, 64))
    assert seen.last.shape == (2, 512)
    assert torch.allclose(model[1][-1](seen.last), out, atol=1e-5)


def test_each_batch_takes_the_place_of_the_one_before() -> None:
    model, batches = convnet().eval(), torch.randn(3, 2, 3, 9, 9)
    with captured_features(model) as seen:
        lasts = []
        for batch in batches:
            model(batch)
            lasts.append(seen.last)
    assert torch.allclose(torch.cat(lasts), model[:4](batches.flatten(0, 1)), atol=1e-6)


def test_maps_and_tokens_are_averaged() -> None:
    by_convolution = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1))
    x = torch.randn(2, 3, 8, 8)
    with captured_features(by_convolution) as seen:
        by_convolution(x)
    assert torch.allclose(seen.last, by_convolution[0](x).mean((2, 3)), atol=1e-6)
    by_token = nn.Sequential(nn.Linear(3, 6), nn.Linear(6, 4))
    tokens = torch.randn(2, 10, 3)
    with captured_features(by_token) as seen:
        by_token(tokens)
    assert torch.allclose(seen.last, by_token[0](tokens).mean(1), atol=1e-6)


def test_it_leaves_no_trace() -> None:
    model = convnet().train()
    x = torch.randn(2, 3, 9, 9)
    plain = model(x)
    with pytest.raises(RuntimeError, match="on purpose"), captured_features(model):
        assert torch.equal(model(x), plain)
        raise RuntimeError("on purpose")
    assert not any(m._forward_pre_hooks for m in model.modules())
    assert model.training


def test_half_precision_comes_in_full() -> None:
    model = convnet().bfloat16()
    with captured_features(model) as seen:
        model(torch.randn(2, 3, 9, 9).bfloat16())
    assert seen.last.dtype == torch.float32


def test_a_compiled_model_is_looked_into() -> None:
    model = convnet().eval()
    compiled = torch.compile(model, backend="eager")
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        compiled(x)  # compiled without hooks, which it would not notice later
        with captured_features(compiled) as seen:
            compiled(x)
    assert torch.allclose(seen.last, model[:4](x), atol=1e-6)


def test_nothing_seen_is_told() -> None:
    with captured_features(convnet()) as seen, pytest.raises(TrainingError, match="call the model"):
        _ = seen.last
    flat: Tensor
    with captured_features(nn.Flatten()) as seen:
        flat = nn.Flatten()(torch.randn(2, 3))
        with pytest.raises(TrainingError, match="needs a linear or convolution layer"):
            _ = seen.last
    assert flat.shape == (2, 3)
