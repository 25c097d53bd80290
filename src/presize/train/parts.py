"""Weights of which each process has but a part."""

from typing import Any

from torch import Tensor


def lies_in_parts(t: Tensor) -> bool:
    """Say whether a tensor is a DTensor, as FSDP makes of the weights.

    By what it can do: PyTorch's module of them takes a second to import, and is not in all builds.
    """
    return hasattr(t, "to_local")


def own_parts(tensors: list[Tensor]) -> list[Tensor]:
    """Return the part that this process has of each, in the same memory; whole ones as they are.

    Few kernels for several tensors know DTensors, and none of them beside whole tensors. What is
    done element by element needs the own part only. Without gradients.
    """
    found: list[Any] = list(tensors)
    return [t.to_local() if lies_in_parts(t) else t for t in found]
