"""How pictures look, in numbers."""

import math

import pytest
import torch
from torch.nn import functional as F

from presize.train.drift_looks import LOOKS, looks_for, measure_looks

ZERO, ONE = torch.zeros(3), torch.ones(3)
NAMES = [look.name for look in LOOKS]


def photos(n=4, side=96):
    """Return smooth coloured pictures with edges and a light sky."""
    torch.manual_seed(3)
    x = F.interpolate(torch.rand(n, 3, 12, 12), (side, side), mode="bilinear")
    sky = torch.linspace(0.3, 0, side)[:, None]
    return (0.6 * x + sky + 0.04 * torch.rand(n, 3, side, side)).clamp(0, 1)


def looks(x):
    return dict(zip(NAMES, measure_looks(x, ZERO, ONE).T, strict=True))


def test_light_and_colour_are_those_of_their_definitions():
    x = photos(side=64)
    found = looks(x)
    y = (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    assert torch.allclose(found["brightness"], y.mean((1, 2)))
    assert torch.allclose(found["contrast"], y.flatten(1).std(1, unbiased=False), atol=1e-6)
    assert torch.allclose(found["above"], y[:, :32].mean((1, 2)) - y[:, 32:].mean((1, 2)))
    chroma = x.max(1).values - x.min(1).values
    assert torch.allclose(found["saturation"], chroma.mean((1, 2)))
    assert torch.allclose(found["red"], (x[:, 0] - x[:, 1]).mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "name", "more"),
    [
        (lambda x: 0.5 * x, "brightness", False),
        (lambda x: 1 - x, "above", False),
        (lambda x: 0.5 + 0.5 * (x - 0.5), "contrast", False),
        (lambda x: (x - 0.5).clamp_min(0), "dark share", True),
        (lambda x: (x + 0.5).clamp_max(1), "light share", True),
        (lambda x: x.flip(2), "above", False),
        (lambda x: F.avg_pool2d(x, 3, 1), "sharpness", False),
        (lambda x: x + 0.1 * torch.randn_like(x), "noise", True),
        (lambda x: x.mean(1, keepdim=True).expand_as(x), "saturation", False),
        (lambda x: x * torch.tensor([1.2, 1, 1])[:, None, None], "red", True),
        (lambda x: x * torch.tensor([1, 1, 1.2])[:, None, None], "blue", True),
        (lambda x: F.pad(x[:, :, 24:-24], (0, 0, 24, 24)), "middle", True),
        (lambda x: F.avg_pool2d(x, (1, 9), 1), "edges", False),
    ],
)
def test_a_change_moves_its_number_the_right_way(change, name, more):
    before, after = looks(photos())[name], looks(change(photos()))[name]
    assert bool((after > before + 1e-3 if more else after < before - 1e-3).all())


def test_a_quarter_turn_changes_the_sign_of_edges():
    x = photos()
    turned = looks(x.transpose(2, 3))
    assert torch.allclose(turned["edges"], -looks(x)["edges"], atol=1e-5)
    assert torch.allclose(turned["sharpness"], looks(x)["sharpness"], atol=1e-5)


def test_noise_is_measured_in_levels():
    x = 0.5 + 0.05 * torch.randn(3, 1, 128, 128)
    found = measure_looks(x, torch.zeros(1), torch.ones(1))[:, 7]
    shown = [LOOKS[7].shown(value) for value in found.tolist()]
    assert shown == pytest.approx([0.05] * 3, rel=0.05)


def test_normalisation_is_undone():
    mean, std = torch.tensor([0.4, 0.5, 0.3]), torch.tensor([0.2, 0.3, 0.25])
    x = photos()
    normal = (x - mean[:, None, None]) / std[:, None, None]
    assert torch.allclose(measure_looks(normal, mean, std), measure_looks(x, ZERO, ONE), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 8), (8, 8), (300, 130)])
def test_any_size_and_channels_give_finite_numbers(channels, size):
    x = torch.rand(2, channels, *size)
    found = measure_looks(x, torch.zeros(channels), torch.ones(channels))
    assert found.shape == (2, len(looks_for(channels)))
    assert found.isfinite().all()


def test_a_picture_counts_for_itself():
    x = photos()
    together = measure_looks(x, ZERO, ONE)
    alone = torch.cat([measure_looks(one[None], ZERO, ONE) for one in x])
    assert torch.allclose(together, alone, atol=1e-6)


def test_figures_that_no_picture_has_are_told_all_the_same():
    """A file may say anything; a verdict on it must not fail."""
    for look in LOOKS:
        assert math.isfinite(look.shown(1e30)) and math.isfinite(look.shown(-1e30))
