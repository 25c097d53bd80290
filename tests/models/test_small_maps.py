"""Convolutions over maps smaller than their kernel, against PyTorch's own."""

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from presize.models import small_maps as module
from presize.models.small_maps import small_maps

CPU = torch.device("cpu")


def outcome(layer, x):
    """The output, and the gradients of its input and weights."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    out = layer(x)
    (out * torch.arange(out.numel()).view_as(out)).sum().backward()
    return [out.detach(), x.grad, *[p.grad.clone() for p in layer.parameters()]]


@settings(deadline=None, max_examples=80)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    bias=st.booleans(),
)
def test_any_shape_gives_the_numbers_and_gradients_of_the_whole_kernel(
    size, kernel, stride, padding, bias
):
    if any(n + 2 * p < k for n, p, k in zip(size, padding, kernel, strict=True)):
        return  # no output at all
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, kernel, stride=stride, padding=padding, bias=bias)
    x = torch.randn(4, 2, *size)
    plain = outcome(layer, x)
    with small_maps(layer, CPU):
        small = outcome(layer, x)
    for ours, theirs in zip(small, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def products(monkeypatch, layer, x):
    """Count the convolutions that became a matrix product."""
    calls = []
    linear = F.linear
    monkeypatch.setattr(module.F, "linear", lambda *a: calls.append(1) or linear(*a))
    with small_maps(layer, CPU):
        layer(x)
    return len(calls)


@pytest.mark.parametrize(
    ("size", "stride", "expected"), [(1, 1, 1), (2, 2, 1), (2, 1, 0), (7, 1, 0), (7, 2, 0)]
)
def test_only_maps_that_one_place_reads_are_multiplied(monkeypatch, size, stride, expected):
    layer = nn.Conv2d(2, 3, 3, stride=stride, padding=1)
    assert products(monkeypatch, layer, torch.randn(2, 2, size, size)) == expected


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 2, 3, padding=1, groups=2),
        nn.Conv2d(2, 2, 3, padding=2, dilation=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 1),
    ],
)
def test_other_kinds_of_convolution_are_left_alone(monkeypatch, layer):
    assert products(monkeypatch, layer, torch.randn(2, 2, 1, 1)) == 0


def saved_and_read(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, saved_and_read]
    + [lambda m, p=p: pickle.loads(pickle.dumps(m, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)],
)
def test_what_is_copied_or_saved_meanwhile_is_a_plain_model(copied):
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU())
    attributes, told = set(model[0].__dict__), repr(model)
    x = torch.randn(2, 2, 1, 1)
    expected = model(x)
    with small_maps(model, CPU), small_maps(model, CPU):
        twin = nn.Sequential(copied(model[0]), nn.ReLU())
        assert repr(model) == told and type(model[0]) is not nn.Conv2d
        assert isinstance(model[0], nn.Conv2d)
    for layer in (model[0], twin[0]):
        assert type(layer) is nn.Conv2d
        assert set(layer.__dict__) == attributes
    with small_maps(twin, CPU):
        assert type(twin[0]) is not nn.Conv2d, "a copy is as fast"
        torch.testing.assert_close(twin(x), expected)
    assert all(map(torch.equal, twin.parameters(), model.parameters()))


def test_a_layer_that_somebody_wraps_meanwhile_stays_wrapped():
    layer = nn.Conv2d(2, 3, 3, padding=1)
    with small_maps(layer, CPU):
        torch.nn.utils.parametrizations.weight_norm(layer)
    assert torch.nn.utils.parametrize.is_parametrized(layer)
    layer(torch.randn(2, 2, 4, 4))


def test_another_device_is_left_alone():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1))
    with small_maps(model, torch.device("cuda")):
        assert type(model[0]) is nn.Conv2d


def test_a_single_picture_without_a_batch():
    layer = nn.Conv2d(2, 3, 3, padding=1)
    x = torch.randn(2, 1, 1)
    plain = layer(x)
    with small_maps(layer, CPU):
        torch.testing.assert_close(layer(x), plain)
