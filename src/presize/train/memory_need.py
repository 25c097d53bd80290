"""How large a batch may be: a search where running out is an error, an estimate where it is not."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def largest(fits: Callable[[int], bool], start: int, limit: int) -> int:
    """Return the largest size up to `limit` that fits, to a sixteenth; 0 if not even 1 does.

    It doubles from `start` until a size does not fit (or halves until one does), and then halves
    the gap between the two.

    Args:
        fits: tries a size. What is larger than a size that does not fit is not tried.
        start: the first size.
        limit: the last one.
    """
    good, bad = 0, limit + 1
    size = min(start, limit)
    while good < size < bad:
        if fits(size):
            good, size = size, min(2 * size, limit)
        else:
            bad, size = size, size // 2
    while bad - good > max(good // 16, 1):
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good


class SavedBytes:
    """Counts, inside a `with` block, the memory that a forward pass keeps for its backward.

    Tensors that share their memory count once; the weights and buffers of `model` do not.
    """

    def __init__(self, model: nn.Module) -> None:
        self._known = {_place(t) for t in (*model.parameters(), *model.buffers())}
        self._sizes: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._note, lambda t: t)

    @property
    def total(self) -> int:
        """All bytes that were kept."""
        return sum(self._sizes.values())

    @property
    def most(self) -> int:
        """The bytes of the largest piece."""
        return max(self._sizes.values(), default=0)

    def _note(self, value: Tensor) -> Tensor:
        # Kept tensors live as long as the graph does, so that no address comes up again.
        if (place := _place(value)) not in self._known:
            self._sizes[place] = value.untyped_storage().nbytes()
        return value

    def __enter__(self) -> "SavedBytes":
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)


def _place(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


def trained_bytes(model: nn.Module) -> int:
    """Return what gradients and the averages of an optimizer such as Adam take."""
    return 3 * sum(p.numel() * p.element_size() for p in model.parameters())
