"""Channels last in memory changes no value."""

import torch
from torch import nn

from presize.train.layout import in_channels_last, lay_out


def test_only_pictures_are_laid_out_anew():
    x = torch.randn(2, 3, 4, 5)
    out = in_channels_last(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(out, x)
    table = torch.randn(2, 3)
    assert in_channels_last(table) is table
    assert in_channels_last("text") == "text"


def test_weights_there_and_back():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    kernel = model[0].weight.detach().clone()
    lay_out(model, channels_last=True)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not model[0].weight.is_contiguous()
    lay_out(model, channels_last=False)
    assert model[0].weight.is_contiguous()
    assert torch.equal(model[0].weight, kernel)
