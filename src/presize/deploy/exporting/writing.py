"""Writing a file whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path as AnyPath

from presize.core.leftovers import remove_leftovers


def write_whole(path: AnyPath, write: Callable[[AnyPath], object]) -> None:
    """Let `write` make a file beside `path`, and put it there when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def with_suffix(path: str | AnyPath, suffix: str) -> AnyPath:
    """Return the path with this ending; ValueError if it has another one."""
    found = AnyPath(path)
    if found.suffix == suffix:
        return found
    if found.suffix:
        raise ValueError(
            f"The file is written as *{suffix}, but `{found.name}` ends with {found.suffix}. Name "
            f"it {found.with_suffix(suffix).name}."
        )
    return found.with_name(found.name + suffix)
