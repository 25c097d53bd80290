"""torchvision's classifiers as bodies: where each family ends, and its pretrained weights."""

import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torchvision import models as tv
from torchvision.models.vision_transformer import interpolate_embeddings

from presize.core.errors import did_you_mean
from presize.models.body import (
    Backbone,
    BodyOptions,
    Early,
    Stats,
    cut_and_load,
    fit_input,
    params_until,
)
from presize.models.cut import cut_custom
from presize.models.stochastic_depth import set_drop_path
from presize.models.weights import (
    download_help,
    hub_folder,
    is_weights_file,
    read_weights,
    wants_bar,
)

TORCHVISION_NAMES: tuple[str, ...] = tuple(tv.list_models(module=tv))

_HALVES: Stats = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
# Made for pictures of [-1, 1]: left to themselves they turn ImageNet's statistics into that in
# their forward. Here Normalize does it at once.
_INCEPTIONS = {"aux_logits": False, "transform_input": False, "init_weights": True}
_OPTIONS: dict[str, dict[str, Any]] = {"googlenet": _INCEPTIONS, "inception_v3": _INCEPTIONS}


def is_torchvision(arch: object) -> bool:
    """Return whether `arch` is one of torchvision's functions that make a classifier."""
    name = getattr(arch, "__name__", "")
    return name in TORCHVISION_NAMES and tv.get_model_builder(name) is arch


def _features(m: Any) -> nn.Module:
    return nn.Sequential(*m.features)


def _until_pool(m: Any) -> nn.Module:
    names = [name for name, _ in m.named_children()]
    return nn.Sequential(*list(m.children())[: names.index("avgpool")])


def _headless(m: Any) -> nn.Module:
    m.heads = nn.Identity()
    return cast(nn.Module, m)


# How each family's layers follow each other up to the pooling of its forward. A norm before the
# classifier (convnext, swin) stays with the body: its weights are trained, too.
_BODIES: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    tv.AlexNet: _features,
    tv.ConvNeXt: lambda m: nn.Sequential(*m.features, m.classifier[0]),
    tv.DenseNet: lambda m: nn.Sequential(*m.features, nn.ReLU(inplace=True)),
    tv.EfficientNet: _features,
    tv.GoogLeNet: _until_pool,
    tv.Inception3: _until_pool,
    tv.MaxVit: lambda m: nn.Sequential(m.stem, *m.blocks),
    tv.MNASNet: lambda m: nn.Sequential(*m.layers),
    tv.MobileNetV2: _features,
    tv.MobileNetV3: _features,
    tv.RegNet: lambda m: nn.Sequential(m.stem, *m.trunk_output),
    tv.ResNet: _until_pool,
    tv.ShuffleNetV2: lambda m: nn.Sequential(*list(m.children())[:-1]),
    tv.SqueezeNet: _features,
    tv.SwinTransformer: lambda m: nn.Sequential(*m.features, m.norm, m.permute),
    tv.VGG: _features,
    tv.VisionTransformer: _headless,
}
# Sides in pixels where 64 is too small, or only one is taken.
_SIDES: dict[type[nn.Module], int] = {tv.Inception3: 96, tv.MaxVit: 224}


def family_cut(model: nn.Module) -> Callable[[nn.Module], nn.Module] | None:
    """Return how to cut a model of one of torchvision's own classes, or None for any other."""
    return _BODIES.get(type(model))


def torchvision_backbone(name: str, options: BodyOptions) -> Backbone:
    """Build torchvision's `name` without its classifier.

    Raises:
        ValueError: an option does not go with this architecture.
        WeightsError: weights that are not there, or do not fit.
    """
    state, stats, chosen = _load_weights(name, options)
    settings = dict(_OPTIONS.get(name, {}))
    img_size = options.img_size
    if name.startswith("vit_"):
        # Some weights are for larger pictures than the architecture is made for by default.
        img_size = img_size or (chosen.meta["min_size"][0] if chosen is not None else 224)
        settings["image_size"] = img_size
    elif img_size is not None:
        raise ValueError(f"{name} takes any size: img_size is for ViTs, leave it out.")
    model = tv.get_model(name, weights=None, **settings)
    if options.drop_path_rate is not None:
        set_drop_path(model, name, options.drop_path_rate)
    if state is not None:
        state = _todays_names(model, state, img_size)
    side = img_size or _SIDES.get(type(model), 64)

    def cut(whole: nn.Module) -> nn.Module:
        if options.cut is None:
            return _BODIES[type(whole)](whole)
        return cut_custom(whole, options.cut, n_in=options.n_in, side=side)

    input_key = fit_input(model, options.n_in)
    body = cut_and_load(model, cut, state, where=options.where, input_key=input_key)
    early: Early = "measure"
    if img_size is not None:
        early = params_until(body, _middle_block(model))
    return Backbone(body, "torchvision", name, stats, early, side, img_size, state is not None)


def _middle_block(vit: Any) -> str:
    return f"encoder.layers.encoder_layer_{len(vit.encoder.layers) // 2 - 1}"


def _load_weights(
    name: str, options: BodyOptions
) -> tuple[dict[str, Tensor] | None, Stats | None, Any]:
    """Return the tensors to load, the statistics that they want, and torchvision's entry."""
    weights, known = options.weights, tv.get_model_weights(name)
    if weights is None and not options.pretrained:
        return None, None, None
    chosen: Any = known["DEFAULT"]
    from_file = False
    if isinstance(weights, str) and not is_weights_file(weights):
        chosen = known.__members__.get(weights.removeprefix(known.__name__ + "."))
        if chosen is None:
            raise ValueError(
                f"{weights!r} is neither a file nor weights of {name}, which has "
                f"{', '.join(known.__members__)}.{did_you_mean(weights, known.__members__)}"
            )
    elif isinstance(weights, Enum):
        if not isinstance(weights, known):
            raise ValueError(f"{weights} is not for {name}; it has {', '.join(known.__members__)}.")
        chosen = weights
    elif weights is not None:
        from_file = True
    preset = chosen.transforms()
    stats = _HALVES if name in _OPTIONS else (list(preset.mean), list(preset.std))
    if from_file:
        return read_weights(cast(Any, weights)), stats, None
    with download_help(Path(chosen.url).name, hub_folder(), chosen.url):
        state = chosen.get_state_dict(
            progress=wants_bar(), check_hash=True, map_location="cpu", weights_only=True
        )
    return dict(state), stats, chosen


def _todays_names(model: Any, state: dict[str, Tensor], img_size: int | None) -> dict[str, Tensor]:
    """Return `state` as the present architecture wants it."""
    if isinstance(model, tv.DenseNet):
        # Its published files are from the time when a layer's name could hold a dot: norm.1.
        old = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.")
        return {old.sub(r"\1\2.", name): t for name, t in state.items()}
    if isinstance(model, tv.VisionTransformer) and img_size and "encoder.pos_embedding" in state:
        return dict(interpolate_embeddings(img_size, model.patch_size, cast(Any, state)))
    return state
