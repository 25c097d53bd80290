"""`Path`, which lists its folder and prints itself short; and where presize keeps its files."""

import os
import pathlib
import sys
from collections.abc import Iterable
from typing import ClassVar

from presize.core.collections import L
from presize.core.errors import did_you_mean

if sys.platform == "win32":
    from pathlib import WindowsPath as _NativePath
else:
    from pathlib import PosixPath as _NativePath


class Path(_NativePath):
    """A `pathlib.Path` that can list its folder.

    `Path.BASE_PATH = folder` makes all paths below that folder print relative to it; what they
    point to stays the same.
    """

    __slots__ = ()

    BASE_PATH: ClassVar[pathlib.Path | None] = None

    def ls(
        self, n_max: int | None = None, file_exts: str | Iterable[str] | None = None
    ) -> L["Path"]:
        """Return what is in the folder, files and folders alike, sorted by name.

        Args:
            n_max: return at most so many.
            file_exts: keep only names that end so, such as ".png"; capitals do not matter.

        Raises FileNotFoundError or NotADirectoryError if this is not a folder.
        """
        try:
            # Sorted, because the order of a folder differs between file systems, and with it
            # would every split and every `ls()[0]`.
            found = sorted(self.iterdir())
        except FileNotFoundError:
            raise FileNotFoundError(self._not_there()) from None
        except NotADirectoryError:
            raise NotADirectoryError(
                f"{str(self)!r} is a file, and `ls` lists folders: ls its `.parent`."
            ) from None
        if file_exts is not None:
            wanted = (file_exts,) if isinstance(file_exts, str) else tuple(file_exts)
            endings = tuple(f".{o.lower().lstrip('.')}" for o in wanted)
            found = [o for o in found if o.name.lower().endswith(endings)]
        return L(found[:n_max])

    def _not_there(self) -> str:
        """Return the message for a folder that does not exist: how far the path is right."""
        known = next((o for o in self.absolute().parents if o.is_dir()), None)
        if known is None:
            return f"There is no folder {str(self)!r}."
        missing = self.absolute().relative_to(known).parts[0]
        near = did_you_mean(missing, (o.name for o in known.iterdir()))
        return f"There is no folder {str(self)!r}: {str(known)!r} has no {missing!r}.{near}"

    def __repr__(self) -> str:
        shown: pathlib.PurePath = self
        if Path.BASE_PATH is not None and self.is_relative_to(Path.BASE_PATH):
            shown = self.relative_to(Path.BASE_PATH)
        return f"Path({shown.as_posix()!r})"


def cache_dir() -> Path:
    """Return the folder for what presize keeps: archives, data sets, cached pictures.

    The environment variable PRESIZE_HOME decides; without it `$XDG_CACHE_HOME/presize` if that
    is set, else `~/.cache/presize`. The folder is made when something is first put there.
    """
    home = os.environ.get("PRESIZE_HOME")
    if home:
        return Path(home).expanduser().absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG rules say that a relative path there is to be ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "presize"


def archive_dir() -> Path:
    """Return the folder that downloaded archives are kept in."""
    return cache_dir() / "archive"


def data_dir() -> Path:
    """Return the folder that data sets are unpacked into, one folder each."""
    return cache_dir() / "data"
