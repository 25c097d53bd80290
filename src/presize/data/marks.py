"""Marks of files: short hashes of their names, to know a validation set again without a list.

A model file says with them which pictures it was judged by, so that a report or a check on the
same data, perhaps on another machine, does not judge it by those that it was trained on.
"""

import base64
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import PurePath

MOST = 100_000  # of marks in a file, 1 MB of text
_BYTES = 8  # one of 10^5 marks is that of another of 10^6 files once in 10^8 times


def mark(file: str | PurePath, root: str | PurePath | None = None) -> bytes:
    """Return the mark of a file: of its path in the folder `root`, as that may have moved.

    Of a file that is not below it, and where there is no folder, its name and its folder's count.
    """
    path = PurePath(file)
    inside = root is not None and path.is_relative_to(root)
    parts = path.relative_to(root).parts if root is not None and inside else path.parts[-2:]
    return blake2b("/".join(parts).encode("utf-8", "surrogateescape"), digest_size=_BYTES).digest()


def to_text(files: Iterable[str | PurePath], root: str | PurePath | None = None) -> str | None:
    """Return the marks of files as text; None where there are none, or too many."""
    found = sorted({mark(file, root) for file in files})
    return base64.b64encode(b"".join(found)).decode() if 0 < len(found) <= MOST else None


def from_text(text: str) -> frozenset[bytes]:
    """Return the marks that `to_text` wrote.

    Raises:
        ValueError: the text is something else.
    """
    whole = base64.b64decode(text, validate=True)
    if len(whole) % _BYTES:
        raise ValueError("it is cut off")
    return frozenset(whole[i : i + _BYTES] for i in range(0, len(whole), _BYTES))
