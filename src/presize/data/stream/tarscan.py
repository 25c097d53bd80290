"""Where the files lie in a tar archive on a disk, found by reading their headers alone.

Python's `tarfile` takes 17 us for a header, 34 with PAX records, and a sample has two or more,
which one thread reads for all workers; this takes 5 and 8 (3 passes over 200,000 and 1,024 files).
Both find the same files (a test holds them together), in the formats USTAR, PAX and GNU. Of
compressed archives, and of those that come over a network, `tarfile` reads the whole.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_BLOCK = 512
_REGULAR = (b"0", b"\0", b"7")


class Member(NamedTuple):
    """A file in an archive: its name, and the place of its `size` bytes."""

    name: str
    offset: int
    size: int


class TarError(ValueError):
    """What is wrong with an archive, and at which byte."""


def members(file: BinaryIO, length: int) -> Iterator[Member]:
    """Yield the regular files of an archive.

    Args:
        file: the archive, at its start.
        length: its size in bytes.

    Raises:
        TarError: it is no archive, it is damaged, or it is cut short.
    """
    place = 0
    long_name: str | None = None
    long_size: int | None = None
    while header := _header(file, place):
        kind, size = header[156:157], _number(header[124:136])
        place += _BLOCK
        if long_size is not None and kind not in b"xgLK":
            size = long_size
        if place + size > length:
            raise TarError(
                f"it is cut short: the file at byte {place} has {size} bytes, but the archive "
                f"ends at byte {length}"
            )
        if kind == b"x":
            long_name, long_size = _extended(file.read(size), long_name)
        elif kind == b"L":
            long_name = _text(file.read(size))
        elif kind == b"S":
            raise TarError(f"the file at byte {place} is sparse, which a shard cannot have")
        elif kind not in (b"g", b"K"):
            name = _name(header) if long_name is None else long_name
            if kind in _REGULAR and not name.endswith("/"):
                yield Member(name, place, size)
            long_name, long_size = None, None
        place += -(-size // _BLOCK) * _BLOCK
        file.seek(place)


def _header(file: BinaryIO, place: int) -> bytes | None:
    """Return the header at `place`, where the file stands; None at the end of the archive."""
    header = file.read(_BLOCK)
    if not header and place:
        return None  # the end that is usual, two empty blocks, is missing; all files are there
    if len(header) < _BLOCK:
        raise TarError(f"it ends in the middle of a header, at byte {place + len(header)}")
    if header[0] == 0 and header.count(0) == _BLOCK:
        return None
    # The sum of all bytes, those of the sum itself taken as blanks.
    total = sum(header) - sum(header[148:156]) + 8 * 32
    try:
        if total == _number(header[148:156]):
            return header
    except ValueError:
        pass
    what = "it is damaged" if place else "it is not a tar archive"
    raise TarError(f"{what}: there is no header at byte {place}, but {header[:8]!r}")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's way to write large numbers
        return int.from_bytes(field[1:])
    return int(field.partition(b"\0")[0].strip() or b"0", 8)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] != b"ustar\0" or not header[345]:
        return name
    return f"{_text(header[345:500])}/{name}"


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _extended(data: bytes, name: str | None) -> tuple[str | None, int | None]:
    """Return name and size out of PAX records, `length key=value` each, where they have them."""
    size = None
    while data:
        digits, blank, _ = data.partition(b" ")
        if not blank or not digits.isdigit() or int(digits) < 5:
            break  # the rest is filled up with zeros
        record, data = data[len(digits) + 1 : int(digits) - 1], data[int(digits) :]
        key, _, value = record.partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size":
            size = int(value)
    return name, size
