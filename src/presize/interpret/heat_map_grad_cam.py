"""Grad-CAM: the maps of a layer, each weighted by what the score of a class gains from it.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", arXiv:1610.02391. With A_k the maps and y the score of the class,

    a_k = mean over positions of dy / dA_k,        L = relu(sum over k of a_k A_k).
"""

from typing import Any

import torch
from torch import Tensor, nn

from presize.core.errors import TrainingError, did_you_mean
from presize.models.feature_maps import MapLayer, map_layer_named


def grad_cam(model: nn.Module, at: MapLayer, x: Tensor, classes: Tensor) -> Tensor:
    """Return the maps of pictures for their classes, not scaled: float32 [m, h, w].

    Gradients are recorded from the layer on alone, so they cost little, and it does not matter
    whether the layers before are frozen.
    """
    kept: list[Tensor] = []
    calls = 0

    def begin(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls != at.call + 1:
            return None
        # From here on, until the block below ends.
        torch.set_grad_enabled(True)
        kept.append(output.detach().requires_grad_())
        return kept[0].clone()  # a layer that works in place may come next

    handle = at.module.register_forward_hook(begin)
    try:
        with torch.no_grad():
            scores = model(x)
            picked = scores.gather(1, classes[:, None]).sum()
            if not picked.requires_grad:
                raise TrainingError(
                    f"The scores of {type(model).__name__} do not depend on the layer "
                    f"`{at.name}` in a way that gradients follow. Pass another one, layer=."
                )
            (slope,) = torch.autograd.grad(picked, kept)
    finally:
        handle.remove()
    maps = at.layout.maps(kept[0].detach()).float()
    weights = at.layout.maps(slope).float().mean((2, 3))
    return torch.einsum("nc,nchw->nhw", weights, maps).relu()


def layer_named(model: nn.Module, layer: str | nn.Module, picture: Tensor) -> MapLayer:
    """Return a layer that the user has chosen, by itself or by its name.

    Raises:
        ValueError: the model has no such layer, or it gives no maps.
    """
    names = {name: module for name, module in model.named_modules() if name}
    if isinstance(layer, nn.Module):
        name = next((name for name, module in names.items() if module is layer), None)
    else:
        name = layer if layer in names else None
    if name is None:
        asked = layer if isinstance(layer, str) else type(layer).__name__
        close = did_you_mean(asked, names) if isinstance(layer, str) else ""
        raise ValueError(f"{type(model).__name__} has no layer `{asked}`.{close}")
    found = map_layer_named(model, name, picture)
    if found is None:
        raise ValueError(
            f"The layer `{name}` of {type(model).__name__} gives no maps, [m, C, h, w], "
            "[m, h, w, C] or tokens [m, h*w, C], of more than one position, or is not called. "
            "Pass another one, layer=."
        )
    return found
