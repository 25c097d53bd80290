from typing import Any

import pytest
import torch
from torch import Tensor, nn

from presize.models.groups import default_split, freeze_to
from presize.models.summary import model_summary


def _model() -> nn.Sequential:
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(body, nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4 * 64, 2)))


def test_the_table() -> None:
    model = _model()
    freeze_to(model, default_split(model), -1)
    assert model_summary(model, (16, 3, 8, 8)) == "\n".join(
        [
            "Sequential (input: 16 x 3 x 8 x 8)",
            "Layer  Type         Output          Parameters  Trainable",
            "---------------------------------------------------------",
            "0.0    Conv2d       16 x 4 x 8 x 8         112  no",
            "0.1    BatchNorm2d  16 x 4 x 8 x 8           8  yes",
            "0.2    ReLU         16 x 4 x 8 x 8",
            "1.0    Flatten      16 x 256",
            "1.1    Dropout      16 x 256",
            "1.2    Linear       16 x 2                 514  yes",
            "---------------------------------------------------------",
            "Total parameters: 634",
            "Trainable:        522",
            "Frozen:           112",
        ]
    )


def test_it_leaves_no_trace() -> None:
    model: Any = _model()
    model[0][1].eval()
    model[0][0].weight.requires_grad_(False)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    grads = [p.requires_grad for p in model.parameters()]
    rng = torch.get_rng_state()
    model_summary(model, (2, 3, 8, 8))
    with pytest.raises(ValueError):
        model_summary(model, (2, 5, 8, 8))
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == grads
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)


class Odd(nn.Module):
    """Two inputs, a layer called twice, a weight beside the layers, and a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.linear = nn.Linear(3, 3)

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        return {"a": self.linear(a) * self.scale, "b": self.linear(b)}


def test_shared_layers_count_once() -> None:
    lines = model_summary(Odd(), (2, 3), (4, 3)).splitlines()
    assert lines[0] == "Odd (input: 2 x 3, 4 x 3)"
    assert [line.split()[0] for line in lines[3:6]] == ["linear", "linear", "(model)"]
    assert "12" in lines[3] and "12" not in lines[4]
    assert "2 x 3, 4 x 3" in lines[5]
    assert lines[-3].endswith("15")


def test_bad_sizes_are_told() -> None:
    with pytest.raises(TypeError, match=r"the shape of each input .* but got 8"):
        model_summary(_model(), 8)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="fails after the layer `1.1` on inputs of 2 x 3 x 9 x 9: "
    ):
        model_summary(_model(), (2, 3, 9, 9))
