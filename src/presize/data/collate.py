"""Makes one batch of several samples: numbers and tensors are stacked, texts are listed."""

from collections.abc import Mapping, Sequence
from numbers import Number
from pathlib import PurePath
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from presize.core.device import keep_type
from presize.core.errors import DataError

_AS_THEY_ARE = (str, bytes, PurePath, type(None))
_SHOWN = 8


class CollateError(DataError):
    """Samples that do not fit together into one batch: `what` is wrong, and the `cure`."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}\n{cure}")
        self.what, self.cure = what, cure

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.cure)


def collate(samples: Sequence[Any], *, pin: bool = False) -> Any:
    """Return one batch of `samples`, which are all built alike.

    Tensors, arrays and numbers are stacked along a new first axis and keep the display type of
    the first sample; Python's floats become float32. Tuples, lists and dictionaries are collated
    element by element. Texts, paths and None stay what they are: a tuple of them inside a sample,
    a list where they are the samples.

    Args:
        samples: at least one.
        pin: put the tensors into page-locked memory, which a GPU copies from while it computes.

    Raises:
        CollateError: shapes or types differ, or a type cannot be collated.
    """
    if isinstance(samples[0], _AS_THEY_ARE):
        return list(samples)
    return _join(samples, (), pin)


def tensors_of(sample: Any) -> Any:
    """Return a single sample with its arrays as tensors, inside tuples and dictionaries too."""
    if isinstance(sample, np.ndarray):
        return torch.as_tensor(sample)
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*map(tensors_of, sample))
    if isinstance(sample, tuple | list):
        return type(sample)(map(tensors_of, sample))
    if isinstance(sample, Mapping):
        return {key: tensors_of(value) for key, value in sample.items()}
    return sample


def _join(parts: Sequence[Any], place: tuple[Any, ...], pin: bool) -> Any:
    """Collate what the samples have at `place`, the indices on the way to it."""
    first = parts[0]
    if isinstance(first, Tensor):
        return keep_type(_stack(parts, place, pin), first)
    if isinstance(first, np.ndarray):
        _check_types(parts, place, np.ndarray)
        return _stack([torch.as_tensor(part) for part in parts], place, pin)
    if isinstance(first, Number | np.generic):
        _check_types(parts, place, Number | np.generic)
        # By way of Python's numbers: NumPy's doubles become float32, as literals do.
        numbers = torch.tensor([p.item() if isinstance(p, np.generic) else p for p in parts])
        return numbers.pin_memory() if pin else numbers
    if isinstance(first, _AS_THEY_ARE):
        return tuple(parts)
    if isinstance(first, Mapping):
        _check_types(parts, place, Mapping)
        return {key: _join([p[key] for p in parts], (*place, key), pin) for key in first}
    if isinstance(first, tuple | list):
        return _join_members(parts, place, pin)
    raise _foreign(first, place)


def _join_members(parts: Sequence[Any], place: tuple[Any, ...], pin: bool) -> Any:
    first = parts[0]
    _check_types(parts, place, tuple | list)
    lengths = {len(part) for part in parts}
    if len(lengths) > 1:
        raise CollateError(
            f"Could not collate {_where(place)} because got the following numbers of members\n"
            f"{_listed(map(len, parts))}",
            "Each item has to give as many as every other.",
        )
    columns = zip(*parts, strict=True)
    joined = [_join(column, (*place, i), pin) for i, column in enumerate(columns)]
    if hasattr(first, "_fields"):
        return type(first)(*joined)
    return list(joined) if isinstance(first, list) else tuple(joined)


def _stack(parts: Sequence[Any], place: tuple[Any, ...], pin: bool) -> Tensor:
    try:
        if not pin:
            return torch.stack(list(parts))
        shape = (len(parts), *parts[0].shape)
        memory = torch.empty(shape, dtype=parts[0].dtype, pin_memory=True)
        # Plain tensors: a display type would be asked for its opinion about `out=`.
        return torch.stack([part.as_subclass(Tensor) for part in parts], out=memory)
    except (RuntimeError, TypeError, AttributeError) as error:
        _check_types(parts, place, Tensor)
        shapes = [part.shape for part in parts]
        if len(set(shapes)) == 1:
            dtypes = _listed(f"{part.dtype} on {part.device}" for part in parts)
            raise CollateError(
                f"Could not collate {_where(place)} because got the following kinds\n{dtypes}",
                f"Every item has to give the same kind of value ({error}).",
            ) from error
        raise CollateError(
            f"Could not collate {_where(place)} because got the following shapes\n"
            f"{_listed(shapes)}",
            _cure(shapes),
        ) from None


def _check_types(parts: Sequence[Any], place: tuple[Any, ...], kind: Any) -> None:
    if all(isinstance(part, kind) for part in parts):
        return
    raise CollateError(
        f"Could not collate {_where(place)} because got the following types\n"
        f"{_listed(type(part).__name__ for part in parts)}",
        "Every item has to give the same kind of value: look at the function or transform that "
        "makes it.",
    )


def _where(place: tuple[Any, ...]) -> str:
    if not place:
        return "your items"
    if len(place) == 1 and isinstance(place[0], int):
        return f"the {place[0]}-th members of your tuples"
    return "the members " + "".join(f"[{index!r}]" for index in place) + " of your samples"


def _listed(things: Any) -> str:
    """Return `things` with commas; of many only the first different ones."""
    texts = [str(thing) for thing in things]
    if len(texts) > _SHOWN:
        texts = [*list(dict.fromkeys(texts))[:_SHOWN], "..."]
    return ",".join(texts)


def _cure(shapes: Sequence[torch.Size]) -> str:
    if all(len(shape) == 3 for shape in shapes):
        if len({shape[1:] for shape in shapes}) == 1:
            return (
                "Some pictures have more channels than others: ImageBlock and PILImage.create "
                "make all of them RGB, ImageBlock(PILImageBW) makes all of them gray."
            )
        return "Bring all pictures to one size with a transform: item_tfms=Resize(224)."
    if all(len(shape) == 2 for shape in shapes):
        return "Bring all of them to one size: for masks, item_tfms=Resize(224)."
    return (
        "Targets and other values need one length in all items. Several labels for each item, as "
        "many as it has, are for MultiCategoryBlock."
    )


def _foreign(value: Any, place: tuple[Any, ...]) -> CollateError:
    kind = type(value).__name__
    what = f"Could not collate {_where(place)} because got the following types\n{kind}"
    if isinstance(value, PIL.Image.Image):
        return CollateError(
            what,
            "These are pictures, not tensors yet. Add `ToTensor` to the item transforms; "
            "ImageBlock does so by itself.",
        )
    return CollateError(
        what,
        "Batches are made of tensors, arrays, numbers and texts, and of tuples, lists and "
        "dictionaries of these. Turn the value into one of them with an item transform, or pass "
        "your own collate= function.",
    )
