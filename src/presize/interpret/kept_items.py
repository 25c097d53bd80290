"""Where the items of an interpretation are: in a loader, or in files; nothing is kept of them."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from presize.core.collections import L
from presize.core.device import map_tensors
from presize.core.errors import DataError
from presize.core.joining import concatenate
from presize.core.pixels import as_pixels, gray_range
from presize.data.images import PILImage
from presize.data.labels import ColReader
from presize.data.namedbytes import NamedBytes
from presize.data.rows import row as row_of
from presize.data.stream.itemstream import stream_of

SPLITS = {0: "train", 1: "valid"}


class Items:
    """The items that the rows of an interpretation are of; read again each time they are shown.

    Args:
        indices: the index in the data set of each row, int64 [n].
        dl: the loader, in the order of its data set; None if there are files alone.
        files: the file of each row; None looks them up in the loader's data set.
        split: what the data set is called where an item is no file.
    """

    def __init__(
        self,
        indices: Tensor,
        *,
        dl: Any = None,
        files: Sequence[str] | None = None,
        split: str = "valid",
    ) -> None:
        self.indices, self.dl, self.split = indices, dl, split
        self._files = None if files is None else list(files)

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def paths(self) -> list[str | None]:
        """The file of each row, or None where an item is none."""
        if self._files is not None:
            named = self._names()  # so they are saved, too, where there are no files
            pairs = zip(self._files, named, strict=True)
            return [None if file == name else file for file, name in pairs]
        if self.dl is None or not _is_straight(self.dl):
            return [None] * len(self)
        return list(_paths(getattr(self.dl, "dataset", None), self.indices.tolist()))

    @cached_property
    def files(self) -> list[str]:
        """The file of each row; "number i of valid" where an item is none."""
        if self._files is not None:
            return self._files
        if self.dl is None:
            return self._names()
        pairs = zip(self.paths, self._names(), strict=True)
        return [name if path is None else path for path, name in pairs]

    def _names(self) -> list[str]:
        return [f"number {i} of {self.split}" for i in self.indices.tolist()]

    def batch(self, rows: Sequence[int]) -> tuple[Any, ...]:
        """Read the items of some rows again, as one batch of the loader.

        Raises:
            DataError: there is no loader, or its items come in another order each time.
        """
        wanted = [int(self.indices[row]) for row in rows]
        if self.dl is None:
            raise DataError(
                "The items cannot be read as the model sees them: these predictions were read from "
                "a file, or made of arrays. Load them with the learner that made them: "
                "load(path, learn=learn)."
            )
        if hasattr(self.dl, "batch_of"):
            batch = self.dl.batch_of(wanted)
        else:
            batch = _walked(self.dl, wanted)
        return tuple(batch) if isinstance(batch, tuple | list) else (batch,)

    @property
    def n_inp(self) -> int:
        """How many elements of a batch are inputs."""
        return int(getattr(self.dl, "n_inp", 1))

    def inputs(self, rows: Sequence[int]) -> Tensor:
        """Return the inputs of some rows as the model sees them, on the loader's device.

        Raises:
            DataError: there is no loader, or inputs are no single tensor.
        """
        first = self.batch(rows)[: self.n_inp]
        if len(first) != 1 or not isinstance(first[0], Tensor):
            raise DataError(
                f"The model takes {len(first)} inputs for an item ({type(first[0]).__name__} "
                "first), which are no single tensor of pictures."
            )
        return first[0].as_subclass(Tensor)

    def picture(self, row: int) -> PIL.Image.Image:
        """Return the picture of a row in RGB: as the loader shows it, else as the file has it.

        Raises:
            DataError: the item is no picture, or there is neither loader nor file.
            ImageError: the file is gone or broken.
        """
        if self.dl is None:
            path = self.paths[row]
            if path is None:
                raise DataError(
                    f"There is no picture of {self.files[row]}: these predictions were read from a "
                    "file, or made of arrays, and the item is no file. Load them with the learner "
                    "that made them: load(path, learn=learn)."
                )
            opened: PIL.Image.Image = PILImage.create(path)
            return opened.convert("RGB")
        if hasattr(self.dl, "decode_batch"):
            value = self.dl.decode_batch(self.batch([row]), max_n=1)[0]
            return as_picture(value[0] if isinstance(value, tuple) else value)
        return as_picture(self.inputs([row])[0])


def as_picture(value: Any) -> PIL.Image.Image:
    """Return what is shown of an item as a PIL picture in RGB.

    Args:
        value: tensor, array or PIL picture; see `presize.core.pixels.as_pixels`. Fractions that
            are not between 0 and 1, as normalised inputs are, are spread over the whole range.

    Raises:
        DataError: it is no picture.
    """
    if isinstance(value, PIL.Image.Image):
        return value.convert("RGB")
    try:
        pixels = as_pixels(_within_range(value))
    except (TypeError, ValueError) as error:
        raise DataError(f"The items are no pictures that can be shown: {error}") from error
    if pixels.ndim == 2:
        pixels = _grays(pixels)
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255).round().astype(np.uint8)
    return PIL.Image.fromarray(pixels).convert("RGB")


def _within_range(value: Any) -> Any:
    """Return fractions below 0, which `as_pixels` would cut off, between 0 and 1."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.min() < 0:
        low, high = value.min(), value.max()
        return (value - low) / (high - low).clamp_min(1e-12)
    return value


def _grays(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    low, high = gray_range(pixels)
    values = pixels.astype(np.float32)
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    grays: np.ndarray[Any, Any] = ((values - low) / max(high - low, 1e-12)).clip(0, 1)
    return grays


def _paths(dataset: Any, indices: Sequence[int]) -> Iterator[str | None]:
    """Yield the file of each item, None where it is none."""
    if isinstance(dataset, torch.utils.data.Subset):
        yield from _paths(dataset.dataset, [dataset.indices[i] for i in indices])
        return
    items = _listed(dataset)
    if items is None:
        yield from (None for _ in indices)
        return
    tables = getattr(dataset, "tls", None)
    first = tables[0].tfms.fs[0] if tables and len(tables[0].tfms.fs) else None
    reader = getattr(first, "function", first)
    for i in indices:
        try:
            item = tables[0].item(i) if tables else row_of(items, i)
            yield _path(reader(item) if isinstance(reader, ColReader) else item)
        except Exception:  # a name is a help, and no reason to fail
            yield None


def _listed(dataset: Any) -> Any:
    """Return the items of a data set, if they are listed: to ask for a sample may read a picture.

    Those of torchvision list theirs as `samples`.
    """
    if dataset is None or stream_of(dataset) is not None:  # to look up one is to read a shard
        return None
    if isinstance(dataset, list | tuple | L):
        return dataset
    found = getattr(dataset, "items", None)
    return getattr(dataset, "samples", None) if found is None or callable(found) else found


def _path(item: Any) -> str | None:
    if isinstance(item, NamedBytes):
        return item.name
    if isinstance(item, tuple | list) and item:  # (file, class), as torchvision lists them
        item = item[0]
    return os.fspath(item) if isinstance(item, str | os.PathLike) else None


def _walked(dl: Any, wanted: Sequence[int]) -> Any:
    """Return the items at some places of a loader that is not ours, walking through it again."""
    if not _is_the_same_again(dl):
        raise DataError(
            f"The {type(dl).__name__} may give its items in another order each time, so that the "
            "item of a row cannot be found again. Make one with shuffle=False and no sampler."
        )
    places = {place: at for at, place in enumerate(wanted)}
    found: list[Any] = [None] * len(wanted)
    start, last = 0, max(wanted, default=-1)
    for batch in dl:
        n = _size(batch)
        for place in range(start, start + n):
            if place in places:
                found[places[place]] = map_tensors(partial(_one, place - start), batch)
        start += n
        if start > last:
            break
    found = [found[places[place]] for place in wanted]
    if any(one is None for one in found):
        raise DataError(
            f"The loader has only {start} items now, but item {last} of it is wanted. It is to "
            "give the same items each time."
        )
    return concatenate([tuple(one) if isinstance(one, list) else one for one in found])


def _one(at: int, values: Tensor) -> Tensor:
    return values[at : at + 1]


def _is_straight(dl: Any) -> bool:
    """Return whether the items come in the order of the data set."""
    if not isinstance(dl, torch.utils.data.DataLoader):
        return True
    return isinstance(_sampler(dl), torch.utils.data.SequentialSampler)


def _is_the_same_again(dl: Any) -> bool:
    """Return whether the items come in one order each time, as far as can be known."""
    if _is_straight(dl) or isinstance(dl.dataset, torch.utils.data.IterableDataset):
        return True
    return isinstance(_sampler(dl), list | tuple | range)


def _sampler(dl: Any) -> Any:
    """Return what gives the order of PyTorch's loader."""
    return dl.sampler if dl.batch_sampler is None else getattr(dl.batch_sampler, "sampler", None)


def _size(batch: Any) -> int:
    first = batch[0] if isinstance(batch, tuple | list) else batch
    return len(first)
