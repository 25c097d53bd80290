"""Pictures for the page: reduced when they are first asked for, and kept for the next time."""

import io
import threading
from collections import OrderedDict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from presize.core.errors import ImageError
from presize.data.workers import available_cpus

if TYPE_CHECKING:
    from PIL.Image import Image

SMALL, LARGE = 360, 1600
_MOST_BYTES = 64 << 20
_QUALITY = 82


class Thumbnails:
    """Small pictures of files, as (kind of file, bytes); the last ones asked for are kept.

    Args:
        most: bytes that are kept at most.
    """

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most, self._held = most, 0
        self._made: OrderedDict[tuple[str, int], tuple[str, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        # A browser asks for six at once; more than there are cores would only wait for each other.
        self._places = threading.Semaphore(max(2, available_cpus()))

    def get(self, file: str, side: int = SMALL) -> tuple[str, bytes]:
        """Return a picture whose longer side is at most `side`; of a broken one, what it is."""
        key = (file, side)
        with self._lock:
            if (found := self._made.get(key)) is not None:
                self._made.move_to_end(key)
                return found
        with self._places:
            made = reduced(file, side)
        self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, int], made: tuple[str, bytes]) -> None:
        with self._lock:
            if key not in self._made:
                self._made[key] = made
                self._held += len(made[1])
            while self._held > self._most and len(self._made) > 1:
                self._held -= len(self._made.popitem(last=False)[1][1])


def reduced(file: str, side: int) -> tuple[str, bytes]:
    """Return a picture file of at most `side` pixels a side: a JPEG, or a PNG of a small one."""
    try:
        picture = _loaded(file, side)
    except ImageError as error:
        return "image/svg+xml", _in_words(str(error).removeprefix(f"`{file}` "))
    picture.thumbnail((side, side), reducing_gap=3.0)
    out = io.BytesIO()
    if max(picture.size) <= 64:  # every pixel of a digit counts
        picture.save(out, "PNG")
        return "image/png", out.getvalue()
    picture.save(out, "JPEG", quality=_QUALITY)
    return "image/jpeg", out.getvalue()


def _loaded(file: str, side: int) -> "Image":
    """Return a picture in RGB; one of 12 bits or the like from black to its own white."""
    from presize.data.decode import in_mode, load_image

    picture = load_image(file, None, min_size=side)
    white = float(picture.getextrema()[1]) if picture.mode.startswith("I") else 0.0  # type: ignore[arg-type]
    return in_mode(Path(file), picture, "RGB", white_level=white or None)


def _in_words(text: str) -> bytes:
    """Return a picture that says why there is none."""
    words, lines = text.split(), [""]
    for word in words[:40]:
        if len(lines[-1]) + len(word) > 34:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word[:34]}".strip()
    drawn = "".join(
        f'<text x="180" y="{110 + 24 * i}" text-anchor="middle">{escape(line)}</text>'
        for i, line in enumerate(lines[:6])
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 270" width="360" height="270" '
        'font-family="sans-serif" font-size="16" fill="#7a828d">'
        f"{drawn}</svg>"
    ).encode("utf-8", "backslashreplace")
