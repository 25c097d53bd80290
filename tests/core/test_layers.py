import pytest
import torch
from torch import nn

from presize.core.layers import is_norm


class LibraryNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))


class NormalisedLinear(LibraryNorm):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, affine=True),
        nn.GroupNorm(2, 4),
        nn.LayerNorm(4),
        nn.RMSNorm(4),
        LibraryNorm(),
    ],
)
def test_norms_are_norms(layer):
    assert is_norm(layer)


@pytest.mark.parametrize("layer", [nn.Linear(4, 4), nn.ReLU(), NormalisedLinear(), nn.Sequential()])
def test_other_layers_are_not(layer):
    assert not is_norm(layer)
