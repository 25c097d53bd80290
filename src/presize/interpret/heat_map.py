"""Where a model looks: a heat map over the picture for a class, for any network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from presize.core.errors import DataError, TrainingError, did_you_mean
from presize.interpret.heat_map_grad_cam import grad_cam, layer_named
from presize.interpret.heat_map_rollout import attends, rollout
from presize.models.feature_maps import MapLayers, find_map_layers
from presize.models.features import uncompiled

Method: TypeAlias = Literal["auto", "grad-cam", "rollout"]
METHODS: tuple[Method, ...] = get_args(Method)
_AT_ONCE = 16  # pictures in one pass: what is kept for the gradients stays small


def heat_maps(
    model: nn.Module,
    inputs: Tensor,
    classes: Tensor | None = None,
    *,
    method: Method = "auto",
    layer: str | nn.Module | None = None,
) -> Tensor:
    """Return what speaks for a class in each picture: float32 [m, H, W] from 0 to 1, on the CPU.

    By Grad-CAM (arXiv:1610.02391) at the last layer that gives maps, or, where the network is a
    transformer of equal tokens, by attention rollout (arXiv:2005.00928), which follows what the
    model looked at, whatever the class. The model stays as it is: its mode, gradients, hooks and
    what is frozen; one that is compiled or trains in half precision runs plainly in full.

    Args:
        model: gives scores [m, n_classes], such as `learn.model`.
        inputs: pictures as the model sees them, [m, C, H, W].
        classes: a class number for each picture, int [m]; None takes the predicted ones.
        method: "grad-cam", "rollout", or "auto" for the one that goes with the network.
        layer: for Grad-CAM, the layer whose maps are taken, or its name in the model; None finds
            the last one with maps of at least 4 x 4 positions.

    Raises:
        DataError: inputs or classes of another shape, or a class that the model has not.
        TrainingError: the model has no such maps or attention, or gives no scores.
        ValueError: an unknown method, or layer.
    """
    if method not in METHODS:
        raise ValueError(
            f"method is one of {', '.join(METHODS)}, but got {method!r}."
            f"{did_you_mean(str(method), METHODS)}"
        )
    if method == "rollout" and layer is not None:
        raise ValueError("layer= is for Grad-CAM: rollout takes all layers. Leave one of them out.")
    if inputs.ndim != 4:
        raise DataError(
            f"Heat maps are made of pictures [m, C, H, W], but got {list(inputs.shape)}."
        )
    with plainly(model):
        like = next(model.parameters(), inputs)
        x = inputs.detach().clone().to(like.device, like.dtype)
        if not len(x):
            return torch.zeros(0, *x.shape[2:])
        chosen = _classes(model, x, classes)
        make = _maker(model, x[:1], method, layer)
        maps = torch.cat(
            [make(a, b) for a, b in zip(x.split(_AT_ONCE), chosen.split(_AT_ONCE), strict=True)]
        )
        # Each position stands for an equal part of the picture. By the windows of its convolutions
        # it lies up to half a position nearer to the upper left corner; measured on 30 photos and
        # their mirror images (MobileNetV2, 224 pixels), maps lie 5 pixels off with either rule.
        size = (x.shape[2], x.shape[3])
        grown = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        return _stretched(grown).cpu()


def _maker(
    model: nn.Module, picture: Tensor, method: Method, layer: str | nn.Module | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what makes the maps [m, h, w] of pictures and classes."""
    if layer is not None:
        at = layer_named(model, layer, picture)
        return partial(grad_cam, model, at)
    found = find_map_layers(model, picture)
    if method != "grad-cam" and found is not None and attends(model, found, picture):
        return partial(rollout, model, found)
    if method == "rollout" or found is None or found.best is None:
        raise _no_way(model, method, found)
    return partial(grad_cam, model, found.best)


def _no_way(model: nn.Module, method: Method, found: MapLayers | None) -> TrainingError:
    name = type(model).__name__
    if method == "rollout":
        return TrainingError(
            f"{name} has no attention between all positions of a picture in all of its layers, "
            'which rollout follows. Use method="grad-cam" or "auto".'
        )
    if found is not None:
        return TrainingError(
            f"The scores of {name} do not depend on its maps, the last of them those of the layer "
            f"`{found.last.name}`, in a way that gradients follow. Pass layer=, another layer of "
            "the model or its name."
        )
    return TrainingError(
        f"{name} has no layer that gives maps of a picture, [m, C, h, w], [m, h, w, C] or tokens "
        "[m, h*w, C], of more than one position. Where it has one all the same, pass layer=, the "
        f"layer or its name: {_some_names(model)}."
    )


def _some_names(model: nn.Module) -> str:
    names = [name for name, _ in model.named_modules() if name]
    return ", ".join(names[-6:]) or "it has none"


@contextmanager
def plainly(model: nn.Module) -> Iterator[None]:
    """Run `model` in eval mode, full precision and uncompiled inside a `with` block.

    Its modes are put back afterwards; no gradients are kept unless asked for inside.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters(), torch.empty(0)).device.type
    try:
        model.eval()
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast(device, enabled=False),
            uncompiled(),
        ):
            yield
    finally:
        for module, training in modes:
            module.training = training


def _classes(model: nn.Module, x: Tensor, classes: Tensor | None) -> Tensor:
    """Return the class of each picture on its device, checked: int64 [m]."""
    scores = _scores(model, x[:1])
    n = scores.shape[1]
    if classes is None:
        return torch.cat([_scores(model, part).argmax(1) for part in x.split(_AT_ONCE)])
    chosen = torch.as_tensor(classes)
    if chosen.shape != (len(x),) or chosen.is_floating_point():
        raise DataError(
            f"Heat maps of {len(x)} pictures want as many class numbers, but got {chosen.dtype} "
            f"{list(chosen.shape)}."
        )
    if bool(((chosen < 0) | (chosen >= n)).any()):
        raise DataError(
            f"The model has the classes 0 to {n - 1}, but got {chosen.min()} to {chosen.max()}."
        )
    return chosen.to(x.device, torch.int64)


def _scores(model: nn.Module, x: Tensor) -> Tensor:
    scores = model(x)
    if isinstance(scores, Tensor) and scores.ndim == 2 and len(scores) == len(x):
        return scores
    got = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    raise TrainingError(
        f"Heat maps are of a class: they need a model that gives scores [m, classes], but "
        f"{type(model).__name__} gives {got} for {len(x)} pictures."
    )


def _stretched(maps: Tensor) -> Tensor:
    """Return maps [m, h, w] with the highest value of each at 1; what is 0 all over stays so."""
    maps = maps.clamp_min(0)
    highest = maps.amax((1, 2), keepdim=True)
    return maps / highest.where(highest > 0, 1.0)
