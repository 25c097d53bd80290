"""From what a user passes as parameters to the parameter groups that torch.optim takes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from torch import Tensor, nn

from presize.core.layers import is_norm

Params: TypeAlias = Iterable[Tensor] | Iterable[Iterable[Tensor]] | Iterable[dict[str, Any]]
"""Tensors, or a list of them for each layer group, or torch parameter groups."""


def as_param_groups(params: Params, who: str) -> list[dict[str, Any]]:
    """Return torch parameter groups, each with the number of its "layer_group".

    Args:
        params: tensors (one group), a list of tensors for each layer group, or torch parameter
            groups (each a layer group of its own unless it says otherwise).
        who: the optimizer's name, for errors.

    Raises:
        TypeError: `params` is a model, or holds something else.
        ValueError: there is nothing in it.
    """
    if isinstance(params, nn.Module):
        raise TypeError(
            f"{who} takes parameters, but got a model ({type(params).__name__}). "
            f"Write {who}(model.parameters(), lr)."
        )
    if isinstance(params, Tensor):
        params = [params]
    items: list[Any] = list(params)
    if not items:
        raise ValueError(
            f"{who} got no parameters. Does the model have any? A generator such as "
            "model.parameters() can be read once only."
        )
    if all(isinstance(item, Tensor) for item in items):
        return [{"params": items, "layer_group": 0}]
    groups: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        if isinstance(item, dict):
            members = _tensors(item["params"], who)
            groups.append({"layer_group": number, **item, "params": members})
        elif isinstance(item, Tensor) or not isinstance(item, Iterable):
            raise TypeError(
                f"{who} takes tensors, or a list of tensors for each layer group, but item "
                f"{number} is a {type(item).__name__} beside {type(items[0]).__name__}."
            )
        else:
            groups.append({"params": _tensors(item, who), "layer_group": number})
    return groups


def _tensors(members: object, who: str) -> list[Tensor]:
    if isinstance(members, Tensor):
        return [members]
    if isinstance(members, nn.Module):
        return list(members.parameters())
    found: list[Any] = list(members) if isinstance(members, Iterable) else [members]
    for member in found:
        if not isinstance(member, Tensor):
            raise TypeError(
                f"A layer group given to {who} holds a {type(member).__name__}; it should hold "
                "the parameters, as in [list(body.parameters()), list(head.parameters())]."
            )
    return found


def _norms_and_biases(model: nn.Module) -> Iterator[nn.Parameter]:
    for module in model.modules():
        norm = is_norm(module)
        for name, param in module.named_parameters(recurse=False):
            if norm or name == "bias" or name.endswith("_bias"):
                yield param


def param_groups_for(
    model: nn.Module, groups: Sequence[Iterable[nn.Parameter]], wd_bn_bias: bool = False
) -> list[dict[str, Any]]:
    """Return torch parameter groups for the layer groups of a model.

    Each layer group becomes up to two: one that decays, and one with "decays": False for norms
    and biases, which weight decay would only harm. A parameter that is in several layer groups
    (tied weights) stays in the first. Frozen parameters are kept, so that unfreezing needs no
    new optimizer; PyTorch passes over them.

    Args:
        model: where norms and biases are looked up.
        groups: the parameters of each layer group, input side first, as a splitter returns them.
        wd_bn_bias: True lets weight decay work on norms and biases too.

    Raises:
        ValueError: there is no parameter at all.
    """
    spared = set() if wd_bn_bias else {id(param) for param in _norms_and_biases(model)}
    seen: set[int] = set()
    made: list[dict[str, Any]] = []
    for number, group in enumerate(groups):
        decaying: list[nn.Parameter] = []
        steady: list[nn.Parameter] = []
        for param in group:
            if id(param) not in seen:
                (steady if id(param) in spared else decaying).append(param)
                seen.add(id(param))
        if decaying or not steady:
            made.append({"params": decaying, "layer_group": number, "decays": True})
        if steady:
            made.append(
                {"params": steady, "layer_group": number, "decays": False, "weight_decay": 0.0}
            )
    if not seen:
        raise ValueError(
            f"{type(model).__name__} has no parameters to train, or the splitter returned none."
        )
    return made
