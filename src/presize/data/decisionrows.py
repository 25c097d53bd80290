"""The rows of a CSV of decisions: written exactly, read as a person or a spreadsheet left them."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, cast, get_args

from presize.core.errors import DataError, did_you_mean

Choice: TypeAlias = Literal["keep", "relabel", "drop"]
COLUMNS = ("file", "decision", "label", "given", "reason", "time")
_NEEDED = ("file", "decision")
# Names of files may be bytes that are no text: they come back as they were.
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of one picture.

    Args:
        file: the picture, relative to the folder of the data where it lies below it.
        decision: "keep", "relabel" or "drop".
        label: the new label; "" unless it is relabelled. Several have `;` between them.
        given: the label it had, or "" if that is not known.
        reason: why it was suspected.
        time: when this was decided, as ISO 8601; "" if that is not known.
    """

    file: str
    decision: Choice
    label: str = ""
    given: str = ""
    reason: str = ""
    time: str = ""

    @property
    def labels(self) -> list[str]:
        """The new labels of a picture that may have several."""
        return [part.strip() for part in self.label.split(";") if part.strip()]


def decided_now(
    file: str, decision: Choice, label: str = "", given: str = "", reason: str = ""
) -> Decision:
    """Return a decision of this second.

    Raises:
        DataError: see `checked`.
    """
    time = datetime.now().astimezone().isoformat(timespec="seconds")
    return checked(Decision(file, decision, label.strip(), given, reason, time))


def checked(row: Decision, where: str = "") -> Decision:
    """Return a decision that makes sense.

    Args:
        row: the decision.
        where: the beginning of an error.

    Raises:
        DataError: it does not; the message says what is wrong.
    """
    choices = get_args(Choice)
    if row.decision not in choices:
        raise DataError(
            f"{where}`{row.decision}` is no decision: it is keep, relabel or drop."
            f"{did_you_mean(row.decision, choices)}"
        )
    if not row.file:
        raise DataError(f"{where}there is no name of a file.")
    if row.decision == "relabel" and not row.label.strip():
        raise DataError(
            f"{where}`{row.file}` is to be relabelled, but the column `label` does not say as "
            "what. Write the label there, or make the decision keep or drop."
        )
    return row


def to_text(rows: Iterable[Decision]) -> bytes:
    """Return the CSV file of decisions."""
    out = io.StringIO(newline="")
    plain = csv.writer(out, lineterminator="\n")
    # Python before 3.13 leaves a carriage return bare, and would read it as the end of the line.
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(COLUMNS)
    for row in rows:
        cells = [getattr(row, name) for name in COLUMNS]
        (quoted if any("\r" in cell for cell in cells) else plain).writerow(cells)
    return out.getvalue().encode(**_ENCODING)


def from_text(data: bytes, name: str) -> list[Decision]:
    """Return the decisions of a CSV file.

    Columns may come in any order, with others among them, separated by `,`, `;` or tabs, and those
    that are not needed may be missing; empty lines and a byte order mark are passed over.

    Args:
        data: the bytes of the file.
        name: what errors call it.

    Raises:
        DataError: with the line and the column of what is wrong.
    """
    text = data.decode(**_ENCODING).removeprefix("\ufeff")
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        # Each record with the line that it ends in: a field in quotes may have several lines.
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise DataError(f"`{name}`, line {reader.line_num}: {error}.") from None
    if not any(any(cells) for _, cells in lines):
        return []
    places = _columns(lines[0][1], name)
    found: dict[str, tuple[int, Decision]] = {}
    for line, cells in lines[1:]:
        if any(cell.strip() for cell in cells):
            row = _row(cells, places, name, line)
            _refuse_second(found.get(row.file), row, name, line)
            found[row.file] = line, row
    return [row for _, row in found.values()]


def _columns(head: Sequence[str], name: str) -> dict[str, int]:
    """Return where each known column stands."""
    there = [cell.strip().lower() for cell in head]
    for column in _NEEDED:
        if column not in there:
            raise DataError(
                f"`{name}`, line 1: there is no column `{column}`, so this is no table of "
                f"decisions.{did_you_mean(column, there)} The columns of one are "
                f"{', '.join(COLUMNS)}; these are {', '.join(head)[:200]}. It is left as it is: "
                "give another name."
            )
    return {column: there.index(column) for column in COLUMNS if column in there}


def _row(cells: Sequence[str], places: dict[str, int], name: str, line: int) -> Decision:
    def cell(column: str) -> str:
        place = places.get(column, len(cells))
        return cells[place] if place < len(cells) else ""

    word = cell("decision").strip().lower()
    column = "label" if word == "relabel" else "decision" if cell("file") else "file"
    number = f" {places[column] + 1}" if column in places else ""
    where = f"`{name}`, line {line}, column{number} ({column}): "
    row = Decision(
        cell("file"),
        cast(Choice, word),
        cell("label").strip() if word == "relabel" else "",
        *map(cell, ("given", "reason", "time")),
    )
    return checked(row, where)


def _refuse_second(
    earlier: tuple[int, Decision] | None, row: Decision, name: str, line: int
) -> None:
    """Refuse two decisions about one file that are not the same."""
    if earlier is None:
        return
    first, other = earlier
    if (other.decision, other.label) != (row.decision, row.label):
        raise DataError(
            f"`{name}`, line {line}, column file: `{row.file}` stands in line {first} already, "
            "with another decision. Remove one of the two lines."
        )
