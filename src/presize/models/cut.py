"""Cut a user's own model into a body: the layers before its classifier."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from presize.models.body import Cut, blank_picture, evaluating

SIDES = (64, 224, 28, 32, 96, 128, 256, 299, 384, 512)
"""Picture sides that are tried in turn on a model that may take one alone."""

# What stands behind a body: layers that these are the only kinds of.
_HEAD_LAYERS = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Linear,
    nn.Dropout,
    nn.BatchNorm1d,
    nn.ReLU,
    nn.Identity,
    nn.Softmax,
    nn.LogSoftmax,
)


def _is_head(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Sequential):
        return all(_is_head(part) for part in layer)
    return isinstance(layer, _HEAD_LAYERS)


def cut_custom(model: nn.Module, cut: Cut, *, n_in: int, side: int) -> nn.Module:
    """Return the body of a user's own `model`.

    Args:
        model: any classifier; it may be changed in place.
        cut: how many of its child layers to keep, or a function from the model to the body. None
            drops the pooling and linear layers at the end; where the model's forward does more
            than call its children in order, it stays whole and only its last linear layer goes.
        n_in: channels of a picture.
        side: a side that the model can take.

    Raises:
        ValueError: nothing is left of the model, or its end is not known.
    """
    if callable(cut):
        return cut(model)
    children = list(model.children())
    if cut is not None:
        return _first_children(model, children, cut, n_in, side)
    keep = len(children)
    while keep and _is_head(children[keep - 1]):
        keep -= 1
    if 0 < keep < len(children) and _runs_in_order(model, children[:keep], n_in, side):
        return nn.Sequential(*children[:keep])
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise ValueError(
            f"Cannot tell where {type(model).__name__} ends: it has no linear layer. Pass cut=, "
            "the number of child layers to keep, or a function from the model to its body."
        )
    parent, _, last = linear[-1].rpartition(".")
    model.get_submodule(parent).register_module(last, nn.Identity())
    return model


def _first_children(
    model: nn.Module, children: Sequence[nn.Module], cut: int, n_in: int, side: int
) -> nn.Module:
    kept = list(children[:cut])
    if not kept:
        raise ValueError(
            f"cut={cut} leaves nothing: {type(model).__name__} has {len(children)} child layers."
        )
    if not _runs_in_order(model, kept, n_in, side):
        raise ValueError(
            f"cut={cut} keeps child layers and calls them in order, but the forward of "
            f"{type(model).__name__} does something else as well (an activation, a skip). Pass "
            "cut=, a function from the model to its body; or no cut, to leave the model whole."
        )
    return nn.Sequential(*kept)


def _runs_in_order(model: nn.Module, children: Sequence[nn.Module], n_in: int, side: int) -> bool:
    """Return whether calling `children` in turn gives what the last of them gives in `model`."""
    if isinstance(model, nn.Sequential):
        return True
    seen: list[Tensor] = []
    handle = children[-1].register_forward_hook(lambda _m, _i, out: seen.append(out))
    x = blank_picture(model, n_in, side)
    x = x + torch.linspace(-1, 1, side, device=x.device, dtype=x.dtype)
    try:
        with evaluating(model):
            model(x)
            handle.remove()
            return len(seen) == 1 and torch.allclose(nn.Sequential(*children)(x), seen[0])
    except Exception:  # whatever a user's forward raises on it: not in order, then
        return False
    finally:
        handle.remove()


def working_side(model: nn.Module, n_in: int, sides: Sequence[int] = SIDES) -> int:
    """Return the first of `sides` at which `model` can look at a picture.

    Raises:
        ValueError: it fails at all of them; the text is the model's own.
    """
    error: Exception | None = None
    for side in sides:
        try:
            with evaluating(model):
                model(blank_picture(model, n_in, side))
            return side
        except Exception as e:
            error = error or e
    raise ValueError(
        f"{type(model).__name__} fails on pictures of {n_in} channels and any of {list(sides)} "
        f"pixels: {error}"
    ) from error
