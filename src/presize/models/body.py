"""Bodies: an architecture without its classifier, fitted to the picture and measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from presize.models.weights import adapt_input, load_body

Source = Literal["torchvision", "timm", "custom"]
Stats = tuple[list[float], list[float]]
Cut = int | Callable[[nn.Module], nn.Module] | None
Early = int | None | Literal["measure"]
WeightsSource = None | str | Path | Enum | Mapping[str, Tensor]


@dataclass(frozen=True)
class BodyOptions:
    """What a caller of `create_vision_model` may ask of a body; the arguments are told there."""

    n_in: int = 3
    pretrained: bool = True
    weights: WeightsSource = None
    cut: Cut = None
    img_size: int | None = None
    drop_path_rate: float | None = None

    @property
    def where(self) -> str:
        """What the weights come from, in words for an error."""
        if self.weights is None:
            return "The pretrained checkpoint"
        named = isinstance(self.weights, str | Path | Enum)
        return f"weights={self.weights!s}" if named else "The mapping given as weights="


@dataclass(frozen=True)
class Backbone:
    """An architecture without its classifier, and what is known of it.

    Args:
        body: gives [N, C, H, W], or pooled features [N, C].
        source: whose architecture it is.
        name: what it is called there.
        stats: mean and std that its pretrained weights want for each channel, or None.
        n_early: parameters of the body (counted from the input) that form its first group, where
            the architecture tells it; "measure" finds where the maps get to 1/16 of the picture.
        side: a picture side that it can take, in pixels.
        img_size: the side that it was made for, where it takes no other.
        pretrained: its weights are not random.
    """

    body: nn.Module
    source: Source
    name: str
    stats: Stats | None = None
    n_early: Early = "measure"
    side: int = 64
    img_size: int | None = None
    pretrained: bool = False


class ToNCHW(nn.Module):
    """Move the channels of [N, H, W, C] to the front."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C, H, W]."""
        return x.permute(0, 3, 1, 2)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run without gradients and in eval mode; each module's own mode is put back afterwards."""
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def blank_picture(model: nn.Module, n_in: int, side: int) -> Tensor:
    """Return zeros [1, n_in, side, side] in the type and on the device of `model`."""
    like = next(model.parameters(), torch.empty(0))
    return torch.zeros(1, n_in, side, side, device=like.device, dtype=like.dtype)


def output_shape(body: nn.Module, n_in: int, side: int) -> tuple[int, ...]:
    """Return the shape that `body` makes of one picture of `side` pixels.

    Raises:
        ValueError: the body fails, or its output is neither [N, C, H, W] nor [N, C].
    """
    try:
        with evaluating(body):
            out = body(blank_picture(body, n_in, side))
    except Exception as e:
        raise ValueError(
            f"The body fails on a picture of {n_in} channels and {side}x{side} pixels: {e}"
        ) from e
    if not isinstance(out, Tensor) or out.ndim not in (2, 4):
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f"A body gives maps [N, C, H, W] or pooled features [N, C], but this gives {got}. "
            "Pass cut=, a function from the model to its body."
        )
    return tuple(out.shape)


def measure_early(body: nn.Module, n_in: int, side: int) -> int | None:
    """Count the parameters before the maps get to 1/16 of the picture: a resnet's body[:6].

    None where that parts nothing, or `body` is not a plain sequence of layers.
    """
    if not isinstance(body, nn.Sequential):
        return None
    total, early = len(list(body.parameters())), 0
    with evaluating(body):
        x = blank_picture(body, n_in, side)
        for layer in body:
            x = layer(x)
            if x.ndim != 4:
                return None
            # The smaller of the last two is a side in [N, H, W, C] too: channels outnumber it.
            if min(x.shape[-2:]) * 16 <= side:
                break
            early += len(list(layer.parameters()))
    return early if 0 < early < total else None


def fit_input(model: nn.Module, n_in: int) -> str | None:
    """Make the first convolution take `n_in` channels; return its weight's name.

    Raises:
        ValueError: the first layer is no convolution over all of 3 channels.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            break
        if isinstance(layer, nn.Conv2d):
            if layer.in_channels == n_in:
                return f"{name}.weight"
            if layer.in_channels != 3 or layer.groups != 1:
                break
            weight = adapt_input(layer.weight.detach(), n_in)
            layer.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
            layer.in_channels = n_in
            return f"{name}.weight"
    if n_in == 3:
        return None
    raise ValueError(
        f"n_in={n_in}: {type(model).__name__} does not begin with a convolution of 3 channels, so "
        "it cannot be fitted. Pass an architecture that takes that many channels itself."
    )


def cut_and_load(
    model: nn.Module,
    cut: Callable[[nn.Module], nn.Module],
    state: Mapping[str, Tensor] | None,
    *,
    where: str,
    input_key: str | None = None,
    classifier: Sequence[str] = (),
) -> nn.Module:
    """Return the body of `model`, with `state` loaded into it if given.

    Args:
        model: the whole architecture.
        cut: makes the body of it.
        state: tensors under the names that they have in `model`.
        where: what `state` comes from, for the error.
        input_key: the weight that takes files for another number of channels.
        classifier: names of parts of a classifier that `model` has not.

    Raises:
        WeightsError: `state` is of another architecture.
    """
    before = list(model.state_dict())
    body = cut(model)
    if state is not None:
        inside = {id(t) for t in body.state_dict(keep_vars=True).values()}
        now = model.state_dict(keep_vars=True)
        needed = [name for name, t in now.items() if id(t) in inside]
        dropped = {*before, *classifier}.difference(needed)
        load_body(model, state, needed=needed, dropped=dropped, input_key=input_key, where=where)
    return body


def params_until(body: nn.Module, layer: str) -> int | None:
    """Count the parameters of `body` in the order of its layers, up to `layer` and all within it.

    None where there is no such layer, or all are counted.
    """
    names = [name for name, _ in body.named_modules()]
    inside = [i for i, name in enumerate(names) if f"{name}.".startswith(f"{layer}.")]
    if not layer or not inside:
        return None
    early = list(body.modules())[: inside[-1] + 1]
    count = len({id(p) for m in early for p in m.parameters(recurse=False)})
    return count if 0 < count < len(list(body.parameters())) else None
