"""Parameter groups of a model: splitting, freezing and checking them."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from presize.core.layers import is_norm

Groups = list[list[nn.Parameter]]
Splitter = Callable[[nn.Module], Groups]


def params(module: nn.Module) -> list[nn.Parameter]:
    """Return all parameters of `module`, trainable or not."""
    return list(module.parameters())


def trainable_params(model: nn.Module) -> Groups:
    """Split into one group, of all parameters that are not frozen: no layer is treated apart."""
    return [[p for p in model.parameters() if p.requires_grad]]


@dataclass(frozen=True)
class BodySplit:
    """Splits a `Sequential(body, head)` into early body | late body | head.

    Args:
        n_early: how many parameter tensors of the body, from its input on, are the early ones;
            None makes two groups, body | head.
    """

    n_early: int | None = None

    def __call__(self, model: nn.Module) -> Groups:
        """Return the groups of `model`, from its input to its output."""
        body, *head = _body_and_head(model)
        body_params = params(body)
        head_params = [p for part in head for p in params(part)]
        if self.n_early is None:
            return [body_params, head_params]
        return [body_params[: self.n_early], body_params[self.n_early :], head_params]


def default_split(model: nn.Module) -> Groups:
    """Split `model` the way it was made for, or else into its first layer | all others.

    A model of `create_vision_model` carries its own splitter: a resnet is body[:6] | body[6:] |
    head, and other bodies are parted alike, where their maps get to 1/16 of the picture.
    """
    own = getattr(model, "groups_splitter", None)
    return own(model) if isinstance(own, BodySplit) else BodySplit()(model)


def _body_and_head(model: nn.Module) -> list[nn.Module]:
    parts = list(model) if isinstance(model, nn.Sequential) else []
    if len(parts) < 2:
        raise ValueError(
            f"Cannot part {_name(model)} into body and head: that wants an nn.Sequential of both. "
            "Pass splitter=, a function from the model to a list of lists of parameters."
        )
    return parts


def norm_layers(model: nn.Module) -> list[nn.Module]:
    """Return the normalisation layers of `model`: batch, group, instance, layer and RMS norms."""
    return [m for m in model.modules() if is_norm(m)]


def norm_params(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights and biases of the normalisation layers of `model`."""
    return [p for layer in norm_layers(model) for p in layer.parameters(recurse=False)]


def is_norm_param(model: nn.Module, param: nn.Parameter) -> bool:
    """Return whether `param` belongs to a normalisation layer of `model`."""
    return any(p is param for p in norm_params(model))


def freeze_to(
    model: nn.Module, groups: Sequence[Sequence[nn.Parameter]], n: int, *, train_bn: bool = True
) -> None:
    """Freeze the first `n` groups and make all later ones trainable.

    Args:
        model: the model that the groups are of.
        groups: the parameters, from the input to the output.
        n: groups to freeze; a negative number counts from the end, so -1 leaves only the last.
        train_bn: keep the normalisation layers trainable in the frozen groups too.

    Raises:
        ValueError: `n` lies outside of [-len(groups), len(groups)].
    """
    if not -len(groups) <= n <= len(groups):
        raise ValueError(f"Cannot freeze to {n}: the model has {_count(len(groups), 'group')}.")
    n_frozen = n if n >= 0 else len(groups) + n
    if n_frozen and n_frozen == len(groups):
        warnings.warn(
            f"freeze_to({n}) freezes the whole model: nothing is left to learn.", stacklevel=2
        )
    kept = {id(p) for p in norm_params(model)} if train_bn else set()
    for i, group in enumerate(groups):
        for p in group:
            p.requires_grad_(i >= n_frozen or id(p) in kept)


def require_groups(groups: Sequence[Sequence[nn.Parameter]], action: str = "fine_tune") -> None:
    """Raise unless there are two groups or more: `action` freezes one and trains another.

    Raises:
        ValueError: fewer than two groups.
    """
    if len(groups) < 2:
        raise ValueError(
            f"{action} freezes all groups of parameters but the last, and this model has "
            f"{_count(len(groups), 'group')}, so there is nothing to freeze. Use vision_learner, "
            "whose models have groups; or pass splitter= to Learner, a function from the model to "
            "a list of groups; or train all of it at once with fit_one_cycle."
        )


def check_groups(model: nn.Module, groups: Sequence[Any]) -> None:
    """Check that each parameter of `model` is in exactly one group; frozen ones may be in none.

    Raises:
        TypeError: the groups are not lists of parameters.
        ValueError: a parameter is in no group, in several, or not of this model; it is named.
    """
    seen: dict[int, list[int]] = {}
    for i, group in enumerate(groups):
        if not isinstance(group, list | tuple) or not all(
            isinstance(p, nn.Parameter) for p in group
        ):
            raise TypeError(
                f"A splitter returns a list of lists of parameters; its group {i} holds something "
                "else. `params(module)` makes such a list of a layer."
            )
        for p in group:
            seen.setdefault(id(p), []).append(i)
    named = list(model.named_parameters())
    missed = [name for name, p in named if p.requires_grad and id(p) not in seen]
    if missed:
        raise ValueError(
            f"The splitter leaves out {_count(len(missed), 'parameter')}, which would never be "
            f"trained: {_some(missed)}. Put each into one group."
        )
    doubled = [f"{n} (groups {seen[id(p)]})" for n, p in named if len(seen.get(id(p), ())) > 1]
    if doubled:
        raise ValueError(
            f"The splitter puts {_count(len(doubled), 'parameter')} into more than one place: "
            f"{_some(doubled)}. Put each into one group."
        )
    foreign = set(seen) - {id(p) for _, p in named}
    if foreign:
        where = sorted({i for key in foreign for i in seen[key]})
        raise ValueError(
            f"The splitter returns {_count(len(foreign), 'parameter')} that {_name(model)} does "
            f"not have, in groups {where}: does it split another model?"
        )


def _some(names: Sequence[str], n: int = 5) -> str:
    return ", ".join(_shown(names, n))


def _shown(names: Sequence[str], n: int) -> Iterator[str]:
    yield from names[:n]
    if len(names) > n:
        yield f"... and {len(names) - n} more"


def _count(n: int, what: str) -> str:
    return f"{n if n else 'no'} {what}{'' if n == 1 else 's'}"


def _name(model: nn.Module) -> str:
    return type(model).__name__
