"""Stochastic depth: rates that grow with depth, in torchvision's families and in timm's."""

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from presize.models.arch import build_from_spec, create_vision_model


def rates(model: nn.Module) -> list[float]:
    return [m.p for m in model.modules() if isinstance(m, StochasticDepth)] + [
        float(m.drop_prob) for m in model.modules() if type(m).__name__ == "DropPath"
    ]


def make(arch: str, rate: float | None = None) -> nn.Module:
    return create_vision_model(arch, 2, pretrained=False, drop_path_rate=rate)


@pytest.mark.parametrize("arch", ["convnext_tiny", "efficientnet_b0", "swin_t"])
def test_torchvision(arch: str) -> None:
    own, set_to = rates(make(arch)), rates(make(arch, 0.3))
    assert max(set_to) == pytest.approx(0.3)
    assert set_to == sorted(set_to) and len(set_to) == len(own)
    # The same shape over depth as the architecture has by itself.
    assert set_to == pytest.approx([p * 0.3 / max(own) for p in own])
    assert not any(rates(make(arch, 0.0)))


@pytest.mark.parametrize("arch", ["convnext_atto", "timm/resnet18"])
def test_timm(arch: str) -> None:
    assert not any(rates(make(arch)))
    set_to = rates(make(arch, 0.3))
    assert max(set_to) == pytest.approx(0.3)
    assert set_to == sorted(set_to)


def test_blocks_are_passed_over_in_training_alone() -> None:
    x = torch.randn(1, 3, 64, 64).repeat(8, 1, 1, 1)
    model = make("convnext_atto", 0.9)
    with torch.no_grad():
        # Layers of a new ConvNeXt add next to nothing: make them count.
        for name, p in model[0].named_parameters():  # type: ignore[index]
            if name.endswith("gamma"):
                p.fill_(1.0)
        body = model[0].train()  # type: ignore[index]
        assert not torch.allclose(body(x)[0], body(x)[1])
        out = body.eval()(x)
        torch.testing.assert_close(out[0], out[1])
        torch.testing.assert_close(body(x), out)


def test_a_description_does_not_hold_it() -> None:
    model = create_vision_model("efficientnet_b0", 2, pretrained=False, drop_path_rate=0.4)
    assert "drop_path_rate" not in model.spec
    again = build_from_spec(model.spec)
    again.load_state_dict(model.state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(x), model.eval()(x))


@pytest.mark.parametrize("arch", ["resnet18", "timm/vgg11", nn.Sequential])
def test_architectures_without_it(arch: object) -> None:
    with pytest.raises(ValueError, match=r"has no stochastic depth.*torchvision's convnext, eff"):
        create_vision_model(arch, 2, pretrained=False, drop_path_rate=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_rates_out_of_range(rate: float) -> None:
    with pytest.raises(ValueError, match=rf"drop_path_rate is the chance.*got {rate}"):
        create_vision_model("resnet18", 2, pretrained=False, drop_path_rate=rate)
