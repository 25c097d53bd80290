"""`untar_data`: the folder of a data set, fetched and unpacked the first time it is asked for."""

import json
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path as _AnyPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from presize.core.errors import DownloadError, did_you_mean
from presize.core.paths import Path, archive_dir, data_dir
from presize.data.archives import unpack
from presize.data.transfer import check_file, download
from presize.data.urls import SIZES, URLs, archive_name, data_name

__all__ = ["URLs", "download", "untar_data"]


def untar_data(
    url: str | _AnyPath,
    *,
    archive: str | _AnyPath | None = None,
    data: str | _AnyPath | None = None,
    force_download: bool = False,
    sha256: str | None = None,
    size: int | None = None,
    timeout: float = 30.0,
    retries: int = 4,
    progress: bool = True,
) -> Path:
    """Return the folder of a data set; fetch and unpack its archive unless that is there already.

    The folder is named after the archive: `.../pets.tgz` becomes `<data>/pets`, with what is in
    the archive's top folder if it has only one. An archive or a folder that was put there by hand
    is used without a network.

    Args:
        url: one of `URLs`, any http, https, ftp or file URL, or the path of an archive.
        archive: folder that keeps the archives; `archive_dir()` if None.
        data: folder that gets the folder of the data set; `data_dir()` if None.
        force_download: fetch and unpack again, in the place of what is there.
        sha256: what the SHA-256 of the archive must be, as hexadecimal digits.
        size: how many bytes the archive must have; for downloads of `URLs` it is known.
        timeout: seconds without a byte after which a connection counts as broken.
        retries: how often in a row a transfer that brought nothing new is tried again.
        progress: show bars.

    Raises DownloadError if the archive cannot be had, is another one than expected, is broken,
    or would write outside of its folder.
    """
    address, local = _source(url)
    name = archive_name(address)
    folder = Path(data or data_dir()).expanduser() / data_name(name)
    kept = local or Path(archive or archive_dir()).expanduser() / name
    if force_download or not _is_there(folder):
        with _locked(folder):  # the processes of one training all ask at the same time
            if force_download or not _is_there(folder):
                fetch = local is None and (force_download or not kept.is_file())
                if fetch:
                    size = SIZES.get(address) if size is None else size
                    with _ways_out(kept, folder):
                        download(
                            address, kept, sha256=sha256, size=size,
                            timeout=timeout, retries=retries, progress=progress,
                        )  # fmt: skip
                else:
                    check_file(kept, kept, sha256=sha256, size=size)
                _unpack(kept, folder, address, fetched=fetch, progress=progress)
    _check_origin(folder, address)
    return folder


def _source(url: str | _AnyPath) -> tuple[str, Path | None]:
    """Return the address of an archive, and its path if it is on this machine."""
    if isinstance(url, str) and "://" in url and not url.lower().startswith("file:"):
        return url, None
    if isinstance(url, str) and url.lower().startswith("file:"):
        path = Path(url2pathname(urlsplit(url).path))
    else:
        path = Path(url).expanduser().absolute()
    if path.is_dir():
        raise DownloadError(
            f"{str(path)!r} is a folder, not an archive: use it as it is, Path({str(path)!r})."
        )
    if not path.is_file():
        known = [name for name in vars(URLs) if name.isupper()]
        near = did_you_mean(path.name, known).replace("`", "`URLs.", 1)
        raise DownloadError(
            f"There is no archive {str(path)!r}. untar_data takes a URL, one of `URLs`, or the "
            f"path of an archive.{near}"
        )
    return str(path), path


def _is_there(folder: Path) -> bool:
    """Return True if there is a folder with something in it."""
    if folder.is_file():
        raise DownloadError(f"{str(folder)!r} is a file; the data set's folder would be there.")
    return folder.is_dir() and any(folder.iterdir())


def _locked(folder: Path) -> AbstractContextManager[object]:
    """Return a lock that one process at a time can hold; it opens too when its holder dies."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def _unpack(kept: Path, folder: Path, address: str, *, fetched: bool, progress: bool) -> None:
    """Unpack an archive and note where it came from; one that was just fetched and is bad goes."""
    try:
        unpack(kept, folder, progress=progress)
    except DownloadError as fault:
        with kept.open("rb") as file:
            is_page = file.read(512).lstrip().lower().startswith((b"<!doctype", b"<html"))
        page = " It is a web page, perhaps one to log in on." if is_page else ""
        if fetched:
            kept.unlink()
            raise DownloadError(f"{fault}{page} It came from {address} and was removed.") from fault
        raise DownloadError(f"{fault}{page}") from fault
    _origin(folder).write_text(json.dumps({"url": address}))


def _origin(folder: Path) -> Path:
    """Return the file beside a data set's folder that says where it came from."""
    return folder.with_name(f".{folder.name}.origin.json")


def _check_origin(folder: Path, address: str) -> None:
    """Warn if the folder was unpacked from another archive, which had the same name."""
    try:
        came_from = json.loads(_origin(folder).read_text())["url"]
    except (OSError, ValueError, KeyError):
        return  # put there by hand
    if came_from != address:
        warnings.warn(
            f"{str(folder)!r} was unpacked from {came_from}, and is used for {address}, whose "
            f"name is the same. If they differ, give another folder, `data=...`, or replace it, "
            f"`force_download=True`.",
            stacklevel=3,
        )


@contextmanager
def _ways_out(kept: Path, folder: Path) -> Iterator[None]:
    """Add to the error about an archive that cannot be fetched what can be done."""
    try:
        yield
    except DownloadError as fault:
        raise DownloadError(
            f"{fault}\n"
            f"Three ways out:\n"
            f"1. Call again where there is a network: what has come so far is kept. Behind a "
            f"proxy, set HTTPS_PROXY first.\n"
            f"2. Get the archive in another way and put it here: {kept}\n"
            f"3. Put the unpacked folder here: {folder}\n"
            f"The environment variable PRESIZE_HOME names another place for both."
        ) from fault
