"""A tar archive in the WebDataset layout: files that are named alike up to a dot are one sample."""

import re
import tarfile
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from presize.core.errors import DataError, did_you_mean
from presize.data.extras import extra_library
from presize.data.stream.shardsample import ShardSample, Span, local_path, split_name
from presize.data.stream.tarscan import members

File = tuple[str, bytes | Span]

_META = re.compile(r"__[^/]*__($|/)")
# Labels are read with the header before them, which is in the same block of the disk.
_SMALL = 4096
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
# What asking again does not change; fsspec raises ValueError for a kind of URL that it has not.
_FINAL = (FileNotFoundError, PermissionError, ImportError, ValueError)
# Seconds before a shard is asked for again whose connection broke.
_PAUSES = (0.5, 2.0)


class TarShard:
    """A shard on a disk or behind a URL.

    Of an archive on a disk only headers and labels are read here, pictures where they are decoded.
    Compressed ones, and those behind a URL, are read as a whole.

    Args:
        url: a path, or a URL that fsspec knows: `s3://...`, `https://...`.
        count: how many samples it holds, if that is known.
    """

    def __init__(self, url: str, count: int | None = None) -> None:
        self.name, self.count = url, count
        self.path = local_path(url)

    @property
    def remote(self) -> bool:
        """Whether it comes from elsewhere."""
        return self.path is None

    def samples(self) -> Generator[ShardSample]:
        """Yield the samples.

        Raises:
            DataError: the archive is missing, damaged, or has another number of samples than said.
        """
        number = 0
        files = self._files()
        with closing(files):
            for sample in _grouped(self.name, files):
                number += 1
                yield sample
        if self.count is not None and number != self.count:
            raise DataError(
                f"The shard `{self.name}` holds {number} samples, not {self.count}: it has been "
                "changed or cut short, or sizes.json beside it is out of date; "
                "`shard_sizes(shards, write=True)` counts anew."
            )

    def _files(self) -> Generator[File]:
        if self.path is None:
            return self._from_afar()
        return self._from_disk(self.path)

    def _from_disk(self, path: Path) -> Generator[File]:
        try:
            with path.open("rb") as file:
                if file.read(6).startswith(_COMPRESSED):
                    file.seek(0)
                    yield from self._unpacked(file)
                    return
                length = file.seek(0, 2)
                file.seek(0)
                where = str(path)
                for name, offset, size in members(file, length):
                    if size > _SMALL:
                        yield name, Span(where, offset, size)
                        continue
                    file.seek(offset)
                    yield name, file.read(size)
        except ValueError as error:  # TarError, or a size that is no number
            raise DataError(
                f"The shard `{self.name}` cannot be read: {error}. Fetch or write it anew."
            ) from None
        except OSError as error:
            raise self._unread(error) from error

    def _from_afar(self) -> Generator[File]:
        """Yield the files of an archive; where the connection breaks, go on where it did."""
        fsspec = extra_library("fsspec", extra="webdataset", what=f"The shard `{self.name}`")
        done = 0
        for pause in (*_PAUSES, None):
            try:
                with fsspec.open(self.name, "rb") as file:
                    for number, found in enumerate(self._unpacked(file)):
                        if number >= done:
                            done += 1
                            yield found
                return
            except Exception as error:  # each file system has errors of its own
                if pause is None or _is_final(error):
                    raise self._unread(error) from error
                time.sleep(pause)

    def _unpacked(self, file: BinaryIO) -> Generator[File]:
        """Yield the files of an archive that is read from start to end."""
        name = "webdataset.tariterators"
        reader = extra_library(name, extra="webdataset", what=f"The shard `{self.name}`")
        try:
            for found in reader.tar_file_iterator(file):
                yield found["fname"], found["data"]
        except (tarfile.TarError, EOFError) as error:
            raise OSError(f"it is no tar archive, or damaged: {error}") from error

    def _unread(self, error: Exception) -> DataError:
        if not isinstance(error, FileNotFoundError):
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return DataError(f"The shard `{self.name}` cannot be read: {text.rstrip('.')}.")
        if error.__cause__ is not None:  # of fsspec, whatever it was that a server answered
            return DataError(f"The shard `{self.name}` cannot be read: {error.__cause__}.")
        near = ""
        if self.path is not None and self.path.parent.is_dir():
            near = did_you_mean(self.path.name, [p.name for p in self.path.parent.iterdir()])
        return DataError(f"There is no shard `{self.name}`.{near}")


def _is_final(error: Exception) -> bool:
    """Return whether asking again would change nothing."""
    # fsspec calls missing what a server cannot give at the moment, too.
    status = getattr(error.__cause__, "status", 404)
    return isinstance(error, _FINAL) and status < 500


def _grouped(shard: str, files: Iterable[File]) -> Iterator[ShardSample]:
    """Put the files of one sample, which follow each other, together."""
    key, found = None, dict[str, bytes | Span]()
    for name, data in files:
        start, ending = split_name(name)
        if not ending or _META.match(name):
            continue  # by the rules of the layout no part of a sample
        if start != key:
            if key is not None:
                yield ShardSample(shard, key, found)
            key, found = start, {}
        if ending in found:
            raise DataError(
                f"`{shard}` has two files `{start}.{ending}` in one sample. Samples need different "
                "names, and no dots in them: all after the first dot is the ending."
            )
        found[ending] = data
    if key is not None:
        yield ShardSample(shard, key, found)
