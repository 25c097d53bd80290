"""Transforms of other libraries as item transforms: what all of them have in common.

    item_tfms=[Resize(460), A.HorizontalFlip(p=0.5), v2.ColorJitter(0.2)]

They see the picture of a sample, and its masks where they can move them; labels pass unchanged.
What they draw is counted (see `presize.core.randomness`), so that batches are the same for any
number of workers. On the validation set only those of them act that draw nothing, as a resize or a
normalisation: the others are augmentations. To decide otherwise, say `split_idx` to
`AlbumentationsTransform` or `TorchvisionTransform`.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from presize.core.randomness import draws, loose_context
from presize.core.transform import Transform, adapter
from presize.data.images import PILBase, PILImage, PILImageBW, PILMask
from presize.tensors import TensorImage, TensorImageBase, TensorImageBW, TensorPoint

_PACKAGES = ("albumentations", "torchvision.transforms")


class Drew(Exception):
    """A transform wants to draw where nothing is drawn: it is an augmentation."""


class ForeignTransform(Transform):
    """A transform of another library; a subclass says how it is called.

    Args:
        transform: the other library's.
        split_idx: 0 limits it to the training set, 1 to the validation set, where it never draws;
            by default both, or training alone where all of it draws.

    Raises:
        TypeError: (when called) a sample that it cannot treat as a whole.
    """

    order = 1  # that of presize's own transforms of pictures: they run as they are listed
    library: ClassVar[str]

    def __init__(self, transform: Any, split_idx: int | None = None) -> None:
        super().__init__(split_idx=split_idx)
        self.transform = transform
        if split_idx is None and self._only_draws():
            self.split_idx = 0

    def call(self, picture: Image.Image, masks: list[PILMask], seed: int | None) -> list[Any]:
        """Return what the other library makes of a picture and its masks, in this order.

        Args:
            picture: the picture.
            masks: those that move with it.
            seed: of the draws; None leaves out what draws.
        """
        raise NotImplementedError

    def moves(self) -> bool:
        """Return whether it may move pixels, so that points would no longer fit."""
        return True

    @property
    def name(self) -> str:
        """The other library's name of it."""
        return type(self.transform).__name__

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Transform a picture, or the pictures and masks of a tuple.

        Args:
            x: a PIL picture, or a tuple with some.
            split_idx: 1 leaves out what draws; 0 and None draw.
        """
        if self.skips(split_idx):
            return x
        made = list(x) if type(x) is tuple else [x]
        for element in made:
            self._check(element)
        masks = [i for i, element in enumerate(made) if isinstance(element, PILMask)]
        with loose_context():
            seed = None if split_idx == 1 else self._seed()
            for i, element in enumerate(made):
                if not isinstance(element, Image.Image) or isinstance(element, PILMask):
                    continue
                results = self.call(element, [made[k] for k in masks], seed)
                made[i] = as_picture(results[0], element, self)
                for k, result in zip(masks, results[1:], strict=True):
                    made[k] = result if isinstance(result, PILMask) else PILMask.create(result)
                masks = []  # they have moved with the first picture
        return tuple(made) if type(x) is tuple else made[0]

    def encodes(self, x: Image.Image) -> Any:
        """Return the transformed picture."""
        return self(x)

    def _seed(self) -> int:
        drawn = draws(self.draw_name or self.name)
        return int(drawn.words()[0]) << 32 | int(drawn.words()[0])

    def _check(self, element: Any) -> None:
        if isinstance(element, TensorImageBase):
            raise TypeError(
                f"{self.name} of {self.library} is used for single pictures, before they are "
                f"tensors, but got a {type(element).__name__} of shape {list(element.shape)}. "
                "Give it in item_tfms; for whole batches there are aug_transforms() and its kin."
            )
        if isinstance(element, TensorPoint) and self.moves():
            raise TypeError(
                f"{self.name} of {self.library} may move the pixels of a picture, and the "
                f"{type(element).__name__} beside it would stay where they are. Use presize's "
                "own transforms, which move points as well."
            )

    def _only_draws(self) -> bool:
        """Return whether there is nothing of it that acts without drawing."""
        probe = PILImage.create(np.zeros((64, 64, 3), np.uint8))
        try:
            return self.call(probe, [], None)[0] is probe
        except Exception:  # whatever its code does not like about this picture: nobody can know
            return False


def as_picture(result: Any, like: Image.Image, source: ForeignTransform) -> Any:
    """Return what a transform gave as a picture of the kind of `like`; floats as a TensorImage.

    Args:
        result: a PIL picture, an array [h,w] or [h,w,c], a tensor [c,h,w].
        like: the picture that went in.
        source: named in the error.

    Raises:
        TypeError: it is something else.
    """
    plain = PILImageBW if like.mode == "L" else PILImage
    kind = type(like) if isinstance(like, PILBase) else plain
    if isinstance(result, kind) and result.mode == kind.open_mode:
        return result
    if isinstance(result, np.ndarray | Tensor):
        values = torch.as_tensor(result).as_subclass(Tensor)
        if values.is_floating_point():
            return _as_tensor(values, channels_first=isinstance(result, Tensor))
    elif not isinstance(result, Image.Image):
        raise TypeError(
            f"{source.name} of {source.library} should give a picture, an array or a tensor, but "
            f"gave {type(result).__name__}."
        )
    return kind.create(result)


def _as_tensor(values: Tensor, *, channels_first: bool) -> TensorImage:
    if values.ndim == 2:
        values = values[None]
    elif not channels_first:
        values = values.permute(2, 0, 1)
    kind = TensorImageBW if values.shape[0] == 1 else TensorImage
    return values.contiguous().as_subclass(kind)


@adapter
def adapted(function: Any) -> ForeignTransform | None:
    """Return a transform of another library, or its class, as one of ours; None for all else."""
    package = _package(function)
    if package is None:
        return None
    transform = function() if isinstance(function, type) else function
    # Imported where they are used: most programs use neither.
    if package == "albumentations":
        from presize.data.albumentationstfm import AlbumentationsTransform

        return AlbumentationsTransform(transform)
    from presize.data.torchvisiontfm import TorchvisionTransform

    return TorchvisionTransform(transform)


def _package(function: Any) -> str | None:
    """Return which of `_PACKAGES` a transform, or the class of one, belongs to."""
    if isinstance(function, nn.Sequential):
        return _package(function[0]) if len(function) else None
    kind = function if isinstance(function, type) else type(function)
    modules = [f"{base.__module__}." for base in kind.__mro__]
    return next((p for p in _PACKAGES if any(m.startswith(f"{p}.") for m in modules)), None)
