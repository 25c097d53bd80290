"""What may be a label, and what to say where something else came."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from presize.core.errors import DataError, did_you_mean
from presize.core.pipeline import Through
from presize.core.sequences import is_array
from presize.data.blame import brief, named_errors
from presize.data.labels import NoMatchError, explain_no_match

Label: TypeAlias = str | int | float

NA = "#na#"
"""The class of labels that are missing or unknown."""


def is_missing(value: Any) -> bool:
    """Return True for None and for what tables have in an empty cell: NaN, NaT, NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def plain_label(value: Any) -> Label:
    """Return a label as Python's own text or number.

    Raises:
        DataError: it is something else; the message says what, and the way out.
    """
    if type(value) is str:  # as nearly all are: 0.04 us in place of 0.8
        return value
    if isinstance(value, np.generic) or (is_array(value) and value.ndim == 0):
        value = value.item()
    if is_missing(value):
        raise DataError(
            "A label is missing (`get_y` gave None, or the table has an empty cell). Leave such "
            f"items out, or collect them in a class `{NA}`: CategoryBlock(add_na=True)."
        )
    if isinstance(value, str | int | float):
        return value
    got = f"`get_y` gave {brief(value)} ({type(value).__name__})"
    if isinstance(value, PurePath):
        raise DataError(
            f"A label is a text or a number, but {got}. Where the folder is the label use "
            "`get_y=parent_label`; where it is a part of the file name, "
            "`get_y=using_attr(RegexLabeller(...), 'name')`."
        )
    if isinstance(value, Collection) and not isinstance(value, bytes | Mapping):
        single = " If there is one, return it without the list." if len(value) == 1 else ""
        raise DataError(
            f"One label is expected for each item, but {got}. For several labels per picture use "
            f"MultiCategoryBlock in the place of CategoryBlock.{single}"
        )
    raise DataError(f"A label is a text or a number, but {got}. Let `get_y` return str(...) of it.")


def label_list(value: Any) -> list[Any]:
    """Return the labels of one item as a list; those that are missing stay in it.

    Raises:
        DataError: it is one text, or something else that is no list.
    """
    if isinstance(value, Sequence | Tensor | np.ndarray) and not isinstance(value, str | bytes):
        return value.tolist() if isinstance(value, Tensor | np.ndarray) else list(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    cure = "Let `get_y` return a list, or use CategoryBlock where every picture has one label."
    if isinstance(value, str):
        cure = (
            "For several labels in one text use ColReader(..., label_delim=' '); for one label per "
            "picture use CategoryBlock; else put the text into a list."
        )
    raise DataError(
        f"A list of labels is expected for each item, but `get_y` gave {brief(value)} "
        f"({type(value).__name__}). {cure}"
    )


def _read(items: Sequence[Any]) -> list[Any]:
    """Return the values of all items; if a pattern does not match some, say how many."""
    try:
        return list(named_errors(items))
    except NoMatchError as error:
        first = error
    failed: list[str] = []
    for i in range(len(items)):
        try:
            items[i]
        except NoMatchError as error:
            failed.append(error.name)
    if len(failed) == 1:
        raise first
    text = explain_no_match(first.pattern, failed, total=len(items))
    raise NoMatchError(text, pattern=first.pattern, name=first.name) from first


def learn_labels(items: Sequence[Any], *, several: bool, add_na: bool) -> list[Label]:
    """Return the labels of all items as plain texts and numbers.

    Args:
        items: the training items, seen through what labels them.
        several: each item has a list of labels.
        add_na: leave out missing labels.

    Raises:
        DataError: one is no label; the message names the item.
    """
    labels: list[Label] = []
    for i, value in enumerate(_read(items)):
        try:
            parts = label_list(value) if several else [value]
            labels += [plain_label(part) for part in parts if not (add_na and is_missing(part))]
        except DataError as error:
            source = items.items if isinstance(items, Through) else items
            raise DataError(
                f"{error} The item is number {i} of the training set, {brief(source[i])}."
            ) from None
    return labels


def unknown_label(
    label: Any,
    vocab: Sequence[Any],
    *,
    learned: bool = True,
    all_differ: bool = False,
    block: str = "CategoryBlock",
) -> DataError:
    """Return the error for a label that is not in the vocabulary.

    Args:
        label: the label.
        vocab: the classes.
        learned: the classes are those of the training set, not given by the user.
        all_differ: no two training items had the same label, so they may be no labels at all.
        block: the block that takes `vocab=` and `add_na=`.
    """
    shown = ", ".join(f"`{o}`" for o in vocab[:5]) + (", ..." if len(vocab) > 5 else "")
    if not learned:
        return DataError(
            f"The label `{label}` is not among the {len(vocab)} classes of the vocabulary that "
            f"was given ({shown}).{_nearest(label, vocab)} Add it to `vocab=`, correct the label, "
            f"or collect unknown labels in a class `{NA}`: add_na=True."
        )
    text = (
        f"The label `{label}` is in validation (or test) but not in training, which has "
        f"{len(vocab)} classes: {shown}.{_nearest(label, vocab)}"
    )
    if all_differ:
        return DataError(
            f"{text} All training items have different labels: `get_y` seems to give something "
            "else than the class, such as the file name."
        )
    return DataError(
        f"{text} Ways out: a split that keeps the mix of labels, "
        "`splitter=TrainTestSplitter(stratify=...)`; the classes given by hand, "
        f"`{block}(vocab=[...])`; or a class `{NA}` for all unknown ones, `{block}(add_na=True)`."
    )


def check_vocab(vocab: Sequence[Any]) -> None:
    """Raise DataError where there is nothing to tell apart: no class, or only one."""
    classes = [o for o in vocab if o != NA]
    if len(classes) > 1:
        return
    if not classes:
        raise DataError("There is no class to learn: the training set has no labels.")
    raise DataError(
        f"There is only one class, `{classes[0]}`, so there is nothing to tell apart. Usual "
        "causes: `parent_label` with all pictures in one folder (where the label is in the file "
        "name use RegexLabeller, on the command line --pattern), or a splitter that leaves one "
        "class for training."
    )


def _nearest(label: Any, vocab: Sequence[Any]) -> str:
    """Return " It differs from `cat` only in ..." or " Did you mean ...?", or ""."""
    for known in vocab:
        if str(known) == str(label):
            return (
                f" It is {label!r} ({type(label).__name__}), and the vocabulary has {known!r} "
                f"({type(known).__name__}): make all labels the same type."
            )
    for known in vocab:
        if _folded(known) == _folded(label):
            case = str(known).strip() != str(label).strip()
            space = str(known).casefold() != str(label).casefold()
            what = " and ".join(["capital letters"] * case + ["white space"] * space)
            return f" It differs from {known!r} only in {what}."
    return did_you_mean(label, vocab)


def _folded(label: Any) -> str:
    return " ".join(str(label).split()).casefold()
