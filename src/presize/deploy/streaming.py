"""Asks about one picture after another, as they come; what cannot be read keeps its place."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path as AnyPath
from typing import Any, TypeAlias

from presize.core.errors import DataError, ImageError
from presize.data.askeditem import name_of
from presize.data.asking import Asking
from presize.data.blame import brief
from presize.data.items import get_image_files
from presize.deploy.prediction import Failed, Prediction

Row: TypeAlias = Prediction | Failed
Failures: TypeAlias = dict[int, tuple[str, str | None]]
Answer: TypeAlias = Callable[[Any, Sequence[str | None]], list[Prediction]]
"""Makes predictions of a batch, or of a list of items, and of the names of the pictures."""


def in_batches(
    asks: Asking, items: Iterable[Any], *, size: int, threads: int, keep: bool, answer: Answer
) -> Iterator[Row]:
    """Yield what is said of items, which threads decode some batches ahead.

    Args:
        asks: makes batches of them.
        items: what is asked about, perhaps without end.
        size: items in a batch.
        threads: how many work ahead.
        keep: put a `Failed` into the place of what cannot be read, in place of raising.
        answer: makes predictions of a batch.
    """
    failed: Failures = {}
    names: dict[int, str | None] = {}
    batches = asks.batches(
        items, size=size, threads=threads, failed=failed if keep else None, names=names
    )
    number = 0
    with closing(batches):  # its threads end with it
        for batch in batches:
            ends: list[Failed | None] = []
            while ends.count(None) < len(batch[0]):
                ends.append(_failure(failed, names, number + len(ends)))
            places = [number + i for i, end in enumerate(ends) if end is None]
            answers = iter(answer(batch, [names.pop(place) for place in places]))
            number += len(ends)
            yield from [next(answers) if end is None else end for end in ends]
    while (end := _failure(failed, names, number)) is not None:
        yield end
        number += 1


def in_chunks(items: Iterable[Any], *, size: int, keep: bool, answer: Answer) -> Iterator[Row]:
    """Yield the same of lists of items, where a batch is not all that it takes: several views.

    The arguments are those of `in_batches`; `answer` makes predictions of a list of items.
    """
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        names = [name_of(item) for item in chunk]
        try:
            rows: list[Row] = list(answer(chunk, names))
        except ImageError:
            if not keep:
                raise
            rows = [_alone(item, name, answer) for item, name in zip(chunk, names, strict=True)]
        yield from rows


def _alone(item: Any, name: str | None, answer: Answer) -> Row:
    try:
        return answer([item], [name])[0]
    except ImageError as error:
        return Failed(str(error), name)


def _failure(failed: Failures, names: dict[int, str | None], number: int) -> Failed | None:
    found = failed.pop(number, None)
    if found is None:
        return None
    names.pop(number, None)
    return Failed(*found)


def chosen_items(items: Any) -> Iterable[Any]:
    """Return the pictures in a folder and those below it, or the items as they are.

    Raises:
        TypeError: it is a single picture, or nothing that yields pictures.
        FileNotFoundError: there is no such folder.
        DataError: there are no pictures in it.
    """
    if not isinstance(items, str | os.PathLike):
        what = _single(items)
        if what is not None:
            raise TypeError(
                f"predict_many takes several pictures, a folder or a list, but got {what}: write "
                "predict_many([item]), or predict(item)."
            )
        found: Iterable[Any] = items
        return found
    folder = AnyPath(items)
    if not folder.is_dir():
        if folder.exists():
            raise TypeError(
                f"predict_many takes several pictures, a folder or a list, but `{folder}` is one "
                f"file: write predict_many([{str(items)!r}]), or predict({str(items)!r})."
            )
        raise FileNotFoundError(f"There is no folder `{folder}`.")
    files = get_image_files(folder)
    if not files:
        raise DataError(f"There are no pictures in `{folder}`, nor in folders below it.")
    return list(files)


def _single(items: Any) -> str | None:
    """Return what a thing is that would be taken apart, or cannot be; None for several pictures."""
    if isinstance(items, bytes | bytearray | memoryview) or hasattr(items, "getexif"):
        return "one"
    if hasattr(items, "read"):
        return "an opened file"
    shape = getattr(items, "shape", None)
    if shape is not None and len(shape) < 4 and not hasattr(items, "columns"):
        # Of one picture each row would be taken for a picture.
        return f"an array of shape {[*shape]}, which is one picture, or looks like one"
    if isinstance(items, dict) or not isinstance(items, Iterable):
        return brief(items)
    return None


def check_amounts(*, tta: int = 0, batch_size: int | None = None, num_workers: int = 0) -> None:
    """Refuse numbers that mean nothing.

    Raises:
        ValueError: one of them is too small.
    """
    rows = (("tta", tta, 0), ("batch_size", batch_size, 1), ("num_workers", num_workers, 0))
    for name, given, least in rows:
        if given is not None and given < least:
            raise ValueError(f"{name} is {least} or more, but got {given}.")
