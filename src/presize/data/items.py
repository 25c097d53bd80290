"""Finding the files of a data set.

The order is that of the sorted paths, not the one in which the disk happens to list them: a
seeded split is then the same on every machine and after every copy of the folder.
"""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from presize.core.collections import L
from presize.core.collector import collector_resting
from presize.core.errors import DataError, did_you_mean
from presize.core.paths import Path

Names: TypeAlias = str | Iterable[str] | None
_FolderId: TypeAlias = tuple[int, int]

# Phones write .heic: it is listed so that such pictures are reported as unreadable where no
# decoder is installed, and not silently left out of the training set.
# fmt: off
image_extensions: set[str] = {
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2",
    ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif",
    ".tiff", ".webp",
}
# fmt: on
"""Endings of the files that `get_image_files` takes, in lower case."""


class FolderNotFoundError(DataError, FileNotFoundError):
    """The folder to read from does not exist."""


@dataclass(frozen=True)
class _Search:
    """What to take: endings (none means all), and whether to go down folders and links."""

    endings: tuple[str, ...]
    recurse: bool
    followlinks: bool


def get_files(
    path: str | os.PathLike[str],
    extensions: Names = None,
    recurse: bool = True,
    folders: Names = None,
    *,
    followlinks: bool = True,
) -> L[Path]:
    """Return the files in a folder, in the order of their sorted paths; empty if there are none.

    Hidden files and folders (names that start with a dot) are left out. A link that leads back
    to a folder above it is not followed again.

    Args:
        path: the folder to look in.
        extensions: endings to keep, in any case, with or without the dot; None keeps all files.
        recurse: look into the folders inside, too.
        folders: names of the folders directly in `path` to keep; "." stands for the files
            directly in `path`. None keeps everything.
        followlinks: look into folders that are links, too.

    Raises:
        FolderNotFoundError: `path`, or every one of `folders`, does not exist.
        DataError: `path` is not a folder.
    """
    root = _existing_folder(path)
    search = _Search(_endings(extensions), recurse, followlinks)
    found: list[str] = []
    if not (wanted := _name_list(folders)):
        _scan(str(root), search, found, ())
    for name in _present(root, wanted):
        top = search if name != "." else _Search(search.endings, False, followlinks)
        _scan(str(root / name), top, found, ())
    with collector_resting():
        return L([Path(name) for name in found])


def get_image_files(
    path: str | os.PathLike[str], recurse: bool = True, folders: Names = None
) -> L[Path]:
    """Return the pictures in a folder, told by their endings; see `get_files`."""
    return get_files(path, image_extensions, recurse, folders)


@dataclass(frozen=True)
class FileGetter:
    """`get_files` with its choices made beforehand: call it with the folder.

    Args:
        suf: a folder inside the given one to look in.
        extensions: see `get_files`.
        recurse: see `get_files`.
        folders: see `get_files`.
    """

    suf: str | os.PathLike[str] = ""
    extensions: Names = None
    recurse: bool = True
    folders: Names = None

    def __call__(self, path: str | os.PathLike[str]) -> L[Path]:
        """Return the files in `path`."""
        return get_files(Path(path) / self.suf, self.extensions, self.recurse, self.folders)


@dataclass(frozen=True)
class ImageGetter:
    """`get_image_files` with its choices made beforehand: call it with the folder.

    Args:
        suf: a folder inside the given one to look in.
        recurse: see `get_files`.
        folders: see `get_files`.
    """

    suf: str | os.PathLike[str] = ""
    recurse: bool = True
    folders: Names = None

    def __call__(self, path: str | os.PathLike[str]) -> L[Path]:
        """Return the pictures in `path`."""
        return get_image_files(Path(path) / self.suf, self.recurse, self.folders)


def _scan(folder: str, search: _Search, found: list[str], above: tuple[_FolderId, ...]) -> None:
    """Append the files of `folder` to `found`; `above` are the folders on the way here."""
    with os.scandir(folder) as listing:
        entries = sorted((e for e in listing if e.name[0] != "."), key=lambda e: e.name)
    here: tuple[_FolderId, ...] = ()
    for entry in entries:
        if not entry.is_dir():
            # A broken link counts as a file: reading it fails with its name, nothing is hidden.
            if not search.endings or entry.name.lower().endswith(search.endings):
                found.append(entry.path)
        elif search.recurse and (search.followlinks or not entry.is_symlink()):
            here = here or (*above, _folder_id(folder))
            if not entry.is_symlink() or _folder_id(entry.path) not in here:
                _scan(entry.path, search, found, here)


def _folder_id(folder: str) -> _FolderId:
    status = Path(folder).stat()
    return status.st_dev, status.st_ino


def _name_list(names: Names) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else sorted(set(names))


def _endings(extensions: Names) -> tuple[str, ...]:
    names = [name.lower() for name in _name_list(extensions)]
    return tuple(name if name.startswith(".") else f".{name}" for name in names)


def _existing_folder(path: Any) -> Path:
    """Return the folder, or raise the error that helps to find the right one."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"A folder to look for files in is expected, but got {type(path).__name__}. "
            "Where the items are known already, as a list or a DataFrame, leave out `get_items`."
        )
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise DataError(
            f"`{folder}` is a file, not a folder to look for files in. Give the folder that it "
            f"is in, `{folder.parent}`; an archive has to be unpacked first."
        )
    raise FolderNotFoundError(_missing_text(folder))


def _missing_text(folder: Path) -> str:
    """Say which part of a path is missing, and which names there are in its place."""
    if folder.parts[:1] == ("~",):
        home = folder.expanduser()
        return f"There is no folder `{folder}`. `~` has to be written out: `{home}`."
    whole = folder.absolute()
    present = next(above for above in whole.parents if above.is_dir())
    missing = whole.relative_to(present).parts[0]
    text = f"There is no folder `{folder}`: `{present}` has no `{missing}`."
    return text + _near(missing, present)


def _near(missing: str, folder: Path) -> str:
    """Return the part of an error text that lists the folders in `folder`, the nearest first."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    listed = ", ".join(f"`{name}`" for name in names[:8]) + (", ..." if len(names) > 8 else "")
    return f"{did_you_mean(missing, names)} The folders in it are: {listed or 'none'}."


def _present(root: Path, wanted: list[str]) -> list[str]:
    """Return those of the wanted folder names that exist; complain about the others."""
    missing = [name for name in wanted if not (root / name).is_dir()]
    if not missing:
        return wanted
    text = (
        f"`{root}` has no folder {' or '.join(f'`{name}`' for name in missing)}, named in "
        f"`folders=`.{_near(missing[0], root)}"
    )
    if len(missing) == len(wanted):
        raise FolderNotFoundError(text)
    warnings.warn(text + " Going on with the others.", stacklevel=3)
    return [name for name in wanted if name not in missing]
