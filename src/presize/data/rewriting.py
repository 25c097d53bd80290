"""Writes a small file so that it is there whole or as it was before, also after a power cut."""

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

from presize.core.leftovers import remove_leftovers


def rewrite(path: pathlib.Path, data: bytes) -> None:
    """Put `data` in the place of a file; its folder is made if need be.

    The file keeps its permissions; of a link the file that it leads to is written.

    Raises:
        OSError: it cannot be written, and is as it was.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            part.chmod(path.stat().st_mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder_to_disk(path.parent)


@contextlib.contextmanager
def one_at_a_time(path: pathlib.Path) -> Iterator[None]:
    """Read and rewrite a file while no other process or thread does: else one would be lost.

    They wait for each other by the folder, so that no other file is left. Windows cannot do that:
    there the last one wins.

    Raises:
        OSError: there is no folder for the file, and none can be made.
    """
    folder = path.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network disks have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def folder_to_disk(folder: pathlib.Path) -> None:
    """Have the names in a folder on the disk, where the system can open folders."""
    with contextlib.suppress(OSError):  # Windows cannot; the file itself is safe by then
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
