"""The pictures that an export is checked with, and what the learner says of them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from presize.core.errors import ExportError, ImageError
from presize.core.homography import HW
from presize.data.datasets import Datasets
from presize.data.images import PILImage
from presize.data.rows import rows
from presize.learner import Learner

_MADE_UP = 8
_VALIDATION, _SAMPLES = "validation set", "samples"


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that an export is checked with, and what the learner says of them.

    Args:
        opened: what each is opened from: a path, bytes, a picture.
        source: where they are from, for a reader.
        inputs: as the model sees them, float32 [n,c,h,w].
        preds: probabilities that the learner gives.
        targets: what is true of them; None if that is not known.
    """

    opened: Sequence[Any]
    source: str
    inputs: Tensor
    preds: Tensor
    targets: Tensor | None

    def name(self, i: int) -> str:
        """Return the file of a picture, or its number."""
        item = self.opened[i]
        is_file = isinstance(item, str | os.PathLike)
        return str(item) if is_file else f"picture {i} of the {self.source}"

    @property
    def names(self) -> list[str]:
        """The file of each picture, or its number."""
        return [self.name(i) for i in range(len(self.opened))]

    def decoded(self, i: int) -> Tensor:
        """Return a picture as a program decodes it: uint8 [1,h,w,3], RGB, upright."""
        return torch.from_numpy(np.array(PILImage.create(self.opened[i])))[None]


def pictures_for(learn: Learner, samples: Any, most: int) -> tuple[Pictures, HW | None]:
    """Return pictures for a check, and their size if no transform brings them to one.

    Args:
        learn: the learner.
        samples: pictures, or a folder of them; None takes the validation set, and without one
            pictures that are made up.
        most: how many to take of the validation set.
    """
    items, where = _chosen(learn, samples, most)
    fixed = None
    if not _brings_to_one_size(learn):
        fixed = _size_of(_opened(learn, items), where)
    if not len(items):
        items = _made_up(fixed)
    inputs, preds, targets, items = _asked(
        learn, items, labelled=where == _VALIDATION, all_of_them=where == _SAMPLES
    )
    return Pictures(_opened(learn, items), where, inputs, preds, targets), fixed


def some_of_training(learn: Learner, most: int) -> Tensor | None:
    """Return training pictures as in validation, float32 [n,c,h,w]; None without a training set."""
    items = _spread(_items(learn.dls.train), most)
    return _asked(learn, items, labelled=False)[0] if len(items) else None


def _chosen(learn: Learner, samples: Any, most: int) -> tuple[Any, str]:
    if isinstance(samples, str | os.PathLike):
        from presize.data.items import get_image_files

        found = list(get_image_files(samples))
        if not found:
            raise FileNotFoundError(f"There are no pictures in {samples} to check the export with.")
        return found, _SAMPLES
    if samples is not None:
        listed = list(samples) if isinstance(samples, Iterable) else []
        if not listed:
            raise ValueError(
                "samples= is a folder, or a list of pictures to check the export with, but got "
                f"{samples!r:.80}."
            )
        return listed, _SAMPLES
    items = _spread(_items(learn.dls.valid), most)
    return (items, _VALIDATION) if len(items) else ([], "made-up pictures")


def _items(loader: Any) -> Any:
    """Return the items of a loader: a list, or a table."""
    dataset = getattr(loader, "dataset", None)
    return dataset.items if isinstance(dataset, Datasets) and len(dataset) else []


def _spread(items: Any, most: int) -> Any:
    """Return at most so many of the items, evenly from all of them."""
    n = len(items)
    return rows(items, [i * n // most for i in range(most)] if n > most else range(n))


def _opened(learn: Learner, items: Any) -> list[Any]:
    """Return what the pictures of items are opened from: of a row of a table, say, a path."""
    if not len(items):
        return []
    inputs = learn.dls.test_dl(items).dataset.tls[0]
    found = []
    for i in range(len(items)):
        value = inputs.item(i)
        for step in inputs.tfms.fs[:-1]:  # the last one opens it
            value = step(value, split_idx=1)
        found.append(value)
    return found


def _asked(
    learn: Learner, items: Any, *, labelled: bool, all_of_them: bool = False
) -> tuple[Tensor, Tensor, Tensor | None, Any]:
    """Return inputs, answers and targets of items, and these, without those that cannot be read.

    Args:
        learn: the learner.
        items: of its data set, or pictures.
        labelled: make targets, too.
        all_of_them: raise what an item that cannot be read raises.
    """
    with learn.no_bar():
        while True:
            dl = learn.dls.test_dl(items, with_labels=labelled)
            try:
                inputs, preds, targets = learn.get_preds(dl=dl, with_input=True)
                break
            except ImageError as error:
                names = list(map(str, _opened(learn, items)))
                known = error.path is not None and str(error.path) in names
                if all_of_them or not known or len(names) == 1:
                    raise
                # Of a set of many some may be broken, and are left out in training as well.
                items = rows(items, [i for i, n in enumerate(names) if n != str(error.path)])
    inputs = inputs[0] if isinstance(inputs, tuple) and len(inputs) == 1 else inputs
    if not isinstance(inputs, Tensor) or not isinstance(preds, Tensor):
        raise ExportError(
            "Only models of one picture in and one tensor out can be exported; this one takes "
            f"{type(inputs).__name__} and gives {type(preds).__name__}."
        )
    true = targets.as_subclass(Tensor).cpu() if isinstance(targets, Tensor) else None
    seen, told = (x.as_subclass(Tensor).cpu().float() for x in (inputs, preds))
    return seen, told, true, items


def _brings_to_one_size(learn: Learner) -> bool:
    """Say whether pictures of other sizes become one size, by trying two."""
    with learn.no_bar():
        shapes = {
            tuple(batch[0].shape)
            for side in (61, 97)
            for batch in learn.dls.test_dl([_smooth(side, 79, side)], num_workers=0)
        }
    return len(shapes) == 1


def _size_of(opened: list[Any], where: str) -> HW:
    if not opened:
        raise ExportError(
            "No transform brings pictures to one size, and there are none to see which size the "
            "model is for. Give some: samples=, a folder or a list of pictures; in a terminal "
            "--data."
        )
    sizes = {(one.height, one.width) for one in map(PILImage.create, opened)}
    if len(sizes) > 1:
        raise ExportError(
            f"No transform brings pictures to one size, and those of the {where} have several: "
            f"{', '.join(f'{h}x{w}' for h, w in sorted(sizes)[:4])}. Give samples= of one size."
        )
    return sizes.pop()


def _made_up(fixed: HW | None) -> list[Any]:
    """Return pictures for a model that came without any: smooth patches of colour, some noise."""
    sides = [(181, 241), (240, 180), (333, 500), (64, 64), (97, 61), (600, 400)]
    return [_smooth(*(fixed or sides[i % len(sides)]), i) for i in range(_MADE_UP)]


def _smooth(height: int, width: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    wide = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    noisy = wide + rng.normal(0, 8, wide.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
