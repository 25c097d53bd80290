"""Unpacks tar and zip archives so that nothing can be written outside of the target folder.

An archive is unpacked beside its target and moved there in one step: a folder that exists is
whole. Archives with a member that points outside are refused as a whole, by checks of our own
before those of the standard library (`filter="data"`), which had holes in some of its versions.
"""

import glob
import itertools
import lzma
import posixpath
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from presize.core.errors import DownloadError
from presize.data.progress import reading

# A top folder of one of these names is part of the data: its name says what the files are for.
_SPLITS = frozenset({"train", "training", "valid", "val", "validation", "test", "testing"})
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> None:
    """Unpack `archive` as `folder`, in the place of what is there.

    If all that the archive holds is one folder, `folder` gets what is in that one, unless its
    name is that of a split such as train.

    Args:
        archive: a .tar (also .gz, .bz2, .xz) or .zip file; what it is shows in its bytes.
        folder: made, or replaced once all is unpacked.
        progress: show a bar.

    Raises DownloadError if it is no archive, broken, unsafe or too large for the disk; then
    `folder` is as it was.
    """
    with _beside(folder) as work:
        content = work / "content"
        content.mkdir()
        try:
            members = _unpack_into(archive, content, progress=progress)
        except DownloadError:
            raise
        except _BROKEN as fault:
            if isinstance(fault, OSError) and fault.errno is not None:  # the disk's fault
                raise DownloadError(f"{archive} could not be unpacked: {fault}") from fault
            reason = str(fault).partition(":\n")[0]  # tarfile adds a list of all that it tried
            raise DownloadError(
                f"{archive} is cut short, broken or no archive (.tar, .tgz, .zip): {reason}."
            ) from fault
        if not members:
            raise DownloadError(f"{archive} is an archive with nothing in it.")
        _move(_top(content), folder, aside=work / "replaced")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Give a folder on the same disk to work in, and remove those that a killed run has left."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.unpacking-"
    for left_over in folder.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _move(source: Path, folder: Path, *, aside: Path) -> None:
    """Rename `source` to `folder`; what is there is put aside, and back if that fails."""
    replaced = folder.exists()
    if replaced:
        folder.rename(aside)
    try:
        source.rename(folder)
    except OSError:
        if replaced:
            aside.rename(folder)
        raise


def _top(content: Path) -> Path:
    """Return the only folder in `content`, if there is nothing else and it is no split."""
    entries = list(content.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        return content if entries[0].name.lower() in _SPLITS else entries[0]
    return content


def _unpack_into(archive: Path, target: Path, *, progress: bool) -> int:
    """Unpack into the folder `target`; return the number of members."""
    with reading(archive, f"unpacking {archive.name}", show=progress) as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        return _unpack_zip(file, target) if is_zip else _unpack_tar(file, target)


def _unpack_tar(file: IO[bytes], target: Path) -> int:
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError("Unpacking safely needs Python 3.11.4 or newer; update Python.")
    count, room, links = 0, _Room(target), set[str]()
    with tarfile.open(fileobj=file, mode="r:*") as tar:
        for member in tar:
            name = _safe_name(member.name)
            if _is_junk(name):
                continue
            if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                raise _unsafe(member.name, "is a device or pipe, not a file")
            # Nothing is written through a link: chains of links are how filters were tricked.
            if any(str(part) in links for part in (name, *name.parents)):
                raise _unsafe(member.name, "would be written through a link")
            if member.issym():
                _check_link(name, member.linkname)
                links.add(str(name))
            elif member.islnk():
                _safe_name(member.linkname)
            room.take(member.size)
            try:
                tar.extract(member, target, filter="data")
            except tarfile.FilterError as fault:
                raise _unsafe(member.name, str(fault)) from fault
            count += 1
    return count


def _unpack_zip(file: IO[bytes], target: Path) -> int:
    count, room = 0, _Room(target)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = _safe_name(member.filename)
            if _is_junk(name):
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _unsafe(member.filename, "is a link")
            if member.flag_bits & 1:
                raise DownloadError(
                    "The archive is locked with a password: unpack it by hand and give its folder."
                )
            room.take(member.file_size)
            archive.extract(member, target)
            count += 1
    return count


def _safe_name(name: str) -> PurePosixPath:
    """Return the name of a member, normalised; DownloadError if it leads out of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or re.match(r"[A-Za-z]:", name) or ".." in path.parts:
        raise _unsafe(name, "leads out of the folder")
    return path


def _check_link(name: PurePosixPath, target: str) -> None:
    """Raise DownloadError unless the link `name` points to a place inside of the folder.

    ".." may only come first: after the name of another link it would climb from where that leads.
    """
    steps = PurePosixPath(target.replace("\\", "/")).parts
    climbs = len(list(itertools.takewhile(lambda step: step == "..", steps)))
    end = posixpath.normpath(posixpath.join(name.parent, *steps))
    if ".." in steps[climbs:] or end.startswith(("/", "../")) or end == "..":
        raise _unsafe(str(name), f"links to {target!r}")
    if re.match(r"[A-Za-z]:", target):
        raise _unsafe(str(name), f"links to {target!r}")


def _unsafe(name: str, why: str) -> DownloadError:
    return DownloadError(
        f"The archive is not safe to unpack: its member {name!r} {why}. Nothing was unpacked."
    )


def _is_junk(name: PurePosixPath) -> bool:
    """Return True for what macOS adds to archives: `._cat.jpg` is no picture."""
    return "__MACOSX" in name.parts or name.name == ".DS_Store" or name.name.startswith("._")


class _Room:
    """Counts unpacked bytes, so that a small archive of huge files cannot fill the disk."""

    def __init__(self, folder: Path) -> None:
        self.free = shutil.disk_usage(folder).free
        self.taken = 0

    def take(self, size: int) -> None:
        """Add the size of a member; DownloadError if all would not fit onto the disk."""
        self.taken += size
        if self.taken > self.free:
            raise DownloadError(
                f"Unpacking needs more than the {self.free / 1e9:.1f} GB that are free on the "
                f"disk. Make room, or choose another disk by PRESIZE_HOME or `data=`."
            )
