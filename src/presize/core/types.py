"""The shapes of things that layers hand to each other, as types and protocols."""

from collections.abc import Iterator
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

Batch: TypeAlias = tuple[Any, ...]
"""Inputs first, then targets; each a tensor whose first axis is the sample, or a list."""

Size: TypeAlias = int | tuple[int, int]
"""A picture size in pixels: one number for a square, or (height, width)."""

Task: TypeAlias = Literal["classification", "multilabel", "regression", "segmentation", "points"]
"""What the targets are; the loss is chosen from it."""

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None


@runtime_checkable
class BatchSource(Protocol):
    """Anything that yields batches and knows how many: our loaders, PyTorch's, a list."""

    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


def hw(size: Size) -> tuple[int, int]:
    """Return (height, width) of a size given as one number or a pair.

    Raises:
        ValueError: not a positive number or a pair of them.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or any(int(side) != side or side < 1 for side in pair):
        raise ValueError(
            f"A picture size is one positive whole number, or (height, width), but got {size!r}."
        )
    return int(pair[0]), int(pair[1])
