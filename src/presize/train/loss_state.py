"""What `model.state_dict()` does not hold: the loss, and buffers that the model does not save."""

from typing import Any

import torch
from torch import Tensor, nn

from presize.core.errors import ModelFileError


def with_loss(model: nn.Module, loss_func: Any) -> nn.ModuleDict:
    """Return a model and its loss, if that is a module, as one; shared tensors are the model's."""
    parts = {"model": model}
    if isinstance(loss_func, nn.Module):
        parts["loss"] = loss_func
    return nn.ModuleDict(parts)


def unsaved_state(model: nn.Module, loss_func: Any) -> dict[str, Tensor]:
    """Return the buffers of the model that it does not save, and all tensors of the loss."""
    saved = {f"model.{name}" for name in model.state_dict()}
    both = with_loss(model, loss_func)
    weights = {n: p.detach() for n, p in both.named_parameters() if n.startswith("loss.")}
    return weights | {n: b.detach() for n, b in both.named_buffers() if n not in saved}


@torch.no_grad()
def restore_unsaved_state(model: nn.Module, loss_func: Any, tensors: dict[str, Tensor]) -> None:
    """Put back what `unsaved_state` returned, of a model and a loss that are made alike.

    Raises:
        ModelFileError: there is no place for it: it is of another loss or model.
    """
    both = with_loss(model, loss_func)
    place = next((t.device for t in (*both.parameters(), *both.buffers())), torch.device("cpu"))
    for name, value in tensors.items():
        owner_name, _, leaf = name.rpartition(".")
        try:
            owner = both.get_submodule(owner_name)
        except AttributeError:
            raise _of_another(name) from None
        own = owner._parameters.get(leaf, owner._buffers.get(leaf))
        if own is not None and own.shape == value.shape and 0 not in own.stride():
            own.copy_(value)  # in place: others hold it, such as an average
        elif leaf in owner._parameters:
            raise _of_another(name)
        elif leaf in owner._buffers:  # one that has been filled, or has grown, since it was made
            owner._buffers[leaf] = value.to(place, copy=True)
        else:
            owner.register_buffer(leaf, value.to(place, copy=True), persistent=False)


def _of_another(name: str) -> ModelFileError:
    kind, _, rest = name.partition(".")
    return ModelFileError(
        f"The checkpoint holds `{rest}` of another {kind} than this one. Make the learner as it "
        f"was made when the run began, with the same {kind}."
    )
