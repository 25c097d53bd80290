"""The bytes of a picture that lies in a larger file, and knows where."""

from typing import Self


class NamedBytes(bytes):
    """Bytes with a `name`, such as `train-003.tar/00042.jpg`, which errors tell.

    Args:
        data: the bytes.
        name: where they come from.
    """

    name: str

    def __new__(cls, data: bytes, name: str) -> Self:
        """Make bytes that have a name."""
        made = super().__new__(cls, data)
        made.name = name
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[bytes, str]]:
        return type(self), (bytes(self), self.name)

    def __repr__(self) -> str:
        return f"<{len(self)} bytes of {self.name}>"
