"""Blocks: which transforms a kind of input or target needs, and what the task is.

A DataBlock takes them as classes or as objects: `blocks=(ImageBlock, CategoryBlock)` and
`blocks=(ImageBlock(PILImageBW), CategoryBlock(add_na=True))`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from presize.core.transform import Transform
from presize.core.types import Task
from presize.data.images import PILBase, PILImage, PILMask
from presize.data.points import PointScaler, to_points
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.data.vocab import (
    Categorize,
    EncodedMultiCategorize,
    MultiCategorize,
    OneHotEncode,
    RegressionSetup,
)

Step = Transform | type[Transform] | Callable[..., Any]
Steps = Step | Sequence[Step] | None


class TransformBlock:
    """The transforms of one input or target, for each stage.

    Args:
        type_tfms: make the value from an item, once when the item is read.
        item_tfms: run on each sample; `ToTensor` comes first.
        batch_tfms: run on a whole batch, on its device.
        dl_type: the class of loader to use, if it has to be a special one.
        task: what a target of this kind makes of the training; the loss is chosen from it.
    """

    def __init__(
        self,
        type_tfms: Steps = None,
        item_tfms: Steps = None,
        batch_tfms: Steps = None,
        *,
        dl_type: type[Any] | None = None,
        task: Task | None = None,
    ) -> None:
        self.type_tfms = _listed(type_tfms)
        self.item_tfms = [ToTensor, *_listed(item_tfms)]
        self.batch_tfms = _listed(batch_tfms)
        self.dl_type = dl_type
        self.task: Task | None = task

    def __repr__(self) -> str:
        return type(self).__name__


class ImageBlock(TransformBlock):
    """Pictures.

    Args:
        cls: the kind of picture: PILImage (RGB) or PILImageBW (gray), or your own.
    """

    def __init__(self, cls: type[PILBase] = PILImage) -> None:
        kind: Any = cls
        if not (isinstance(kind, type) and issubclass(kind, PILBase)):
            raise TypeError(
                f"ImageBlock takes a kind of picture, such as PILImage or PILImageBW, but got "
                f"{kind!r}."
            )
        super().__init__(type_tfms=kind.create, batch_tfms=IntToFloatTensor)


class CategoryBlock(TransformBlock):
    """One label per picture.

    Args:
        vocab: the classes; by default those of the training set.
        sort: sort the classes; False keeps the order of `vocab`.
        add_na: have a class `#na#` in front, for labels that are not in the vocabulary.
    """

    def __init__(
        self, vocab: Sequence[Any] | None = None, sort: bool = True, add_na: bool = False
    ) -> None:
        label = Categorize(vocab=vocab, sort=sort, add_na=add_na)
        super().__init__(type_tfms=label, task="classification")


class MultiCategoryBlock(TransformBlock):
    """Any number of labels per picture.

    Args:
        encoded: True if the targets are 0/1 for each class already; then `vocab` is needed.
        vocab: the classes; by default those of the training set.
        add_na: have a class `#na#` in front, for labels that are not in the vocabulary.
    """

    def __init__(
        self, encoded: bool = False, vocab: Sequence[Any] | None = None, add_na: bool = False
    ) -> None:
        if encoded and vocab is None:
            raise ValueError(
                "MultiCategoryBlock(encoded=True) needs the names of the classes: vocab=[...]."
            )
        steps: list[Step] = (
            [EncodedMultiCategorize(vocab=vocab or [])]
            if encoded
            else [MultiCategorize(vocab=vocab, add_na=add_na), OneHotEncode()]
        )
        super().__init__(type_tfms=steps, task="multilabel")


class RegressionBlock(TransformBlock):
    """Numbers as targets.

    Args:
        n_out: how many per picture; by default as many as the first target has.
    """

    def __init__(self, n_out: int | None = None) -> None:
        super().__init__(type_tfms=RegressionSetup(c=n_out), task="regression")


class MaskBlock(TransformBlock):
    """A class for each pixel, as a picture of class numbers.

    Args:
        codes: the names of the classes 0, 1, ...
    """

    def __init__(self, codes: Sequence[Any] | None = None) -> None:
        super().__init__(
            type_tfms=PILMask.create,
            item_tfms=None if codes is None else AddMaskCodes(codes),
            batch_tfms=IntToFloatTensor,
            task="segmentation",
        )


class PointBlock(TransformBlock):
    """Points in the picture, read as (x, y) in pixels and trained on as -1..1."""

    def __init__(self) -> None:
        super().__init__(type_tfms=to_points, item_tfms=PointScaler, task="points")


class AddMaskCodes(Transform):
    """Carry the names of a mask's classes, where `dls.vocab` finds them.

    Args:
        codes: the names of the classes 0, 1, ...
    """

    def __init__(self, codes: Sequence[Any]) -> None:
        super().__init__()
        self.vocab = list(codes)
        self.c = len(self.vocab)

    def spec(self) -> dict[str, Any]:
        """Return the arguments that make it again."""
        return {"codes": self.vocab}


def _listed(steps: Steps) -> list[Step]:
    if steps is None:
        return []
    return list(steps) if isinstance(steps, Sequence) else [steps]
