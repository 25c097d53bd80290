"""The last map of any network is found without being named."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from presize.models.feature_maps import find_map_layers, map_layer_named


class ChannelsLast(nn.Module):
    """Maps [N, h, w, C], as in ConvNeXt and Swin, and a head on their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.head = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.stem(x).permute(0, 2, 3, 1)).mean((1, 2)))


class Tokens(nn.Module):
    """Patches, one class token before them, and one layer that mixes them all."""

    def __init__(self, *, read_class: bool) -> None:
        super().__init__()
        self.read_class = read_class
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.own = nn.Parameter(torch.randn(1, 1, 12))
        self.before, self.after, self.head = nn.LayerNorm(12), nn.LayerNorm(12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = self.before(torch.cat([self.own.expand(len(x), -1, -1), tokens], 1))
        weights = (tokens @ tokens.transpose(1, 2)).softmax(-1)
        tokens = self.after(weights @ tokens)
        return self.head(tokens[:, 0] if self.read_class else tokens[:, 1:].mean(1))


class Trunk(nn.Module):
    """A branch whose maps count for nothing comes last."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.head = (
            nn.Conv2d(3, 4, 4, 4), nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 3)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        maps = self.used(x)
        self.unused(x)
        return self.head(maps.mean((2, 3)))


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "[N, C, h, w]": (plain, "3", "NCHW"),
    "[N, h, w, C]": (ChannelsLast, "norm", "NHWC"),
    "tokens that are averaged": (lambda: Tokens(read_class=False), "after", "tokens"),
    "a class token": (lambda: Tokens(read_class=True), "before", "tokens"),
    "a branch without use": (Trunk, "used", "NCHW"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
def test_the_last_map_that_counts_is_found(name: str, size: tuple[int, int]) -> None:
    make, layer, kind = MODELS[name]
    model, picture = make().eval(), torch.randn(1, 3, *size)
    found = find_map_layers(model, picture)
    assert found is not None and found.best is not None
    assert (found.best.name, found.best.layout.kind) == (layer, kind)
    rows, columns = found.best.layout.grid
    assert rows * size[1] == columns * size[0]  # of the picture's shape
    outputs: list[Tensor] = []
    with found.best.module.register_forward_hook(lambda _, __, out: outputs.append(out)):
        model(picture)
    channels = {"a branch without use": 4, "[N, C, h, w]": 6}.get(name, 12)
    assert found.best.layout.maps(outputs[0]).shape == (1, channels, rows, columns)


def test_which_tokens_the_answer_is_made_of_is_found() -> None:
    picture = torch.randn(1, 3, 32, 32)
    by_class = find_map_layers(Tokens(read_class=True), picture)
    assert by_class is not None and by_class.read is not None
    assert by_class.read.tolist() == [True] + [False] * 16
    by_mean = find_map_layers(Tokens(read_class=False), picture)
    assert by_mean is not None and by_mean.read is not None
    assert by_mean.read.tolist() == [False] + [True] * 16


def test_maps_of_few_positions_are_passed_over() -> None:
    halves = [m for n in (3, 4, 4, 4) for m in (nn.Conv2d(n, 4, 3, 2, 1), nn.ReLU())]
    model = nn.Sequential(*halves, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    sides = {}
    for side in (128, 64, 32, 8, 4):
        found = find_map_layers(model, torch.randn(1, 3, side, side))
        assert found is not None and found.best is not None
        sides[side] = found.best.layout.grid[0]
    assert sides == {128: 8, 64: 4, 32: 4, 8: 4, 4: 2}  # at 4 pixels there are none of 4 x 4


def test_tokens_come_out_row_by_row() -> None:
    model = Tokens(read_class=False)
    found = find_map_layers(model, torch.randn(1, 3, 16, 24))
    assert found is not None
    tokens = torch.arange(7.0)[None, :, None].expand(1, 7, 12)
    assert found.last.layout.maps(tokens)[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_layer_can_be_named() -> None:
    model, picture = plain(), torch.randn(1, 3, 32, 32)
    named = map_layer_named(model, "0", picture)
    assert named is not None and named.layout.grid == (16, 16)
    assert map_layer_named(model, "4", picture) is None  # one position
    assert map_layer_named(model, "6", picture) is None


def test_there_may_be_none() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.ReLU(), nn.Linear(5, 2))
    assert find_map_layers(flat, torch.randn(1, 3, 8, 8)) is None


def test_scores_without_gradients_are_told_from_those_with() -> None:
    class Rounded(ChannelsLast):
        def forward(self, x: Tensor) -> Tensor:
            return F.one_hot(super().forward(x).argmax(1), 3).float()

    found = find_map_layers(Rounded(), torch.randn(1, 3, 32, 32))
    assert found is not None and found.best is None


def test_it_leaves_no_trace() -> None:
    model = plain().train()
    model.requires_grad_(False)
    find_map_layers(model, torch.randn(1, 3, 32, 32))
    assert model.training and not any(p.requires_grad for p in model.parameters())
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())
