"""Numbers as targets."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.core.foundation import tensor
from presize.core.transform import ItemTransform
from presize.core.types import JSON
from presize.data.blame import brief, named_errors
from presize.tensors import TitledFloat, TitledTuple


class RegressionSetup(ItemTransform):
    """Turn a number, or a list of numbers, into a float32 tensor, and back.

    Args:
        c: how many numbers there are per item; by default as many as the first item has.

    Raises:
        DataError: (when called) a target that is no number, is missing, or is another count.
    """

    shown_attributes: ClassVar[tuple[str, ...]] = ("c",)

    def __init__(self, c: int | None = None) -> None:
        super().__init__()
        self.c = c

    def setups(self, items: Sequence[Any]) -> None:
        """Take the count from the first training item."""
        if self.c is None and len(items):
            self.c = to_floats(next(named_errors(items))).numel()

    def encodes(self, x: Any) -> Tensor:
        """Return the target as float32, without dimensions for a single number."""
        values = to_floats(x)
        if self.c is not None and values.numel() != self.c:
            raise DataError(
                f"{self.c} number{'s' * (self.c != 1)} per item are expected as the target, but "
                f"`get_y` gave {values.numel()}: {brief(x)}. All items need the same count, which "
                "RegressionBlock(n_out=...) sets."
            )
        if not bool(values.isfinite().all()):
            raise DataError(
                f"The target {brief(x)} is missing or infinite: training on it would spoil the "
                "model. Leave such items out."
            )
        return values

    def decodes(self, x: Any) -> TitledFloat | TitledTuple:
        """Return the number or numbers, able to show themselves."""
        values: Any = torch.as_tensor(x).tolist()
        return TitledTuple(values) if isinstance(values, list) else TitledFloat(values)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again, set up."""
        return {"c": self.c}


def to_floats(x: Any) -> Tensor:
    """Return a target as a float32 tensor, or say why it cannot be one."""
    try:
        if isinstance(x, str):
            raise TypeError
        return tensor(x).as_subclass(Tensor).float()
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"A number, or a list of numbers, is expected as the target, but `get_y` gave "
            f"{brief(x)} ({type(x).__name__}). Use CategoryBlock for class names; turn texts into "
            "numbers with float(...)."
        ) from None
