"""Where tensors live: the default device, and moving nested batches while keeping their types."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_choice: list[bool] = []  # what the user asked for last; empty until then


def default_device(use: bool | None = None) -> torch.device:
    """Return the device to train on, and remember a choice.

    Args:
        use: True asks for an accelerator (CUDA, then MPS) and raises RuntimeError if there is
            none; False means the CPU; None leaves the last choice, which at first is "an
            accelerator if there is one".
    """
    if use is not None:
        _choice[:] = [use]
    if _choice == [False]:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    if _choice == [True]:
        raise RuntimeError(
            "default_device(True) asks for an accelerator, but PyTorch sees neither CUDA nor MPS "
            "here. Install a PyTorch build for your GPU, or call default_device(False)."
        )
    return torch.device("cpu")


def keep_type(result: Tensor, like: Tensor) -> Tensor:
    """Return `result` as the tensor type of `like` (a display type such as TensorImage)."""
    kind = type(like)
    if kind in (Tensor, nn.Parameter) or type(result) is kind:
        return result
    return result.as_subclass(kind)


def map_tensors(function: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """Apply `function` to every tensor in nested tuples, lists and mappings; keep the types."""
    if isinstance(batch, Tensor):
        return keep_type(function(batch), batch)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(function, item) for item in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(map_tensors(function, item) for item in batch)
    if isinstance(batch, Mapping):
        return {key: map_tensors(function, value) for key, value in batch.items()}
    return batch


def to_device(batch: Any, device: torch.device | str | None = None) -> Any:
    """Move every tensor of a nested batch to `device` (default: `default_device()`)."""
    target = default_device() if device is None else torch.device(device)
    if type(batch) is tuple and all(isinstance(t, Tensor) and t.device == target for t in batch):
        return batch  # as in most steps on a CPU
    # From pinned memory the copy overlaps the step; from pageable memory CUDA ignores the flag.
    return map_tensors(lambda t: t.to(target, non_blocking=t.is_pinned()), batch)


def to_cpu(batch: Any) -> Any:
    """Move every tensor of a nested batch to the CPU."""
    return map_tensors(lambda t: t.cpu(), batch)


def to_detach(batch: Any, *, cpu: bool = True) -> Any:
    """Detach every tensor of a nested batch, and move it to the CPU unless told not to."""
    return map_tensors(lambda t: t.detach().cpu() if cpu else t.detach(), batch)


def to_float(batch: Any) -> Any:
    """Turn every floating tensor of a nested batch into float32."""
    return map_tensors(lambda t: t.float() if t.is_floating_point() else t, batch)


def to_half(batch: Any) -> Any:
    """Turn every floating tensor of a nested batch into float16."""
    return map_tensors(lambda t: t.half() if t.is_floating_point() else t, batch)


def devices_of(batch: Any) -> set[torch.device]:
    """Return the devices of all tensors in a nested batch."""
    found: set[torch.device] = set()

    def note(tensor: Tensor) -> Tensor:
        found.add(tensor.device)
        return tensor

    map_tensors(note, batch)
    return found


def same_place(one: torch.device, other: torch.device) -> bool:
    """Say whether two devices are one; "cuda" without a number goes with any of them."""
    return one.type == other.type and (None in (one.index, other.index) or one.index == other.index)
