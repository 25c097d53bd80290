"""The list of the pictures in a shard of the cache: records of one length, each with its checksum.

A record is appended once the pixels that it tells of are written. One that is cut short or damaged
is passed over, and those after it are found all the same.
"""

import hashlib
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

# The number is that of the format: shards of another are not read, and make room in time.
HEADER = b"presize-cache-1\n"

_FIELDS = struct.Struct("<16sQ6I")
_CHECK = struct.Struct("<I")
_LENGTH = _FIELDS.size + _CHECK.size


class Place(NamedTuple):
    """Where the pixels of a picture are, and what they must be.

    Args:
        shard: name of the shard.
        offset: byte of the shard at which pixels begin.
        shape: (height, width, channels).
        full: (height, width) of the picture at full size.
        checksum: Adler-32 of the pixels; None once they were found to agree with it.
    """

    shard: str
    offset: int
    shape: tuple[int, int, int]
    full: tuple[int, int]
    checksum: int | None

    @property
    def size(self) -> int:
        """Number of bytes."""
        height, width, channels = self.shape
        return height * width * channels


def digest(key: str) -> bytes:
    """Return the 16 bytes that stand for a key in a record."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def packed(name: bytes, place: Place) -> bytes:
    """Return the record that says where the picture with the digest `name` is.

    Raises:
        struct.error: a number is too large for its field.
    """
    fields = _FIELDS.pack(name, place.offset, *place.shape, *place.full, place.checksum or 0)
    return fields + _CHECK.pack(zlib.crc32(fields))


def read_records(file: Path, shard: str, start: int) -> tuple[dict[bytes, Place], int]:
    """Return the records of an index from byte `start` on, by digest, and where to go on later.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        if start == 0:
            if opened.read(len(HEADER)) != HEADER:
                return {}, 0
            start = len(HEADER)
        opened.seek(start)
        data = opened.read()
    whole = len(data) // _LENGTH
    found: dict[bytes, Place] = {}
    for i in range(0, whole * _LENGTH, _LENGTH):
        fields = data[i : i + _FIELDS.size]
        if zlib.crc32(fields) == _CHECK.unpack_from(data, i + _FIELDS.size)[0]:
            name, offset, height, width, channels, *full, checksum = _FIELDS.unpack(fields)
            found[name] = Place(
                shard, offset, (height, width, channels), (full[0], full[1]), checksum
            )
    return found, start + whole * _LENGTH
