"""One sample of a shard: its members by their endings, as picture bytes, numbers and texts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from presize.core.errors import DataError, did_you_mean
from presize.data.items import image_extensions
from presize.data.namedbytes import NamedBytes

# What members are by their endings is agreed on by all that read this layout.
_NUMBERS = {"cls", "cls2", "class", "count", "index", "inx", "id"}
_TEXTS = {"txt", "text", "transcript"}
_JSON = {"json", "jsn"}


class Span(NamedTuple):
    """Bytes in a file on a disk, read when they are wanted."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the bytes."""
        with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - 6 us less than a Path's
            file.seek(self.offset)
            return file.read(self.size)


class ShardSample(Mapping[str, Any]):
    """The members of a sample by their endings: `sample["jpg"]`, `sample["cls"]`.

    Pictures are bytes that know their name, `cls` a number, `txt` a text, `json` what it holds;
    everything else is bytes. `sample["__key__"]` is its name, `sample["__url__"]` its shard.

    Args:
        shard: the name of the shard.
        key: the name of the sample in it.
        members: bytes, or where they lie, by the part of the name after the first dot.
    """

    __slots__ = ("key", "members", "shard")

    def __init__(self, shard: str, key: str, members: Mapping[str, bytes | Span]) -> None:
        self.shard, self.key, self.members = shard, key, members

    @property
    def name(self) -> str:
        """Shard and key, for errors."""
        return f"{self.shard}/{self.key}"

    def raw(self, member: str) -> bytes:
        """Return the bytes of a member.

        Raises:
            DataError: the sample has no such member, or its shard is gone.
        """
        if member not in self.members:
            raise DataError(
                f"The sample `{self.name}` has no member `{member}`."
                f"{did_you_mean(member, self.members)} Its members are: "
                f"{', '.join(f'`{one}`' for one in self.members)}."
            )
        found = self.members[member]
        if isinstance(found, bytes):
            return found
        try:
            data = found.read()
        except OSError as error:
            raise DataError(f"`{self.shard}` cannot be read: {error}.") from error
        if len(data) < found.size:
            raise DataError(f"`{self.shard}` has been cut short while it is read.")
        return data

    def picture(self) -> NamedBytes:
        """Return the first member that is a picture.

        Raises:
            DataError: none of them is.
        """
        for member in self.members:
            if is_picture(member):
                return NamedBytes(self.raw(member), f"{self.name}.{member}")
        raise DataError(
            f"The sample `{self.name}` has no picture: its members are "
            f"{', '.join(f'`{one}`' for one in self.members)}. Where a picture has another ending, "
            'say which: get_x=ColReader("ending").'
        )

    def __getitem__(self, member: str) -> Any:
        if member in ("__key__", "__url__"):
            return self.key if member == "__key__" else self.shard
        data = self.raw(member)
        ending = member.rpartition(".")[2]
        if ending in _NUMBERS | _TEXTS | _JSON:
            return self._told(member, ending, data)
        return NamedBytes(data, f"{self.name}.{member}") if is_picture(member) else data

    def _told(self, member: str, ending: str, data: bytes) -> Any:
        """Return what a small text says."""
        try:
            if ending in _NUMBERS:
                return int(data)
            return data.decode("utf-8") if ending in _TEXTS else json.loads(data)
        except ValueError as error:
            what = "number" if ending in _NUMBERS else "text" if ending in _TEXTS else "JSON"
            raise DataError(
                f"The member `{member}` of the sample `{self.name}` should be a {what}, but is "
                f"{data[:40]!r} ({error})."
            ) from None

    def __contains__(self, member: object) -> bool:
        return member in self.members or member in ("__key__", "__url__")

    def get(self, member: str, default: Any = None) -> Any:
        """Return a member, or `default` where the sample has none of that name."""
        if member not in self:  # a member that is damaged raises its own error
            return default
        return self[member]

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShardSample) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"ShardSample({self.name}: {', '.join(self.members)})"


def is_picture(member: str) -> bool:
    """Return whether a member is a picture, by its ending."""
    return f".{member.rpartition('.')[2]}" in image_extensions


def split_name(name: str) -> tuple[str, str]:
    """Return the key and the ending of a file in a shard: all after the first dot is the ending.

    The ending is empty where the file is no part of a sample: without a dot, or hidden.
    """
    folder, slash, file = name.rpartition("/")
    key, _, ending = file.partition(".")
    return f"{folder}{slash}{key}", ending.lower() if key else ""


def local_path(url: str) -> Path | None:
    """Return the file on this machine's disks that a shard is; None if it comes from elsewhere."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return None if "://" in url or "::" in url else Path(url)
