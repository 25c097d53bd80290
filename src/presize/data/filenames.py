"""Names of files as text: whole, or relative to a folder. No link is followed, no disk is asked.

As text, because there may be a million: `Path` takes 5 to 10 us for what takes 1 to 2 here.
"""

import os

AnyPath = str | os.PathLike[str]


def whole(name: AnyPath, folder: AnyPath = "") -> str:
    """Return a name from the root of the disk on, without `.` and `..`.

    Args:
        name: of a file.
        folder: that it is relative to, unless it is whole already; "" is the current one.
    """
    return os.path.abspath(os.path.join(folder, name))  # noqa: PTH100, PTH118


def below(name: AnyPath, folder: AnyPath) -> str | None:
    """Return a name as it is below a folder, with `/` in it; None if it is elsewhere.

    Args:
        name: of a file, whole or relative to the folder.
        folder: a whole name.
    """
    start = os.path.join(folder, "")  # noqa: PTH118 - with the slash
    text = whole(name, folder)
    return slashed(text.removeprefix(start)) if text.startswith(start) else None


def is_whole(name: AnyPath) -> bool:
    """Return whether a name is from the root of the disk on."""
    return os.path.isabs(name)  # noqa: PTH117


def slashed(name: str) -> str:
    """Return a name with `/` between its parts on every system."""
    return name.replace(os.sep, "/")
