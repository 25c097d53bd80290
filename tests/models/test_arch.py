"""A contract over all families: cut, run, train, freeze, group and describe each of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models as tv

from presize.core.errors import ModelFileError, WeightsError
from presize.models import zoo
from presize.models.arch import build_from_spec, create_vision_model
from presize.models.backbones import find_arch
from presize.models.groups import check_groups, default_split, freeze_to, norm_params
from presize.models.head import AdaptiveConcatPool2d


def _fc(whole: Any, maps: Tensor) -> Any:
    return whole.fc(maps.mean((2, 3)))


def _classifier(whole: Any, maps: Tensor) -> Any:
    return whole.classifier(whole.avgpool(maps).flatten(1))


def _mean_classifier(whole: Any, maps: Tensor) -> Any:
    return whole.classifier(maps.mean((2, 3)))


# The smallest member of each family, a side it can take, its channels, and the rest of its own
# forward behind the body: the oracle that the cut is where it should be.
FAMILIES: dict[str, tuple[int, int, Callable[[Any, Tensor], Any] | None]] = {
    "alexnet": (64, 256, _classifier),
    "convnext_tiny": (64, 768, None),  # has its norm before the pooling here, and after it there
    "densenet121": (64, 1024, _mean_classifier),
    "efficientnet_b0": (64, 1280, _classifier),
    "googlenet": (64, 1024, _fc),
    "inception_v3": (96, 2048, _fc),
    "maxvit_t": (224, 512, lambda whole, maps: whole.classifier(maps)),
    "mnasnet0_5": (64, 1280, _mean_classifier),
    "mobilenet_v2": (64, 1280, _mean_classifier),
    "mobilenet_v3_small": (64, 576, _classifier),
    "regnet_x_400mf": (64, 400, _fc),
    "resnet18": (64, 512, _fc),
    "shufflenet_v2_x0_5": (64, 1024, _fc),
    "squeezenet1_1": (64, 512, lambda whole, maps: whole.classifier(maps).flatten(1)),
    "swin_t": (64, 768, lambda whole, maps: whole.head(maps.mean((2, 3)))),
    "vgg11_bn": (64, 512, _classifier),
    "vit_b_32": (64, 768, lambda whole, features: whole.heads(features)),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
    "vit_b_32": {"image_size": 64},
}
TIMM = {
    "timm/resnet18": (64, 512, False),
    "resnet10t": (64, 512, False),
    "convnext_atto": (64, 320, False),
    "mobilenetv3_small_050": (64, 1024, False),
    "mambaout_femto": (64, 1152, False),  # [N, H, W, C] inside
    "vit_tiny_patch16_224": (64, 192, True),
    "efficientvit_b0": (64, 1280, True),  # always pools
}


def _structure(model: nn.Module) -> list[tuple[str, torch.Size, torch.dtype]]:
    return [(name, t.shape, t.dtype) for name, t in model.state_dict().items()]


def _hold(model: Any, side: int, channels: int, *, pooled: bool, n_in: int = 3) -> None:
    """Check what holds for every model: shapes, gradients, groups, freezing, description."""
    x = torch.randn(2, n_in, side, side)
    model.train()
    out = model(x)
    assert out.shape == (2, 5)
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())

    with torch.no_grad():
        features = model.eval()[0](x)
        out = model[1](features)
    assert features.shape[1] == channels and features.ndim == (2 if pooled else 4)
    assert isinstance(model[1][0], nn.BatchNorm1d if pooled else AdaptiveConcatPool2d)

    groups = default_split(model)
    check_groups(model, groups)
    assert len(groups) == 3 and all(groups)
    assert {id(p) for p in groups[2]} == {id(p) for p in model[1].parameters()}
    freeze_to(model, groups, -1)
    norms = {id(p) for p in norm_params(model)}
    for p in groups[0] + groups[1]:
        assert p.requires_grad == (id(p) in norms)
    assert all(p.requires_grad for p in groups[2])
    freeze_to(model, groups, 0)
    assert all(p.requires_grad for p in model.parameters())

    spec = json.loads(json.dumps(model.spec))
    again = build_from_spec(spec)
    assert _structure(again) == _structure(model)
    assert again.spec == model.spec and again.groups_splitter == model.groups_splitter
    assert again.stats is None and not again.pretrained
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(x), out)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_torchvision_family(name: str) -> None:
    side, channels, rest = FAMILIES[name]
    whole = tv.get_model(name, weights=None, **SETTINGS.get(name, {})).eval()
    is_vit = name.startswith("vit")
    model = create_vision_model(
        name, 5, weights=whole.state_dict(), img_size=side if is_vit else None
    )
    assert model.pretrained and model.stats is not None
    if rest is not None:
        x = torch.randn(2, 3, side, side)
        with torch.no_grad():
            assert torch.allclose(rest(whole, model.eval()[0](x)), whole(x), atol=1e-4)
    _hold(model, side, channels, pooled=is_vit)


@pytest.mark.parametrize("name", TIMM)
def test_timm_models_by_name(name: str) -> None:
    side, channels, pooled = TIMM[name]
    size = side if name.startswith("vit") else None
    model = create_vision_model(name, 5, pretrained=False, img_size=size)
    assert model.spec["source"] == "timm" and model.stats is None and not model.pretrained
    _hold(model, side, channels, pooled=pooled)


def test_resnets_part_after_the_second_stage() -> None:
    model: Any = create_vision_model(tv.resnet18, 3, pretrained=False)
    first, second, head = default_split(model)
    assert [id(p) for p in first] == [id(p) for p in model[0][:6].parameters()]
    assert [id(p) for p in second] == [id(p) for p in model[0][6:].parameters()]
    assert [id(p) for p in head] == [id(p) for p in model[1].parameters()]
    tagged = create_vision_model("timm/resnet18", 3, pretrained=False)
    assert [len(g) for g in default_split(tagged)] == [len(first), len(second), len(head)]


@pytest.mark.parametrize(("name", "n_early"), [("mobilenet_v2", 7), ("squeezenet1_1", 8)])
def test_other_bodies_part_where_maps_get_to_a_sixteenth(name: str, n_early: int) -> None:
    model: Any = create_vision_model(name, 3, pretrained=False)
    first = default_split(model)[0]
    assert [id(p) for p in first] == [id(p) for p in model[0][:n_early].parameters()]


def test_all_of_torchvisions_classifiers_are_re_exported() -> None:
    assert sorted(zoo.__all__) == sorted(tv.list_models(module=tv))


@pytest.mark.parametrize("n_in", [1, 2, 4])
@pytest.mark.parametrize("name", ["resnet18", "resnet10t", "vit_tiny_patch16_224"])
def test_pictures_of_other_channels(name: str, n_in: int) -> None:
    size = 64 if name.startswith("vit") else None
    model = create_vision_model(name, 2, n_in=n_in, pretrained=False, img_size=size)
    assert model(torch.randn(2, n_in, 64, 64)).shape == (2, 2)
    assert _structure(build_from_spec(model.spec)) == _structure(model)


def test_one_channel_sums_the_weights_of_three() -> None:
    whole = tv.mobilenet_v3_small()
    grey = create_vision_model("mobilenet_v3_small", 2, n_in=1, weights=whole.state_dict())
    rgb = create_vision_model("mobilenet_v3_small", 2, weights=whole.state_dict())
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        got, expected = grey.eval()[0](x), rgb.eval()[0](x.expand(1, 3, 64, 64))
    assert torch.allclose(got, expected, atol=1e-4)
    assert grey.stats is not None
    assert grey.stats[0] == pytest.approx([0.449]) and grey.stats[1] == pytest.approx([0.226])
    four = create_vision_model("mobilenet_v3_small", 2, n_in=4, weights=whole.state_dict())
    assert four.stats is not None and four.stats[0] == [0.485, 0.456, 0.406, 0.485]


def test_find_arch_knows_whose_it_is() -> None:
    import timm

    assert find_arch("resnet18") == find_arch(tv.resnet18) == ("torchvision", "resnet18")
    assert find_arch("timm/resnet18") == ("timm", "resnet18")
    assert find_arch("resnet18.a1_in1k") == ("timm", "resnet18.a1_in1k")
    assert find_arch(timm.models.resnet.resnet10t) == ("timm", "resnet10t")
    assert find_arch(tv.segmentation.fcn_resnet50)[0] == "custom"
    assert find_arch(nn.Sequential()) == ("custom", "Sequential")


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no architecture `resnt34` in torchvision or timm.*`res"):
        create_vision_model("resnt34", 2)
    with pytest.raises(ValueError, match=r"no weights `a1_in1` of resnet18, .*`a1_in1k`"):
        create_vision_model("resnet18.a1_in1", 2)
    with pytest.raises(TypeError, match="a function such as resnet34, a name .* but got 34"):
        create_vision_model(34, 2)  # type: ignore[arg-type]


def test_bad_options_are_told() -> None:
    with pytest.raises(ValueError, match="n_out is a whole number from 1 .* got 0"):
        create_vision_model("resnet18", 0)
    with pytest.raises(ValueError, match=r"n_in is .* got 2\.5"):
        create_vision_model("resnet18", 2, n_in=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resnet18 takes any size: img_size is for ViTs"):
        create_vision_model("resnet18", 2, pretrained=False, img_size=64)
    with pytest.raises(ValueError, match="resnet10t has no img_size to set"):
        create_vision_model("resnet10t", 2, pretrained=False, img_size=64)
    with pytest.raises(ValueError, match="head and custom_head are the same"):
        create_vision_model("resnet18", 2, head=nn.ReLU(), custom_head=nn.ReLU())


# ---- architectures of the user's own ----


class Small(nn.Module):
    """Its activation is in its forward alone: the layers in order are another function."""

    def __init__(self, n_in: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(torch.relu(self.conv1(x)))
        out: Tensor = self.linear(torch.relu(x).mean((2, 3)))
        return out


def plain() -> nn.Sequential:
    maps = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=4))
    return nn.Sequential(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def test_own_layers_in_order_lose_pooling_and_linear() -> None:
    model = create_vision_model(plain, 4, pretrained=False)
    assert model[0](torch.randn(2, 3, 64, 64)).shape == (2, 16, 4, 4)
    assert model.spec["source"] == "custom" and model.spec["name"] == "plain"
    assert len(default_split(model)) == 2


def test_own_forward_stays_whole_and_pooled() -> None:
    small = Small().eval()
    x = torch.randn(2, 3, 64, 64)
    expected = small.conv2(small.conv1(x).relu()).relu().mean((2, 3))
    model = create_vision_model(small, 4, pretrained=False)
    assert torch.allclose(model[0](x), expected)
    assert model(x).shape == (2, 4)


def test_a_cut_that_changes_what_is_computed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cut=2 keeps child layers .* forward of Small does"):
        create_vision_model(Small, 4, pretrained=False, cut=2)
    with pytest.raises(ValueError, match="cut=0 leaves nothing: Small has 3"):
        create_vision_model(Small, 4, pretrained=False, cut=0)
    assert create_vision_model(Small, 4, pretrained=False, cut=1)(torch.randn(2, 3, 64, 64)).shape


def test_cut_as_number_and_function() -> None:
    short: Any = create_vision_model("resnet18", 4, pretrained=False, cut=-4)
    assert len(short[0]) == 6 and short.spec["cut"] == -4
    assert _structure(build_from_spec(short.spec)) == _structure(short)

    def stem(m: Any) -> nn.Module:
        return nn.Sequential(m.conv1, m.bn1, m.relu)

    model: Any = create_vision_model("resnet18", 4, pretrained=False, cut=stem)
    assert len(model[0]) == 3 and model.spec["cut"] == "custom"
    with pytest.raises(ModelFileError, match="`resnet18` was cut by a function: pass it, cut="):
        build_from_spec(model.spec)
    assert _structure(build_from_spec(model.spec, cut=stem)) == _structure(model)


def test_own_architecture_has_to_say_that_it_is_random() -> None:
    with pytest.raises(ValueError, match="plain takes no `pretrained`, .* pretrained=False"):
        create_vision_model(plain, 4)
    asked: list[bool] = []

    def with_option(pretrained: bool) -> nn.Module:
        asked.append(pretrained)
        return plain()

    assert create_vision_model(with_option, 4).pretrained
    assert not create_vision_model(with_option, 4, pretrained=False).pretrained
    assert asked == [True, False]
    with pytest.raises(TypeError, match=r"<lambda>\(\) should make an nn.Module, but made int"):
        create_vision_model(lambda: 3, 4, pretrained=False)  # type: ignore[arg-type, return-value]


def test_a_function_that_makes_a_torchvision_model_cuts_like_it() -> None:
    model: Any = create_vision_model(lambda: tv.resnet18(num_classes=7), 4, pretrained=False)
    assert len(model[0]) == 8 and len(default_split(model)) == 3


def test_own_head() -> None:
    own = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    model = create_vision_model("squeezenet1_1", 4, pretrained=False, head=own)
    assert model[1] is own and model.spec["head"] is None
    with pytest.raises(ModelFileError, match=r"head on `squeezenet1_1` is the user's own: pass it"):
        build_from_spec(model.spec)
    assert build_from_spec(model.spec, head=nn.Flatten())[0] is not model[0]


# ---- descriptions from files ----


def test_own_architectures_are_built_only_when_passed_in() -> None:
    model = create_vision_model(plain, 4, pretrained=False)
    with pytest.raises(ModelFileError, match=r"`plain` is the user's own, .* arch="):
        build_from_spec(model.spec)
    assert _structure(build_from_spec(model.spec, arch=plain)) == _structure(model)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"source": "pickle"}, "impossible source: 'pickle'"),
        ({"name": "os.system"}, "unknown architecture.* `os.system`"),
        ({"name": "hf-hub:someone/else", "source": "timm"}, "unknown architecture"),
        ({"name": "resnet10t"}, "torchvision has no architecture `resnet10t`"),
        ({"n_out": 10**12}, "impossible n_out"),
        ({"n_out": True}, "impossible n_out"),
        ({"n_in": -1}, "impossible n_in"),
        ({"cut": "import os"}, "impossible cut"),
        ({"img_size": 64}, "cannot be built. resnet18 takes any size"),
        ({"head": []}, "impossible head"),
        ({"head": {"ps": 0.5}}, "description of the head wants the fields bn_final"),
        ({"extra": 1}, "wants the fields .* another version"),
    ],
)
def test_broken_descriptions_are_refused(change: dict[str, object], text: str) -> None:
    spec = {**create_vision_model("resnet18", 4, pretrained=False).spec, **change}
    with pytest.raises(ModelFileError, match=text):
        build_from_spec(spec)


@pytest.mark.parametrize(
    ("field", "value"),
    [("ps", "0.5"), ("ps", 2.0), ("lin_ftrs", [10**9]), ("y_range", [1.0]), ("first_bn", 1)],
)
def test_broken_heads_are_refused(field: str, value: object) -> None:
    spec: Any = create_vision_model("squeezenet1_1", 4, pretrained=False).spec
    with pytest.raises(ModelFileError, match="impossible|cannot be built"):
        build_from_spec({**spec, "head": {**spec["head"], field: value}})


def test_building_from_a_description_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    spec: Any = create_vision_model("resnet18", 4, pretrained=False).spec
    assert not build_from_spec(spec).pretrained
    with pytest.raises((WeightsError, AssertionError)):
        create_vision_model("resnet18", 4)
