"""Transforms of labels: to the numbers of their classes, and back."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from presize.core.collections import L
from presize.core.errors import DataError
from presize.core.pipeline import Through
from presize.core.transform import ItemTransform, Transform
from presize.core.types import JSON
from presize.data.blame import brief
from presize.data.category import Category as Category
from presize.data.category import CategoryMap as CategoryMap
from presize.data.category import MultiCategory as MultiCategory
from presize.data.category import shown_label
from presize.data.labelcheck import (
    NA,
    is_missing,
    label_list,
    learn_labels,
    plain_label,
    unknown_label,
)
from presize.data.labelcheck import check_vocab as check_vocab
from presize.data.regression import RegressionSetup as RegressionSetup
from presize.data.regression import to_floats
from presize.tensors import TensorCategory, TensorMultiCategory


class _Vocabulary(Transform):
    """What transforms with a vocabulary share; `vocab`, `c` and `o2i` are None until set up."""

    order = 1
    shown_attributes: ClassVar[tuple[str, ...]] = ("vocab", "add_na")
    block = "CategoryBlock"

    def __init__(self, vocab: Iterable[Any] | None, sort: bool, add_na: bool) -> None:
        super().__init__()
        self.sort, self.add_na = sort, add_na
        self.vocab: CategoryMap | None = None
        self.c: int | None = None
        self.o2i: dict[Any, int] | None = None
        self._learned, self._all_differ = False, False
        if vocab is not None:
            self._use(CategoryMap(vocab, sort=sort, add_na=add_na))

    def _use(self, vocab: CategoryMap) -> None:
        self.vocab, self.c, self.o2i = vocab, len(vocab), vocab.o2i

    def _learn(self, labels: Sequence[Any]) -> None:
        self._use(CategoryMap(labels, sort=self.sort, add_na=self.add_na))
        self._learned = True

    def _ready(self) -> CategoryMap:
        if self.vocab is None:
            raise DataError(
                f"{self.name} has no vocabulary yet: set it up with training items (a DataBlock "
                "or Datasets does so), or give vocab=[...]."
            )
        return self.vocab

    def _number(self, label: Any) -> int:
        vocab = self._ready()
        if self.add_na and is_missing(label):
            return 0
        found = vocab.o2i.get(plain_label(label))
        if found is not None:
            return found
        if self.add_na:
            return 0
        raise unknown_label(
            label,
            vocab.items,
            learned=self._learned,
            all_differ=self._all_differ,
            block=self.block,
        ) from None

    def _label(self, number: Any) -> Any:
        vocab, i = self._ready(), int(number)
        if not 0 <= i < len(vocab):
            raise DataError(
                f"There is no class number {i}: the vocabulary has {len(vocab)} classes, 0 to "
                f"{len(vocab) - 1}. Has the model more outputs than the data has classes?"
            )
        return shown_label(vocab[i])

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again, set up."""
        classes = (
            None if self.vocab is None else [o for o in self.vocab if o != NA or not self.add_na]
        )
        return {"vocab": classes, "sort": False, "add_na": self.add_na}


class Categorize(_Vocabulary):
    """Turn a label into the number of its class, and back.

    The vocabulary is learned from the training items the first time that it is set up.

    Args:
        vocab: the classes; by default those of the training set.
        sort: sort the classes, given or learned; False keeps their order.
        add_na: put a class `#na#` first, for missing and unknown labels.

    Raises:
        DataError: (when called) a label that is not in the vocabulary, or is no label at all.
    """

    def __init__(
        self, vocab: Iterable[Any] | None = None, sort: bool = True, add_na: bool = False
    ) -> None:
        super().__init__(vocab, sort, add_na)

    def setups(self, items: Sequence[Any]) -> None:
        """Learn the classes of the training items."""
        if self.vocab is None:
            labels = learn_labels(items, several=False, add_na=self.add_na)
            self._learn(labels)
            # In a large set labels that never repeat are file names, or the like.
            self._all_differ = len(labels) == len(set(labels)) >= 20

    def encodes(self, x: Any) -> TensorCategory:
        """Return the number of a label's class."""
        return TensorCategory(torch.tensor(self._number(x)))

    def decodes(self, x: Tensor | int | np.integer) -> Any:
        """Return the label, able to show itself; of several numbers an L of labels."""
        if isinstance(x, Tensor) and x.ndim:
            return L([self._label(i) for i in x.reshape(-1).tolist()])
        return self._label(x)


class MultiCategorize(ItemTransform, _Vocabulary):
    """Turn a list of labels into the numbers of their classes, and back.

    Args:
        vocab: the classes, kept in this order; by default those of the training set, sorted.
        add_na: put a class `#na#` first, for missing and unknown labels.

    Raises:
        DataError: (when called) a label that is not in the vocabulary, or no list of labels.
    """

    block = "MultiCategoryBlock"

    def __init__(self, vocab: Iterable[Any] | None = None, add_na: bool = False) -> None:
        _Vocabulary.__init__(self, vocab, sort=vocab is None, add_na=add_na)

    def setups(self, items: Sequence[Any]) -> None:
        """Learn the classes of the training items."""
        if self.vocab is None:
            self._learn(learn_labels(items, several=True, add_na=self.add_na))

    def encodes(self, x: Any) -> TensorMultiCategory:
        """Return the numbers of the labels' classes: int64 [number of labels]."""
        numbers = [self._number(label) for label in label_list(x)]
        return TensorMultiCategory(torch.tensor(numbers, dtype=torch.int64))

    def decodes(self, x: Any) -> MultiCategory:
        """Return the labels, able to show themselves."""
        numbers = x.tolist() if isinstance(x, Tensor | np.ndarray) else list(x)
        return MultiCategory([self._label(i) for i in numbers])

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again, set up."""
        return {k: v for k, v in super().spec().items() if k != "sort"}


class OneHotEncode(ItemTransform):
    """Turn class numbers into 0/1 for each class (float32 [c]), and back.

    Args:
        c: the number of classes; by default that of the vocabulary in the same pipeline.
    """

    order = 2
    shown_attributes: ClassVar[tuple[str, ...]] = ("c",)

    def __init__(self, c: int | None = None) -> None:
        super().__init__()
        self.c = c

    def setups(self, items: Sequence[Any]) -> None:
        """Take the number of classes from the vocabulary before it, or from the items."""
        if self.c is not None:
            return
        vocab = _vocab_before(items)
        if vocab is None:
            self.c = max((int(i) for x in items for i in x), default=-1) + 1
        else:
            self.c = len(vocab)

    def encodes(self, x: Any) -> TensorMultiCategory:
        """Return 1 at the class numbers and 0 elsewhere."""
        if self.c is None:
            raise DataError(
                "OneHotEncode does not know the number of classes: set it up with training items, "
                "or give c=."
            )
        hot = torch.zeros(self.c)
        hot[torch.as_tensor(list(map(int, x)), dtype=torch.int64)] = 1
        return TensorMultiCategory(hot)

    def decodes(self, x: Any) -> L[int]:
        """Return the numbers of the classes that are 1 (True)."""
        return _hot(x)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again, set up."""
        return {"c": self.c}


class EncodedMultiCategorize(ItemTransform, _Vocabulary):
    """Take targets that are 0/1 for each class already, and give them names when shown.

    Args:
        vocab: the classes, in the order of the values.

    Raises:
        DataError: (when called) as many values as classes are expected, from 0 to 1.
    """

    def __init__(self, vocab: Iterable[Any]) -> None:
        _Vocabulary.__init__(self, vocab, sort=False, add_na=False)

    def encodes(self, x: Any) -> TensorMultiCategory:
        """Return the values as float32 [c]."""
        values = to_floats(x)
        if values.shape != (len(self._ready()),):
            raise DataError(
                f"{len(self._ready())} values of 0 or 1, one for each class, are expected as the "
                f"target, but `get_y` gave {brief(x)}. Lists of class names are for "
                "MultiCategoryBlock without encoded=True."
            )
        if bool(((values < 0) | (values > 1)).any()):
            raise DataError(
                f"Encoded targets are 0 or 1 (or between), but `get_y` gave {brief(x)}."
            )
        return TensorMultiCategory(values)

    def decodes(self, x: Any) -> MultiCategory:
        """Return the names of the classes that are 1 (True)."""
        return MultiCategory([self._label(i) for i in _hot(x)])

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {"vocab": list(self._ready())}


def _hot(x: Any) -> L[int]:
    values = torch.as_tensor(x).as_subclass(Tensor)
    return L((values > 0.5).nonzero().reshape(-1).tolist())


def _vocab_before(items: Sequence[Any]) -> Sequence[Any] | None:
    """Return the vocabulary of the transforms that the items have passed, if one has it."""
    passed = reversed(items.functions) if isinstance(items, Through) else []
    found = (getattr(getattr(f, "func", f), "vocab", None) for f in passed)
    return next((vocab for vocab in found if vocab is not None), getattr(items, "vocab", None))
