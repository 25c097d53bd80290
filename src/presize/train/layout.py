"""The order of values in memory: channels last, which some networks and devices are faster with."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from presize.train.parts import lies_in_parts

# By model, the names of what `lay_out` has put in this order: a model may have come in it.
_LAID_OUT: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


def in_channels_last(x: Any) -> Any:
    """Return a batch of pictures [N,C,H,W] with its channels last in memory; all else as it is."""
    if isinstance(x, Tensor) and x.ndim == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return x


def lay_out(model: nn.Module, opt: Optimizer | None = None, *, channels_last: bool) -> None:
    """Put the weights of convolutions in this order, in place; shapes and values stay.

    Args:
        model: without `channels_last`, what was put in that order here gets its own one back, and
            what had it before keeps it.
        opt: its averages follow.
        channels_last: whether the channels come last.
    """
    kernels = {
        name: t for name, t in (*model.named_parameters(), *model.named_buffers()) if t.ndim == 4
    }
    if channels_last:
        form = torch.channels_last
        if not all(t.is_contiguous(memory_format=form) for t in kernels.values()):
            changed = {n for n, t in kernels.items() if t.stride() != _laid_out(t, form).stride()}
            _LAID_OUT.setdefault(model, set()).update(changed)
            _apply(model, [kernels[name] for name in changed], form)
    else:
        names = _LAID_OUT.pop(model, set())
        _apply(model, [t for n, t in kernels.items() if n in names], torch.contiguous_format)
    if opt is not None:
        follow_layout(opt)


def follow_layout(opt: Optimizer) -> None:
    """Give the gradients and averages of each weight the order in memory that the weight has.

    A fused step on a CPU goes through the memory of all of them at once and does not ask how each
    is laid out. They differ where a weight was laid out anew, or where they come from a file.
    """
    state: Any = getattr(opt, "state", {})
    for group in opt.param_groups:
        for weight in group["params"]:
            _follow(weight)
            averages = state.get(weight)
            if isinstance(averages, dict):
                for name, value in averages.items():
                    if _is_laid_out_otherwise(value, weight):
                        averages[name] = _like(value, weight)


def _apply(model: nn.Module, chosen: list[Tensor], form: torch.memory_format) -> None:
    if not chosen:
        return
    ids = set(map(id, chosen))
    # As `Module.to` does it; that one would take all tensors, and refuses those of five axes.
    model._apply(lambda t: _laid_out(t, form) if id(t) in ids else t)
    for weight in model.parameters():
        _follow(weight)


def _laid_out(t: Tensor, form: torch.memory_format) -> Tensor:
    return t.to(memory_format=form)


def _follow(weight: Tensor) -> None:
    if weight.grad is not None and _is_laid_out_otherwise(weight.grad, weight):
        weight.grad.data = _like(weight.grad, weight)


def _is_laid_out_otherwise(value: Any, weight: Tensor) -> bool:
    return (
        isinstance(value, Tensor)
        and value.shape == weight.shape
        and value.layout == weight.layout == torch.strided
        and value.stride() != weight.stride()
        and not lies_in_parts(weight)
    )


def _like(value: Tensor, weight: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)
