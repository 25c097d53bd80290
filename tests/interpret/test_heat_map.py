"""Heat maps: what they are, for which networks, and that making them leaves no trace."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from presize.core.errors import DataError, TrainingError
from presize.interpret.heat_map import heat_maps
from presize.models.arch import create_vision_model


class Pooled(nn.Module):
    """Convolutions, the mean of each map, and one linear layer: where Grad-CAM is CAM."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 6, 1),
            nn.ReLU(inplace=True),
        )  # fmt: skip
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps as heat maps: enlarged over equal strips, the largest value 1."""
    grown = nn.functional.interpolate(
        maps[:, None].relu(), size, mode="bilinear", align_corners=False
    )
    return grown[:, 0] / grown.amax((1, 2, 3))[:, None, None]


def test_for_mean_and_linear_layer_it_is_the_class_activation_map() -> None:
    model, x = Pooled().eval(), torch.randn(5, 3, 32, 48)
    classes = torch.tensor([0, 1, 2, 3, 1])
    with torch.no_grad():
        cam = torch.einsum("nc,nchw->nhw", model.head.weight[classes], model.body(x))
    expected = enlarged(cam, (32, 48))
    assert torch.allclose(heat_maps(model, x, classes), expected, atol=1e-5)


def test_it_is_grad_cam_written_out() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 5, 4, 4), nn.Tanh(), nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(45, 7),
        nn.Tanh(), nn.Linear(7, 3),
    )  # fmt: skip
    x = torch.randn(4, 3, 24, 24)
    maps = model[:2](x).detach().requires_grad_()
    scores = model[2:](maps)
    best = scores.argmax(1)
    scores.gather(1, best[:, None]).sum().backward()
    assert maps.grad is not None
    weights = maps.grad.mean((2, 3), keepdim=True)
    expected = enlarged((weights * maps).sum(1).detach(), (24, 24))
    assert torch.allclose(heat_maps(model, x, layer="1"), expected, atol=1e-5)
    assert torch.allclose(heat_maps(model, x, best, layer=model[1]), expected, atol=1e-5)


def test_more_pictures_than_go_at_once_are_the_same_as_one_by_one() -> None:
    model, x = Pooled(), torch.randn(19, 3, 16, 16)
    one_by_one = torch.cat([heat_maps(model, part) for part in x.split(1)])
    assert torch.allclose(heat_maps(model, x), one_by_one, atol=1e-5)
    assert heat_maps(model, x[:0]).shape == (0, 16, 16)


class Block(nn.Module):
    """A layer of a transformer of one head, by PyTorch's fused attention or written out."""

    def __init__(self, d: int, how: str) -> None:
        super().__init__()
        self.how, self.d = how, d
        self.norm, self.qkv = nn.LayerNorm(d), nn.Linear(d, 3 * d)
        self.multi = nn.MultiheadAttention(d, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        if self.how == "multi":
            return x + self.multi(y, y, y, need_weights=False)[0]
        q, k, v = self.qkv(y).unflatten(2, (3, 2, self.d // 2)).permute(2, 0, 3, 1, 4)
        if self.how == "fused":
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        else:
            mixed = (q @ k.transpose(2, 3) * (self.d // 2) ** -0.5).softmax(-1) @ v
        return x + mixed.transpose(1, 2).flatten(2)


class Transformer(nn.Module):
    def __init__(self, how: str, *, pool: str = "class", d: int = 8) -> None:
        super().__init__()
        self.pool = pool
        self.patches, self.own = nn.Conv2d(3, d, 8, 8), nn.Parameter(torch.randn(1, 1, d))
        self.blocks = nn.Sequential(*(Block(d, how) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if self.pool == "class":
            tokens = torch.cat([self.own.expand(len(x), -1, -1), tokens], 1)
        tokens = self.norm(self.blocks(tokens))
        return self.head(tokens[:, 0] if self.pool == "class" else tokens.mean(1))


def attention(block: Block, x: Tensor) -> Tensor:
    """Return the attention of one block by hand, averaged over its heads: [n, t, t]."""
    y = block.norm(x)
    if block.how == "multi":
        made: Tensor = block.multi(y, y, y, need_weights=True)[1]
        return made
    q, k = block.qkv(y).unflatten(2, (3, 2, block.d // 2)).permute(2, 0, 3, 1, 4)[:2]
    return (q @ k.transpose(2, 3) * (block.d // 2) ** -0.5).softmax(-1).mean(1)


@pytest.mark.parametrize("how", ["fused", "written out", "multi"])
@pytest.mark.parametrize("pool", ["class", "mean"])
def test_rollout_is_the_product_of_all_attentions(how: str, pool: str) -> None:
    model, x = Transformer(how, pool=pool).eval(), torch.randn(2, 3, 32, 40)
    with torch.no_grad():
        tokens = model.patches(x).flatten(2).transpose(1, 2)
        if pool == "class":
            tokens = torch.cat([model.own.expand(2, -1, -1), tokens], 1)
        flow = torch.eye(tokens.shape[1]).expand(2, -1, -1)
        for block in model.blocks:
            assert isinstance(block, Block)
            flow = (attention(block, tokens) + torch.eye(tokens.shape[1])) / 2 @ flow
            tokens = block(tokens)
    read = flow[:, 0, 1:] if pool == "class" else flow.mean(1)
    maps = read.unflatten(1, (4, 5))
    expected = enlarged(maps - maps.amin((1, 2), keepdim=True), (32, 40))
    assert torch.allclose(heat_maps(model, x), expected, atol=1e-4)
    assert torch.equal(heat_maps(model, x, method="rollout"), heat_maps(model, x))
    assert not torch.allclose(heat_maps(model, x, method="grad-cam"), expected, atol=1e-2)


# One of each way to hold maps; random weights, so only that there is a map can be said of it.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "densenet121": {},
    "squeezenet1_1": {},
    "inception_v3": {"side": 128},
    "shufflenet_v2_x0_5": {},
    "mobilenet_v3_small": {},
    "regnet_y_400mf": {},
    "swin_t": {"side": 128},
    "convnext_tiny": {"side": 64},
    "timm/convnext_atto": {},
    "timm/efficientnet_b0": {},
    "timm/tf_efficientnetv2_b0": {},
    "timm/vit_tiny_patch16_224": {"side": 96, "img_size": 96},
    "timm/deit_tiny_distilled_patch16_224": {"side": 96, "img_size": 96},
    "timm/eva02_tiny_patch14_224": {"side": 70, "img_size": 70},
    "timm/mixer_s32_224": {"side": 224},
    "timm/xcit_nano_12_p16_224": {"side": 96},
    "timm/swin_tiny_patch4_window7_224": {"side": 112, "img_size": 112},
    "timm/pvt_v2_b0": {},
    "timm/mobilevit_xxs": {},
    "timm/poolformer_s12": {"side": 64},
    "timm/maxxvit_rmlp_nano_rw_256": {"side": 64, "img_size": 64},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_architecture_has_heat_maps(name: str) -> None:
    options = dict(ARCHITECTURES[name])
    side = options.pop("side", 96)
    model = create_vision_model(name, 4, pretrained=False, **options).eval()
    # The last convolution of a random net may speak against every class; for some class it speaks.
    x = torch.randn(1, 3, side, side).expand(4, -1, -1, -1)
    maps = heat_maps(model, x, torch.arange(4))
    assert maps.shape == (4, side, side) and maps.dtype == torch.float32
    assert maps.isfinite().all() and maps.min() >= 0
    assert set(maps.amax((1, 2)).round(decimals=5).tolist()) <= {0.0, 1.0}
    assert maps.any()
    assert maps.flatten(1).std(1).max() > 0.01  # no even fog


def test_transformers_of_torchvision_have_a_rollout() -> None:
    from torchvision.models import VisionTransformer

    model = VisionTransformer(32, 8, 3, 4, 16, 32, num_classes=3)
    nn.init.normal_(model.heads[0].weight)  # else the class says nothing about what it reads
    x = torch.randn(2, 3, 32, 32)
    maps = heat_maps(model, x, method="rollout")
    assert torch.equal(maps, heat_maps(model, x))
    assert torch.equal(maps.amax((1, 2)), torch.ones(2)) and (maps.flatten(1).std(1) > 0.01).all()


@pytest.mark.parametrize("make", [Pooled, lambda: Transformer("fused")], ids=["convs", "tokens"])
def test_it_leaves_no_trace(make: Callable[[], nn.Module]) -> None:
    model, x = make(), torch.randn(3, 3, 32, 32)
    model.train()
    next(model.children()).eval()  # a frozen part whose norms rest
    next(model.parameters()).requires_grad_(False)
    model(x).sum().backward()
    before = copy.deepcopy(model)
    slopes = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    noise = torch.random.get_rng_state()
    given = x.clone()
    heat_maps(model, x)
    assert torch.equal(noise, torch.random.get_rng_state())
    assert torch.equal(given, x) and not x.requires_grad
    for (name, one), other in zip(model.named_modules(), before.modules(), strict=True):
        assert one.training == other.training, name
        assert not one._forward_hooks and not one._forward_pre_hooks and not one._backward_hooks
    for (name, one), other in zip(model.named_parameters(), before.parameters(), strict=True):
        assert one.requires_grad == other.requires_grad, name
    for one, slope in zip(model.parameters(), slopes, strict=True):
        assert one.grad is None if slope is None else torch.equal(one.grad, slope)
    for one, other in zip(model.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_after_an_error_there_is_no_trace_either() -> None:
    class Failing(Pooled):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 1:
                raise RuntimeError("out of something")
            return super().forward(x)

    model = Failing().train()
    with pytest.raises(RuntimeError, match="out of something"):
        heat_maps(model, torch.randn(2, 3, 16, 16), torch.zeros(2, dtype=torch.long))
    assert model.training and torch.is_grad_enabled()
    assert not any(m._forward_hooks for m in model.modules())


def test_it_works_wherever_it_is_called() -> None:
    model, x = Pooled(), torch.randn(2, 3, 16, 16)
    plain = heat_maps(model, x)
    with torch.inference_mode():
        assert torch.equal(heat_maps(model, x.clone()), plain)
    with torch.no_grad():
        assert torch.equal(heat_maps(model, x), plain)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(heat_maps(model, x), plain)
    model.requires_grad_(False)
    assert torch.equal(heat_maps(model, x), plain)
    assert torch.allclose(heat_maps(copy.deepcopy(model).bfloat16(), x), plain, atol=0.1)
    assert torch.allclose(heat_maps(copy.deepcopy(model).double(), x), plain, atol=1e-5)


def test_a_compiled_model_is_looked_into() -> None:
    model, x = Pooled().eval(), torch.randn(2, 3, 16, 16)
    plain = heat_maps(model, x)
    compiled: Any = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(x)
    assert torch.equal(heat_maps(compiled, x), plain)


def test_what_does_not_fit_is_told() -> None:
    model, x = Pooled(), torch.randn(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"'gradcam'\. Did you mean .*grad-cam"):
        heat_maps(model, x, method="gradcam")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"pictures \[m, C, H, W\], but got \[3, 16, 16\]"):
        heat_maps(model, x[0])
    with pytest.raises(DataError, match="2 pictures want as many class numbers"):
        heat_maps(model, x, torch.tensor([1]))
    with pytest.raises(DataError, match="classes 0 to 3, but got 1 to 4"):
        heat_maps(model, x, torch.tensor([1, 4]))
    with pytest.raises(TrainingError, match=r"gives \[2, 6, 4, 4\] for 2 pictures|gives \[1, 6"):
        heat_maps(model.body, x)
    with pytest.raises(ValueError, match=r"no layer `bdy\.2`\. Did you mean .*body\.2"):
        heat_maps(model, x, layer="bdy.2")
    with pytest.raises(ValueError, match="`head` of Pooled gives no maps"):
        heat_maps(model, x, layer="head")
    with pytest.raises(ValueError, match="Leave one of them out"):
        heat_maps(model, x, method="rollout", layer="body")
    with pytest.raises(TrainingError, match='Use method="grad-cam" or "auto"'):
        heat_maps(model, x, method="rollout")


def test_a_net_without_maps_is_told_with_the_way_out() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(
        TrainingError, match=r"no layer that gives maps .* pass layer=, .*: 0, 1, 2"
    ):
        heat_maps(flat, torch.randn(2, 3, 8, 8))
