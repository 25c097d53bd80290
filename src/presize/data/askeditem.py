"""What somebody asks a model about: whatever holds a picture, in the form that loaders take.

A path, the bytes of a picture file, a file opened in binary mode, a PIL image, an array, a tensor.
"""

import os
import re
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from presize.core.errors import DataError, ImageError
from presize.data.blame import brief
from presize.data.datasets import Datasets, TfmdLists
from presize.data.decode import source_of
from presize.data.images import PILBase, Readable
from presize.data.namedbytes import NamedBytes
from presize.data.rows import row

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,15}://|data:[\w/+.-]*[;,]")
_SHOWN = 80


def asked_item(dsets: Any, item: Any, name: str | None = None) -> Any:
    """Return an item in the form that data takes; what is no picture is returned as it is.

    Args:
        dsets: the data set, whose pipelines say how items become pictures.
        item: what is asked about.
        name: what errors call the picture, where it is no file.

    Raises:
        ImageError: it is the address of a picture on the web, an array that is none, or a file that
            is closed.
        TypeError: a file that is open in text mode.
    """
    if isinstance(item, os.PathLike):
        return item
    tl = _input_of(dsets)
    kind = None if tl is None else picture_kind_of(tl)
    if tl is None or kind is None:
        return item
    if isinstance(item, str):
        _refuse_address(item)
        return item
    if isinstance(item, bytearray | memoryview):
        item = bytes(item)
    elif isinstance(item, np.ndarray | Tensor):
        return item if _is_own(tl, item) else _as_picture(kind, item, name)
    elif isinstance(item, Readable) and not isinstance(item, Image.Image):
        item, name = _content(item), name or _name_of(item)
    if isinstance(item, bytes) and name is not None and not isinstance(item, NamedBytes):
        return NamedBytes(item, name)
    return item


def check_kind(dsets: Any, item: Any) -> None:
    """Refuse what nothing can be done with, where the items of the data are pictures themselves.

    Raises:
        TypeError: it is neither a picture nor anything that holds one.
    """
    tl = _input_of(dsets)
    kind = None if tl is None else picture_kind_of(tl)
    if tl is None or kind is None or getattr(tl.tfms.fs[0].function, "__self__", None) is not kind:
        return
    if not isinstance(item, str | os.PathLike | bytes | Image.Image | np.ndarray | Tensor):
        raise TypeError(
            "A picture is asked about as a path, bytes, a file that is open in binary mode, a PIL "
            f"image, an array or a tensor, but got {brief(item)} ({type(item).__name__})."
        )


def name_of(item: Any) -> str | None:
    """Return the file that an item is, or is from; None where it has no name."""
    if isinstance(item, str | os.PathLike):
        return str(item)
    if isinstance(item, NamedBytes):
        return item.name
    if isinstance(item, Image.Image):
        found = getattr(item, "filename", None)  # of a picture that is still as it was opened
        return str(found) if found else None
    return _name_of(item) if isinstance(item, Readable) else None


def picture_kind_of(tl: TfmdLists) -> type[PILBase] | None:
    """Return the class whose `create` opens the pictures of a pipeline; None if none does."""
    for transform in tl.tfms.fs:
        kind = getattr(transform.function, "__self__", None)
        if isinstance(kind, type) and issubclass(kind, PILBase):
            return kind
    return None


def _input_of(dsets: Any) -> TfmdLists | None:
    """Return the pipeline of the only input; None where there are several, or none is known."""
    if isinstance(dsets, Datasets):
        return dsets.tls[0] if dsets.n_inp == 1 else None
    return dsets if isinstance(dsets, TfmdLists) else None


def _is_own(tl: TfmdLists, item: Any) -> bool:
    """Say whether the items of the data are of this kind themselves."""
    return bool(len(tl.items)) and isinstance(item, type(row(tl.items, 0)))


def _refuse_address(text: str) -> None:
    if _URL.match(text) and not os.path.exists(text):  # noqa: PTH110  # a Path raises of long names
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        raise ImageError(
            f"`{shown}` is the address of a picture, and nothing is fetched from the network to "
            "predict. Fetch it yourself, and give the file or its bytes."
        )


def _as_picture(kind: type[PILBase], item: Any, name: str | None) -> Image.Image:
    """Return the picture of an array or a tensor, with its pixels as they are."""
    try:
        return Image.fromarray(kind._pixels_of(item))
    except (DataError, TypeError) as error:
        named = "" if name is None else f"`{name}`: "
        raise ImageError(f"{named}{error}") from error


def _content(file: Any) -> bytes:
    """Return the rest of an opened file."""
    try:
        data = source_of(file)
    except (OSError, ValueError) as error:
        where = _name_of(file)
        raise ImageError(
            f"{'The file' if where is None else f'`{where}`'} cannot be read: {error}. Give a file "
            "that is open in binary mode, open(path, 'rb'), at its beginning."
        ) from error
    assert isinstance(data, bytes)
    return data


def _name_of(file: Any) -> str | None:
    found = getattr(file, "name", None)
    return str(found) if isinstance(found, str | os.PathLike) else brief_name(found)


def brief_name(found: object) -> str | None:
    """Return the name of what has an odd one, such as the number of a pipe; None for none."""
    return None if found is None else brief(found)
