"""Where the pictures of a loader come from, if they are read as usual and only cut."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from presize.core.transform import Transform
from presize.data.caching.cache import PictureCache
from presize.data.crops import CropTransform, Shape
from presize.data.datasets import Datasets
from presize.data.images import PILBase, PILMask
from presize.data.reading import Decoded, read_pixels
from presize.data.samples import active
from presize.data.tensorise import ToTensor
from presize.render.warp import averaged
from presize.tensors import TensorImage, TensorImageBase, TensorImageBW, TensorPoint

if TYPE_CHECKING:
    from presize.data.datasets import TfmdLists
    from presize.data.loader import DataLoader


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Reads the picture of an item, and says how it is cut.

    Args:
        inputs: the items, and the transforms from an item to its picture.
        others: the same for everything else in a sample, such as its class.
        picture_class: what the last of these transforms makes.
        crops: the item transforms, which all cut.
        middle: whether cuts are in the middle, as in validation, else drawn.
        cache: where pictures are kept from one epoch to the next.
        parameters: says what is kept of a picture, for the cache.
    """

    inputs: "TfmdLists"
    others: "Sequence[TfmdLists]"
    picture_class: type[PILBase]
    crops: Sequence[CropTransform]
    middle: bool
    cache: PictureCache | None
    parameters: str

    @classmethod
    def of(cls, loader: "DataLoader") -> "PictureSource | None":
        """Return the source of a loader's pictures; None if it wants the general way."""
        found = _inputs(loader)
        crops = None if found is None else _crops(loader)
        if found is None or crops is None:
            return None
        inputs, others, kind = found
        return cls(
            inputs,
            others,
            kind,
            crops,
            loader.after_item.split_idx == 1,
            loader.cache,
            _parameters(kind, crops),
        )

    @property
    def size(self) -> Shape:
        """The (height, width) of cut pictures."""
        size: Shape = self.crops[-1].size  # type: ignore[attr-defined]  # `_crops` saw to it
        return size

    @property
    def channels(self) -> int:
        """1 for gray, 3 for colour."""
        return 1 if self.picture_class.open_mode == "L" else 3

    @property
    def tensor_class(self) -> type[TensorImage]:
        """The class of tensors of these pictures."""
        return TensorImageBW if self.channels == 1 else TensorImage

    def picture(self, i: int) -> Decoded:
        """Return the picture of item `i`, as small as it may be: from the cache, or read."""
        value = self.inputs.item(i)
        for f in self.inputs.tfms.fs[:-1]:
            value = f(value, split_idx=self.inputs.split_idx)
        if self.cache is None or not isinstance(value, str | os.PathLike | bytes):
            return self._read(value)
        return self.cache.read(value, self.parameters, lambda: self._read(value))

    def targets(self, i: int) -> tuple[Any, ...]:
        """Return what else belongs to the sample of item `i`."""
        return tuple(tl._at(i) for tl in self.others)

    def _read(self, value: Any) -> Decoded:
        kind = self.picture_class
        if isinstance(value, str | os.PathLike | bytes):
            picture = read_pixels(
                value if isinstance(value, bytes) else Path(value),
                kind.open_mode,
                orient=kind.orient,
                white_level=kind.white_level,
                background=kind.background,
                reduce=self._reduction,
            )
        else:
            pixels = np.asarray(kind.create(value))
            height, width = pixels.shape[:2]
            picture = Decoded(pixels.reshape(height, width, -1), (height, width))
        # A JPEG came at that size; of others, blocks of pixels are averaged.
        times = self._reduction(picture.full)
        if times == 1 or picture.pixels.shape[:2] != picture.full:
            return picture
        return Decoded(averaged(picture.pixels, times), picture.full)

    def _reduction(self, full: Shape) -> int:
        """Return 1, 2, 4 or 8: by how much a picture may be smaller, so that no cut wants more."""
        finest = self.crops[0].finest(full)
        return next(times for times in (8, 4, 2, 1) if times <= finest or times == 1)


def _inputs(
    loader: "DataLoader",
) -> "tuple[TfmdLists, Sequence[TfmdLists], type[PILBase]] | None":
    """Return where pictures and the rest of a sample come from, if pictures are read as usual."""
    from presize.data.loader import DataLoader

    as_usual = type(loader).create_item is DataLoader.create_item and loader.collate is None
    dsets = loader.dataset
    if not as_usual or loader.bs is None or not isinstance(dsets, Datasets):
        return None
    if dsets.n_inp != 1 or not len(dsets) or active(loader.before_batch) is not None:
        return None
    inputs, *others = dsets._used()
    create = inputs.tfms.fs[-1].function if len(inputs.tfms) else None
    kind = getattr(create, "__self__", None)
    if not (isinstance(kind, type) and issubclass(kind, PILBase)) or issubclass(kind, PILMask):
        return None
    usual = all(
        getattr(kind, name).__func__ is getattr(PILBase, name).__func__
        for name in ("create", "same_pixels", "_in_mode", "_pixels_of")
    )
    if getattr(create, "__name__", "") != "create" or not usual or any(map(_moves_along, others)):
        return None
    return inputs, others, kind


def _moves_along(tl: "TfmdLists") -> bool:
    """Say whether targets are pictures or points, which are cut as the picture is."""
    try:
        target = tl[0]
    except Exception:  # it is raised, or put into quarantine, where a sample is made of it
        return True
    return isinstance(target, Image.Image | TensorImageBase | TensorPoint)


def _crops(loader: "DataLoader") -> Sequence[CropTransform] | None:
    """Return the item transforms, if they only cut pictures to one size and make them tensors."""
    stage = active(loader.after_item)
    steps: list[Transform] = [] if stage is None else stage.fs
    steps = [f for f in steps if not f.skips(stage.split_idx)]
    if len(steps) < 2 or type(steps[-1]) is not ToTensor:
        return None
    crops = [f for f in steps[:-1] if isinstance(f, CropTransform) and hasattr(f, "size")]
    usual = all(
        type(f).__call__ is CropTransform.__call__ and type(f)._one is CropTransform._one
        for f in crops
    )
    return crops if usual and len(crops) == len(steps) - 1 else None


# To be raised when the pixels change that are made of a file: a cache on a disk outlives versions.
_DECODING = 1


def _parameters(kind: type[PILBase], crops: Sequence[CropTransform]) -> str:
    """Return a text that differs where what is kept of a picture may differ."""
    how = [_DECODING, kind.open_mode, kind.orient, kind.white_level, list(kind.background)]
    first = crops[0]
    return json.dumps([*how, f"{type(first).__module__}.{first.name}", first.spec()])
