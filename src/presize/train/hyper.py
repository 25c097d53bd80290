"""Read and set an optimizer's rates by one set of names, one value for each layer group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from presize.core.errors import did_you_mean

# hyper name -> where torch's groups may keep it: (key, position in a tuple or None)
_PLACES: dict[str, tuple[tuple[str, int | None], ...]] = {
    "lr": (("lr", None),),
    "mom": (("momentum", None), ("betas", 0)),
    "sqr_mom": (("betas", 1), ("alpha", None)),
    "wd": (("wd", None), ("weight_decay", None)),
    "eps": (("eps", None),),
}


def hyper_names(opt: Optimizer) -> list[str]:
    """Return which of lr, mom, sqr_mom, wd and eps this optimizer has."""
    group = opt.param_groups[0]
    return [name for name in _PLACES if _place(group, name) is not None]


def has_momentum(opt: Optimizer) -> bool:
    """Tell whether `opt` works with momentum: `SGD(params, lr)` does not, unless it was set.

    Schedules of `mom` leave such an optimizer alone rather than switch momentum on.
    """
    if "mom" not in hyper_names(opt):
        return False
    return any(group.get("momentum", 1.0) != 0 for group in opt.param_groups)


def n_layer_groups(opt: Optimizer) -> int:
    """Count the layer groups of an optimizer (each may be two parameter groups)."""
    return 1 + max(_layer(group, at) for at, group in enumerate(opt.param_groups))


def get_hyper(opt: Optimizer, name: str) -> list[float]:
    """Return the value of a hyper-parameter for each layer group, input side first.

    Weight decay is that of the parameters that decay.

    Raises:
        ValueError: the optimizer has no such hyper-parameter.
    """
    found: dict[int, float] = {}
    for at, group in enumerate(opt.param_groups):
        key, position = _place_or_error(opt, group, name)
        value = group[key] if position is None else group[key][position]
        layer = _layer(group, at)
        if layer not in found or not _spared(group, name):
            found[layer] = float(value)
    return [found[layer] for layer in sorted(found)]


def set_hyper(
    opt: Optimizer, name: str, values: float | Sequence[float] | NDArray[np.float64]
) -> None:
    """Set a hyper-parameter: one number for all, or one for each layer group.

    Args:
        opt: any torch optimizer.
        name: lr, mom (momentum or first beta), sqr_mom (second beta or alpha), wd or eps. `wd`
            leaves out norms and biases where `param_groups_for` set them apart.
        values: a number, or one for each layer group, input side first.

    Raises:
        ValueError: unknown name, or another number of values than layer groups.
    """
    if isinstance(values, int | float):
        for group in opt.param_groups:
            _set(opt, group, name, values)
        return
    listed = np.asarray(values, dtype=np.float64).tolist()
    if isinstance(listed, float):
        listed = [listed] * n_layer_groups(opt)
    if len(listed) != n_layer_groups(opt):
        raise ValueError(
            f"The optimizer has {n_layer_groups(opt)} layer group(s), but {len(listed)} value(s) "
            f"of `{name}` came: {listed}."
        )
    for at, group in enumerate(opt.param_groups):
        _set(opt, group, name, listed[_layer(group, at)])


def _set(opt: Optimizer, group: dict[str, Any], name: str, value: float) -> None:
    key, position = _place_or_error(opt, group, name)
    if _spared(group, name):
        return
    if position is not None:
        pair = list(group[key])
        pair[position] = value
        group[key] = tuple(pair)
    elif isinstance(group[key], Tensor):
        group[key].fill_(value)  # a captured graph reads the rate from this very tensor
    else:
        group[key] = value


def _spared(group: dict[str, Any], name: str) -> bool:
    return name == "wd" and not group.get("decays", True)


def _layer(group: dict[str, Any], at: int) -> int:
    return int(group.get("layer_group", at))


def _place(group: dict[str, Any], name: str) -> tuple[str, int | None] | None:
    for key, position in _PLACES.get(name, ()):
        if key in group:
            return key, position
    return None


def _place_or_error(opt: Optimizer, group: dict[str, Any], name: str) -> tuple[str, int | None]:
    place = _place(group, name)
    if place is None:
        names = hyper_names(opt)
        raise ValueError(
            f"{type(opt).__name__} has no hyper-parameter `{name}`.{did_you_mean(name, names)} "
            f"It has: {', '.join(names)}."
        )
    return place
