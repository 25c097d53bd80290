"""Transforms of torchvision as item transforms."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from presize.data.foreign import Drew, ForeignTransform
from presize.data.images import PILMask

_DRAWS: dict[Callable[..., Any], None] = dict.fromkeys(
    getattr(home, name)
    for home, names in (
        (torch, "rand randn randint randperm normal bernoulli multinomial poisson binomial"),
        (torch, "rand_like randn_like randint_like _sample_dirichlet"),
        (Tensor, "uniform_ normal_ bernoulli_ random_ exponential_ log_normal_ cauchy_"),
        (Tensor, "geometric_ bernoulli multinomial"),
    )
    for name in names.split()
)
# Whether these take a generator themselves depends on the version of PyTorch.
_BY_SHAPE = {torch.rand_like: torch.rand, torch.randn_like: torch.randn}
_V2 = "torchvision.transforms.v2"
_UNCOUNTED = ("RandomChoice", "RandomOrder")


class CountedDraws(TorchFunctionMode):
    """Let PyTorch's functions draw from a generator of their own, in this thread alone.

    PyTorch's global generator stays as it is: other threads, and the training, draw from it.

    Args:
        seed: of the generator; None: there is nothing to draw from, and a draw raises `Drew`.
    """

    def __init__(self, seed: int | None) -> None:
        super().__init__()
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch; one that draws is given the generator."""
        given = {} if kwargs is None else kwargs
        if func not in _DRAWS or given.get("generator") is not None:
            return func(*args, **given)
        if self.generator is None:
            raise Drew
        if func in _BY_SHAPE:
            like, func = args[0], _BY_SHAPE[func]
            given = {"dtype": like.dtype, "device": like.device, **given}
            args = (like.shape, *args[1:])
        return func(*args, **{**given, "generator": self.generator})


class TorchvisionTransform(ForeignTransform):
    """A transform of `torchvision.transforms.v2`, or of the older `torchvision.transforms`.

    Those of `v2` move masks with their picture.

    Args:
        transform: torchvision's, a `Compose` of several as well.
        split_idx: see `ForeignTransform`.
    """

    library = "torchvision"

    def __init__(self, transform: Any, split_idx: int | None = None) -> None:
        self._leaves = list(_leaves(transform))
        uncounted = [leaf for leaf in self._leaves if _is_old(leaf) and _name(leaf) in _UNCOUNTED]
        if uncounted:
            warnings.warn(
                f"torchvision.transforms.{_name(uncounted[0])} draws from Python's own `random`, "
                "so that batches differ with the number of workers. That of "
                "torchvision.transforms.v2 does the same, and its draws are counted.",
                stacklevel=2,
            )
        super().__init__(transform, split_idx)

    def call(self, picture: Image.Image, masks: list[PILMask], seed: int | None) -> list[Any]:
        """Return what torchvision makes of a picture and its masks; see `ForeignTransform`."""
        values: tuple[Any, ...] = (picture, *map(_as_mask, masks))
        with CountedDraws(seed):
            for leaf in self._leaves:
                if masks and _is_old(leaf):
                    raise TypeError(
                        f"torchvision.transforms.{_name(leaf)} takes a picture alone, and its "
                        f"mask would stay as it is: use torchvision.transforms.v2.{_name(leaf)}."
                    )
                try:
                    made = leaf(*values)
                except Drew:
                    continue  # it is for training
                values = made if masks else (made,)
        return list(values)


def _leaves(transform: Any) -> Iterator[Any]:
    """Yield the transforms that run one after the other."""
    if isinstance(transform, nn.Sequential):
        inner = list(transform)
    elif type(transform).__name__ == "Compose":
        inner = transform.transforms
    else:
        yield transform
        return
    for one in inner:
        yield from _leaves(one)


def _as_mask(mask: PILMask) -> Any:
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional

    return tv_tensors.Mask(functional.pil_to_tensor(mask)[0])


def _is_old(leaf: Any) -> bool:
    """Say whether it is of `torchvision.transforms`, which was there before `v2`."""
    return not any(base.__module__.startswith(_V2) for base in type(leaf).__mro__)


def _name(leaf: Any) -> str:
    return type(leaf).__name__
