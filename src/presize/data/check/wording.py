"""How names and numbers are written in the report."""

import os
from collections.abc import Sequence

from presize.data.check.entries import Collection
from presize.data.labelcheck import Label


def amount(n: int, thing: str, plural: str = "") -> str:
    """Return "1 picture" or "1,234 pictures"."""
    return f"{n:,} {thing if n == 1 else plural or thing + 's'}"


def are(n: int) -> str:
    """Return "is" for one and "are" for others."""
    return "is" if n == 1 else "are"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return "a", "a and b", "a, b and c"."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def short(data: Collection, name: str) -> str:
    """Return the name of a picture, relative to the folder of the data if it is in there."""
    if data.root is None:
        return name
    return name.removeprefix(os.path.join(data.root, ""))  # noqa: PTH118 - with the slash


def picture(data: Collection, i: int) -> str:
    """Return the short name of the picture at position `i`."""
    return short(data, data.entries[i].name)


def label_text(label: Label) -> str:
    """Return a label so that white space at its ends is seen."""
    text = str(label)
    return repr(text) if text != " ".join(text.split()) or not text.isprintable() else text


def printable(text: str) -> str:
    """Return a text that any terminal takes: bytes that are no text, as in file names, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
