"""What must be the same of the data for a run to be gone on with: described, and compared."""

import warnings
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from presize.core.errors import ModelFileError, TrainingError
from presize.core.pipeline import Pipeline
from presize.core.settings import alike, made_with, told
from presize.core.transform import Transform
from presize.core.types import JSON
from presize.data.fingerprint import fingerprint
from presize.data.warned import warn_user

if TYPE_CHECKING:
    from presize.learner import Learner

_STAGES = ("after_item", "before_batch", "after_batch")


def describe_data(learn: "Learner") -> dict[str, Any]:
    """Return what must be the same of the data for a run to go on with it."""
    loaders = (learn.dls.train, learn.dls.valid)
    items, others = (getattr(loader, "dataset", None) for loader in loaders)
    vocab = getattr(items, "vocab", None)
    found = [list(_transforms(loader)) for loader in loaders]
    return {
        "items": _length(items),
        "valid": _length(others),
        "bs": getattr(learn.dls.train, "bs", None),
        "batches": len(learn.dls.train),
        "vocab": None if vocab is None else [str(name) for name in vocab],
        "names": [fingerprint(items), fingerprint(others)],
        "transforms": [[step for known, step in one if known] for one in found],
        "functions": [[step for known, step in one if not known] for one in found],
    }


def check_data(learn: "Learner", then: dict[str, Any], *, same_world: bool) -> None:
    """Refuse to go on with other data than a run began with.

    Transforms of presize's own tell all that they were made with, and are to be the same. Of other
    ones not all is known, and what was learned from a batch is another thing with another seed:
    there is a warning.

    Raises:
        TrainingError: says what is another.
    """
    now = describe_data(learn)
    words = {
        "items": "items to train on",
        "valid": "items to validate on",
        "bs": "items in a batch",
        "batches": "batches in an epoch",
        "vocab": "as classes",
    }
    for key, what in words.items():
        if now[key] != then[key] and (same_world or key != "batches"):
            raise _of_other_data(f"{_shown(then[key])} {what}", _shown(now[key]))
    if now["names"] != then["names"]:
        raise TrainingError(
            "The checkpoint is of a run with other pictures, or with the same ones in another "
            "order or split: are the seed and the splitter those of that run? A run goes on only "
            "with the data that it began with."
        )
    for before, after in zip(then["transforms"], now["transforms"], strict=True):
        if not alike(before, after):
            one, other = _difference(before, after)
            raise _of_other_data(one, other)
    for before, after in zip(then["functions"], now["functions"], strict=True):
        if not alike(before, after):
            one, other = _difference(before, after)
            warn_user(
                f"The checkpoint is of a run whose data passed through {one}, and that of this "
                f"learner passes through {other}: it may not be the run that it was."
            )


def _of_other_data(then: str, now: str) -> TrainingError:
    return TrainingError(
        f"The checkpoint is of a run with {then}, and this learner has {now}. A run goes on only "
        "with the data that it began with; to train on with other data take its weights alone, "
        "learn.load(the checkpoint)."
    )


def _transforms(loader: Any) -> Iterator[tuple[bool, JSON]]:
    """Yield what is done to items and batches, and before it whether all of that is known.

    A `ProgressiveResize` sets other sizes only while an epoch runs.
    """
    dataset = getattr(loader, "dataset", None)
    own = getattr(dataset, "__dict__", {})
    pipelines = [getattr(dataset, "tfms", None), own.get("transform"), own.get("target_transform")]
    for stage in [*pipelines, *(getattr(loader, name, None) for name in _STAGES)]:
        for one in _steps(stage):
            yield from _described(one)


def _steps(stage: Any) -> Iterator[Any]:
    if isinstance(stage, Pipeline | list | tuple):
        for one in stage:
            yield from _steps(one)
    elif stage is not None:
        yield stage


def _described(one: Any) -> Iterator[tuple[bool, JSON]]:
    """Yield a step as its name and arguments, or as text."""
    if not isinstance(one, Transform) or one.function is not None:
        yield False, told(getattr(one, "function", one))
        return
    try:
        with warnings.catch_warnings():  # of an argument that is a function, which is left out
            warnings.simplefilter("ignore")
            arguments = getattr(one, "spec", lambda: None)()
    except ModelFileError:  # made of functions alone
        arguments = None
    if arguments is None:
        yield False, made_with(one)
        return
    learns = type(one).setups is not Transform.setups
    # Of steps that are done as one, each is told by itself.
    for part in arguments.get("transforms", [{"name": one.name, "arguments": arguments}]):
        yield not learns, [part["name"], part["arguments"]]


def _difference(then: list[Any], now: list[Any]) -> tuple[str, str]:
    """Return the first steps that differ, as text."""
    pairs = list(zip_longest(then, now))
    one, other = next(pair for pair in pairs if not alike(*pair))
    return _shown(_step(one, other)), _shown(_step(other, one))


def _step(step: Any, beside: Any) -> str:
    """Return a step as text; beside one of its name, only the arguments that differ."""
    if not isinstance(step, list):
        return "no more steps" if step is None else str(step)
    name, arguments = step
    if isinstance(beside, list) and beside[0] == name:
        arguments = {k: v for k, v in arguments.items() if not alike(v, beside[1].get(k))}
    return f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})"


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def _shown(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else f"{value}"
    return text if len(text) <= 200 else f"{text[:200]}…"
