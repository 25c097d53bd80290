"""Reading .safetensors files of anybody: sizes are checked before memory is taken.

The format has its own checks: shapes and offsets must fill the file exactly, without gaps or
overlaps. What is added here bounds what presize's JSON beside the tensors can take.
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from presize.core.errors import ModelFileError, did_you_mean
from presize.core.file_kind import file_kind, how_to_convert

HEADER = "presize"  # the key of our JSON in the metadata of the file
FORMAT = 1
MOST_HEADER = 100_000_000  # bytes, as the format has it
# Values in the JSON: a million classes, and as many counts of them. As Python objects an empty
# list takes 24 times its text, so that the size of the text alone bounds too little.
MOST_VALUES = 5_000_000
DEEPEST = 100  # levels of JSON in each other: Python itself gives up at some 1000
MOST_ALIASES = 64  # what tensors that share memory may take apart, as a multiple of the file
# What the library raises of files that are broken, beside its own error: of kinds of numbers that
# this PyTorch lacks, and of names that are no text.
BROKEN = (SafetensorError, AttributeError, KeyError, OverflowError, RuntimeError, TypeError,
          ValueError)  # fmt: skip


@contextmanager
def opened(path: Path, way_out: str) -> Iterator[Any]:
    """Open a .safetensors file whose header is of a sane size.

    Args:
        path: the file.
        way_out: what to do if it is cut short, for the error.

    Raises:
        FileNotFoundError: it is not there; files nearby are named.
        ModelFileError: it is something else, says what, or is broken.
    """
    _check_there(path)
    _check_header(path, way_out)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except ModelFileError:
        raise
    except BROKEN as error:
        raise ModelFileError(_broken(path, str(error), way_out)) from error


def our_header(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return presize's JSON of a file's metadata: format, aliases, meta.

    Raises:
        ModelFileError: it has none, it is not valid, too large, or of a newer presize.
    """
    text = (metadata or {}).get(HEADER)
    if text is None:
        raise ModelFileError(
            f"{path} is a .safetensors file, but presize did not write it: it holds weights alone. "
            "Give such a file to weights= when you make the learner."
        )
    values = sum(text.count(mark) for mark in "[{,")
    if values > MOST_VALUES:
        raise ModelFileError(
            f"The header of {path} holds {values:,} values, and at most {MOST_VALUES:,} are read: "
            "it is broken, or made to fill the memory. Get the file from somebody you trust."
        )
    try:
        header = json.loads(text)
        whole = (
            isinstance(header["aliases"], dict)
            and isinstance(header["meta"], dict)
            and type(header["format"]) is int
            and not _too_deep(header)
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise ModelFileError(
            f"The header of {path} is not valid: presize's part of it is broken, or was changed by "
            "hand. Get the file again from where it came."
        )
    if header["format"] > FORMAT:
        raise ModelFileError(
            f"{path} was written by a newer presize (format {header['format']}, this one reads up "
            f"to {FORMAT}). Update presize to read it."
        )
    return dict(header)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for each in inner for one in each if isinstance(one, dict | list)]
    return bool(level)


def add_aliases(path: Path, tensors: dict[str, Tensor], aliases: Mapping[str, Any]) -> None:
    """Add the further names of tensors that are one in memory.

    Raises:
        ModelFileError: a name is of no tensor, is taken, or they are absurdly many.
    """
    size = 0
    for name, same in aliases.items():
        if not isinstance(same, str) or same not in tensors or name in tensors:
            raise ModelFileError(
                f"The header of {path} is not valid: it has the tensor `{name:.80}` for another "
                "name of one that is not there. Get the file again from where it came."
            )
        tensors[name] = tensors[same]
        size += tensors[same].nbytes
    if size > MOST_ALIASES * path.stat().st_size:
        raise ModelFileError(
            f"{path} names the same tensors {len(aliases):,} times, as if they took {size:,} "
            "bytes: it is broken, or made to fill the memory. Get it from somebody you trust."
        )


def _check_there(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the file in it.")
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*.safetensors"))[:8]
        seen = f" That folder has: {', '.join(near)}." if near else ""
        raise FileNotFoundError(f"There is no file {path}.{did_you_mean(path.name, near)}{seen}")
    if not path.is_file():
        raise ModelFileError(f"{path} is no file but a pipe or a device; give a file.")


def _check_header(path: Path, way_out: str) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
    kind = file_kind(path)
    if kind.kind not in ("safetensors", "unknown", "text", "empty"):
        raise ModelFileError(f"{path} is {kind.words}. {how_to_convert(kind.kind)}")
    if len(start) < 9:
        raise ModelFileError(_broken(path, "it has no header" if start else "it is empty", way_out))
    length = struct.unpack("<Q", start[:8])[0]
    if start[8:] != b"{":
        raise ModelFileError(_broken(path, "its header is no JSON", way_out))
    if length > MOST_HEADER:
        raise ModelFileError(
            f"{path} ({size:,} bytes) is no .safetensors file, or made to fill the memory: it "
            f"claims a header of {length:,} bytes, and at most {MOST_HEADER:,} are read. {way_out}."
        )
    if length > size - 8:
        raise ModelFileError(_broken(path, f"its header should have {length:,} bytes", way_out))


def _broken(path: str | os.PathLike[str], why: str, way_out: str) -> str:
    size = os.stat(path).st_size  # noqa: PTH116
    return (
        f"{path} ({size:,} bytes) is no complete .safetensors file: {why:.300}. It was cut short, "
        f"or is something else: {way_out}."
    )
