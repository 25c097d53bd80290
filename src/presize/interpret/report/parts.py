"""What a report is made of: sections, tables, pictures. They say what to show, templates how."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from presize.interpret.page.thumbnails import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

_SMALLEST_SHOWN = 120  # pixels of the page that a side of a drawing takes at least


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture in the page.

    Args:
        number: the place among all pictures of the report; the first ones are the last to go
            where the file would become too large.
        uri: the picture itself, as a data URI.
        width: pixels of the page.
        height: pixels of the page.
        alt: what is to be seen in it.
        drawing: its pixels are to be seen as squares, as those of an enlarged digit.
    """

    number: int
    uri: str
    width: int
    height: int
    alt: str
    drawing: bool


class Album:
    """Makes the pictures of a report, and numbers them."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, picture: "Image", alt: str, side: int = 160) -> Shown:
        """Return a picture for the page, its longer side at most `side` pixels of the file."""
        uri = thumbnail(picture, side)
        scale = min(1.0, side / max(picture.size))
        width, height = (max(1, round(n * scale)) for n in picture.size)
        enlarged = max(1, _SMALLEST_SHOWN // max(width, height))
        self.count += 1
        return Shown(
            self.count - 1, uri, width * enlarged, height * enlarged, alt, drawing=enlarged > 1
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Args:
        text: what is shown.
        value: what the column is sorted by; None comes last in any order.
        share: 0..1, drawn as a bar below the text; None for no bar.
    """

    text: str
    value: float | str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; numbers stand on the right."""

    name: str
    number: bool = True
    help: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the page.

    Args:
        caption: what is in it.
        columns: from left to right; the first one names the row.
        rows: from top to bottom.
        sortable: its heads are buttons that sort it.
        left_out: rows that are not shown.
        sorted_by: the column that it is sorted by from the start, with its direction.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    left_out: int = 0
    sorted_by: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A picture with what is to be said about it.

    Args:
        pictures: one, or several side by side; None in the place of one that cannot be read.
        lines: (kind, text): "title", "text", "good", "bad" or "file".
    """

    pictures: Sequence[Shown | None]
    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the report.

    Args:
        key: its id in the page.
        title: its heading.
        template: the file that shows it.
        values: for the template.
        missing: why there is nothing to show; "" where there is.
    """

    key: str
    title: str
    template: str
    values: dict[str, Any] = field(default_factory=dict)
    missing: str = ""
