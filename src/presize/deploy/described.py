"""Checks what a model file says of its data, before anything is built from it."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path as AnyPath
from typing import Any, get_args

from presize.core.errors import ModelFileError
from presize.core.transform import Transform
from presize.core.types import Task
from presize.deploy.registry import build_transform, picture_kind

CLASSIFIES = ("classification", "multilabel")
MOST_TRANSFORMS = 100
MOST_PIXELS = 1 << 26  # of one picture: 8192 x 8192
MOST_BATCH = 1 << 32  # pixels of a batch: 64 of those
MOST_BS = 1_000_000
MOST_NUMBER = 1_000_000  # that a transform may be given
MOST_TEXT, MOST_LIST, DEEPEST = 1000, 10_000, 4
LABELS = ("vocab", "codes")  # lists of these may be long, and hold any number or text
MOST_CLASSES = 1_000_000


def check_data(data: Mapping[str, Any], n_out: int | None, path: AnyPath | str) -> None:
    """Check the inputs, targets, transforms, sizes and classes that a model file names.

    Args:
        data: `ModelFile.data`.
        n_out: how many outputs the network has; None if that is not known.
        path: of the file, for the errors.

    Raises:
        ModelFileError: a part is missing, of another type, of an unknown name, or absurdly large;
            the classes are not as many as the outputs, or one is there twice.
    """
    where = f"The description of the data in {path}"
    _check_fields(data, where)
    for name in data["inputs"]:
        picture_kind(name)
    groups = [data["after_item"], data["after_batch"], *data["targets"]]
    if sum(map(len, groups)) > MOST_TRANSFORMS:
        raise ModelFileError(f"{where} names more than {MOST_TRANSFORMS} transforms.")
    built = [[_built(one, where) for one in group] for group in groups]
    _check_sizes([*built[0], *built[1]], data["bs"], where)
    if data["task"] in CLASSIFIES and len(built) == 3:
        _check_classes(built[2], n_out, where)


def _check_fields(data: Mapping[str, Any], where: str) -> None:
    lists = ("inputs", "targets", "after_item", "after_batch")
    wrong = [name for name in lists if not isinstance(data.get(name), list)]
    if not wrong:
        wrong += [] if data["inputs"] and _all(data["inputs"], str) else ["inputs"]
        wrong += [] if _all(data["targets"], list) else ["targets"]
    task, bs = data.get("task"), data.get("bs")
    known = "task" in data and (task is None or task in get_args(Task))
    wrong += [] if known else ["task"]
    wrong += [] if type(bs) is int and 1 <= bs <= MOST_BS else ["bs"]
    if wrong:
        got = ", ".join(f"{name} {data.get(name)!r:.60}" for name in wrong)
        raise ModelFileError(f"{where} is not valid: it has {got}. {_WAY_OUT}")


def _all(values: list[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _built(one: Any, where: str) -> Transform:
    if not isinstance(one, dict) or set(one) != {"name", "arguments"}:
        raise ModelFileError(f"{where} has {one!r:.80} in the place of a transform. {_WAY_OUT}")
    name, arguments = one["name"], one["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise ModelFileError(f"{where} has {one!r:.80} in the place of a transform. {_WAY_OUT}")
    for argument, value in arguments.items():
        if argument in LABELS:
            _check_labels(value, name, where)
        elif not _sane(value):
            raise ModelFileError(
                f"{where} has the transform `{name:.80}` with an impossible "
                f"{argument:.40}: {value!r:.80}. {_WAY_OUT}"
            )
    return build_transform(name, arguments)


def _sane(value: Any, depth: int = 0) -> bool:
    if isinstance(value, bool | None):
        return True
    if isinstance(value, int | float):
        return abs(value) <= MOST_NUMBER  # also not so for NaN
    if isinstance(value, str):
        return len(value) <= MOST_TEXT
    if depth == DEEPEST or len(value) > MOST_LIST:
        return False
    inner = value.values() if isinstance(value, dict) else value
    return all(_sane(each, depth + 1) for each in inner)


def _check_labels(labels: Any, name: str, where: str) -> None:
    fits = labels is None or (
        isinstance(labels, list)
        and len(labels) <= MOST_CLASSES
        and all(isinstance(label, str | int | float) for label in labels)
        and all(math.isfinite(label) for label in labels if isinstance(label, float))
    )
    if not fits:
        raise ModelFileError(
            f"{where} has classes for `{name:.80}` that are not texts and numbers: "
            f"{labels!r:.80}. {_WAY_OUT}"
        )
    if labels is not None and len(set(labels)) < len(labels):
        twice = next(label for label, times in Counter(labels).items() if times > 1)
        raise ModelFileError(f"{where} has the class {twice!r:.80} twice. {_WAY_OUT}")


def _check_sizes(transforms: list[Transform], bs: int, where: str) -> None:
    for transform in transforms:
        longest: int = getattr(transform, "max_sz", 1)
        height, width = getattr(transform, "size", None) or (longest, longest)
        if height * width > MOST_PIXELS:
            raise ModelFileError(
                f"{where} makes pictures of {height} x {width} pixels ({transform.name}), and at "
                f"most {MOST_PIXELS:,} pixels are made. {_WAY_OUT}"
            )
        if bs * height * width > MOST_BATCH:
            raise ModelFileError(
                f"{where} makes batches of {bs:,} pictures of {height} x {width} pixels, and at "
                f"most {MOST_BATCH:,} pixels are put together. {_WAY_OUT}"
            )


def _check_classes(built: list[Transform], n_out: int | None, where: str) -> None:
    vocab = next((v for t in built if (v := getattr(t, "vocab", None)) is not None), None)
    if vocab is None and any(hasattr(t, "vocab") for t in built):
        raise ModelFileError(f"{where} has no classes, but is one for labels. {_WAY_OUT}")
    if vocab is not None and n_out is not None and len(vocab) != n_out:
        raise ModelFileError(
            f"{where} has {len(vocab)} classes, but the network has {n_out} outputs. {_WAY_OUT}"
        )


_WAY_OUT = "The file was changed by hand, or is of another version: export the model again."
