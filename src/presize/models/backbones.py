"""Bodies of any architecture: by name from torchvision or timm, by function, or the user's own."""

import inspect
from collections.abc import Callable
from typing import Any, cast

from torch import nn

from presize.models.body import Backbone, BodyOptions, Source, cut_and_load, fit_input
from presize.models.cut import cut_custom, working_side
from presize.models.stochastic_depth import no_stochastic_depth
from presize.models.timm_bodies import PREFIX, timm_backbone, timm_name
from presize.models.torchvision_bodies import (
    TORCHVISION_NAMES,
    family_cut,
    is_torchvision,
    torchvision_backbone,
)
from presize.models.weights import read_weights

Arch = str | Callable[..., nn.Module] | nn.Module


def find_arch(arch: Arch) -> tuple[Source, str]:
    """Return whose architecture `arch` is, and its name there.

    A name is looked up in torchvision, then in timm; "timm/resnet18", or a tag as in
    "resnet18.a1_in1k", means timm's. Functions of both are known; any other is "custom".

    Raises:
        TypeError: neither a name nor callable.
        ValueError: a name of neither library; the nearest are told.
    """
    if isinstance(arch, str):
        if arch in TORCHVISION_NAMES:
            return "torchvision", arch
        return "timm", timm_name(arch, others=TORCHVISION_NAMES)
    if isinstance(arch, nn.Module):
        return "custom", type(arch).__name__
    if not callable(arch):
        raise TypeError(
            "An architecture is a function such as resnet34, a name such as 'convnext_tiny', or a "
            f"model, but got {arch!r}."
        )
    name = str(getattr(arch, "__name__", type(arch).__name__))
    if is_torchvision(arch):
        return "torchvision", name
    if not isinstance(arch, type) and str(getattr(arch, "__module__", "")).startswith("timm."):
        return "timm", timm_name(PREFIX + name)
    return "custom", name


def make_backbone(arch: Arch, options: BodyOptions) -> Backbone:
    """Build `arch` without its classifier, with pretrained, given or random weights.

    Raises:
        TypeError: `arch` is no architecture, or makes none.
        ValueError: an unknown name, or an option that does not go with `arch`.
        WeightsError: weights that are not there, or do not fit.
    """
    source, name = find_arch(arch)
    if source == "torchvision":
        return torchvision_backbone(name, options)
    if source == "timm":
        return timm_backbone(name, options)
    assert not isinstance(arch, str)
    return _custom_backbone(arch, name, options)


def _custom_backbone(
    arch: Callable[..., nn.Module] | nn.Module, name: str, options: BodyOptions
) -> Backbone:
    if options.img_size is not None:
        raise ValueError(f"img_size is for known architectures: make {name} for its size yourself.")
    if options.drop_path_rate is not None:
        raise no_stochastic_depth(name)
    state = None if options.weights is None else read_weights(cast(Any, options.weights))
    model = arch if isinstance(arch, nn.Module) else _call(arch, name, options)
    input_key = fit_input(model, options.n_in)
    known = family_cut(model) if options.cut is None else None
    sides: list[int] = []

    def cut(whole: nn.Module) -> nn.Module:
        if known is not None:
            return known(whole)
        sides.append(working_side(whole, options.n_in))
        return cut_custom(whole, options.cut, n_in=options.n_in, side=sides[0])

    body = cut_and_load(model, cut, state, where=options.where, input_key=input_key)
    trained = options.pretrained or state is not None
    return Backbone(body, "custom", name, side=(sides or [64])[0], pretrained=trained)


def _call(arch: Callable[..., nn.Module], name: str, options: BodyOptions) -> nn.Module:
    """Call the user's function; whether weights are pretrained is only known to it."""
    if options.pretrained and options.weights is None:
        if not _accepts(arch, "pretrained"):
            raise ValueError(
                f"{name} takes no `pretrained`, so its weights would be random: say so with "
                "pretrained=False, or give weights='path/to/file'."
            )
        model = arch(pretrained=True)
    else:
        model = arch(pretrained=False) if _accepts(arch, "pretrained") else arch()
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name}() should make an nn.Module, but made {type(model).__name__}.")
    return model


def _accepts(function: Callable[..., object], name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except ValueError:  # functions written in C tell no signature
        return False
