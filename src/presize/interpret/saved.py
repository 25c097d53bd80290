"""Answers on disk: one .safetensors file with figures, file names and classes, and no code.

The tensors are those of the interpretation, `indices`, and `files`: the names in UTF-8, one after
another with a zero byte between (a header of the format may have 100 MB, and a million names more).
The metadata is JSON: the kind, the classes, the number of the loader.
"""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from presize.core.errors import DataError, ModelFileError
from presize.core.paths import Path
from presize.data.eachonce import in_order
from presize.interpret.kept_items import SPLITS, Items
from presize.train.state import load_state, save_state

if TYPE_CHECKING:
    from presize.interpret.interpretation import Interpretation
    from presize.learner import Learner

    Any_ = TypeVar("Any_", bound=Interpretation)

KIND = "presize predictions"
FORMAT = 1
SUFFIX = ".safetensors"
_PARTS = ("indices", "files")
_META = ("format", "of", "split", "vocab", "options")


def save_interpretation(interp: "Interpretation", path: str | os.PathLike[str]) -> Path:
    """Write an interpretation to one file, whole or not at all; return the file.

    Args:
        interp: what to write.
        path: the file; `.safetensors` is added where it is missing.
    """
    file = Path(path)
    file = file if file.suffix == SUFFIX else file.with_name(file.name + SUFFIX)
    text = "\0".join(interp.files).encode("utf-8", "surrogateescape")
    tensors = {
        **interp.tensors(),
        "indices": interp.indices,
        "files": torch.from_numpy(np.frombuffer(text, np.uint8).copy()),
    }
    meta = {
        "kind": KIND,
        "format": FORMAT,
        "of": interp.kind,
        "split": interp.items.split,
        "vocab": None if interp.vocab is None else [_plain(name) for name in interp.vocab],
        "options": interp.options(),
        "versions": {"presize": version("presize")},
    }
    save_state(file, tensors=tensors, meta=meta)
    return file


def read_interpretation(
    cls: "type[Any_]", path: str | os.PathLike[str], learn: "Learner | None", dl: Any
) -> "Any_":
    """Read what `save_interpretation` wrote; see `Interpretation.load`."""
    tensors, meta = read(path)
    if meta["of"] != cls.kind:
        raise ModelFileError(
            f"{path} holds {meta['of']}, and {cls.__name__} reads {cls.kind}. "
            "presize.interpret.choice.load_interpretation(path) reads all kinds."
        )
    return made(cls, tensors, meta, path, learn, dl)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of a file.

    Raises:
        ModelFileError: it is no such file.
    """
    tensors, meta = load_state(path)
    if meta.get("kind") != KIND:
        raise ModelFileError(
            f"{path} is a {meta.get('kind') or 'file of another program'}, and no predictions. "
            "Predictions are written by interp.save(path)."
        )
    missing = [name for name in _META if name not in meta]
    missing += [name for name in ("losses", *_PARTS) if name not in tensors]
    if not missing:
        missing += [name for name in ("of", "split") if not isinstance(meta[name], str)]
        missing += [] if type(meta["format"]) is int else ["format"]
        missing += [name for name in ("losses", "indices") if tensors[name].ndim != 1]
        missing += [] if tensors["losses"].is_floating_point() else ["losses"]
    if missing:
        raise ModelFileError(
            f"{path} lacks {', '.join(missing)}: it was changed since it was written. Make it "
            "again."
        )
    if meta["format"] > FORMAT:
        raise ModelFileError(
            f"{path} has the format {meta['format']}, but this presize ({version('presize')}) "
            f"reads formats up to {FORMAT}: upgrade presize."
        )
    return tensors, meta


def made(
    cls: "type[Any_]",
    tensors: dict[str, Tensor],
    meta: dict[str, Any],
    path: str | os.PathLike[str],
    learn: "Learner | None",
    dl: Any,
) -> "Any_":
    """Return the interpretation that a file holds, beside the learner that it is of."""
    text = tensors["files"].numpy().tobytes().decode("utf-8", "surrogateescape")
    indices, n = tensors["indices"], len(tensors["losses"])
    files = text.split("\0") if n else []
    if not len(files) == len(indices) == n:
        raise ModelFileError(
            f"{path} has {len(files)} file names and {len(indices)} positions for {n} items: it "
            "was changed since it was written. Make it again."
        )
    items = Items(indices, files=files, split=meta["split"])
    if learn is not None or dl is not None:
        items.dl = _loader(items, meta, learn, dl)
    rest = {name: value for name, value in tensors.items() if name not in _PARTS}
    try:
        interp = cls.from_tensors(rest, items, meta["vocab"], meta["options"])
    except ModelFileError:
        raise
    except (TypeError, ValueError, LookupError, RuntimeError) as error:
        raise ModelFileError(
            f"What {path} holds does not go together: {error}. It was changed since it was "
            "written: make it again."
        ) from error
    interp.learn = learn
    return interp


def _loader(items: Items, meta: dict[str, Any], learn: "Learner | None", dl: Any) -> Any:
    """Return the loader that the rows are of.

    Raises:
        DataError: its items are others, or it cannot be told which loader it is.
    """
    number = {name: number for number, name in SPLITS.items()}.get(meta["split"])
    paths = items.paths
    if dl is None and learn is not None and number is not None and number < len(learn.dls):
        dl = learn.dls[number]
    if dl is None or getattr(dl, "n", None) == 0:  # a learner of a model file has no data
        if learn is None or any(path is None for path in paths) or not paths:
            raise DataError(
                f"These predictions are of {meta['split']}, which the learner does not have. Pass "
                "that loader: load(path, learn=learn, dl=dl)."
            )
        items.indices = torch.arange(len(paths))
        return learn.dls.test_dl(list(paths))
    source = in_order(dl)
    here = Items(items.indices, dl=source, split=meta["split"])
    for row, (saved, now) in enumerate(zip(items.files, here.files, strict=True)):
        if saved != now:
            raise DataError(
                f"The learner's data is not what these predictions are of: item "
                f"{int(items.indices[row])} was {saved}, and is {now} now. Pass the loader that "
                "was asked about, dl=, or leave learn= out: pictures are then read from the files."
            )
    return source


def _plain(name: Any) -> Any:
    return name if name is None or isinstance(name, bool | int | float | str) else str(name)
