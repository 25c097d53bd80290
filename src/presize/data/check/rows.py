"""The report as lines and columns of text, from which terminal and notebook are drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from presize.data.check.statistics import ODD_ASPECT
from presize.data.check.wording import amount, label_text

if TYPE_CHECKING:
    from presize.data.check.report import DataReport, Finding

MOST_CLASSES = 20
MOST_LINES = 5


def heading(report: "DataReport") -> str:
    """Return what was checked, in one line."""
    counts = report.statistics
    text = amount(len(report.data.entries), "picture")
    if len(counts.splits) > 1:
        text += f" ({', '.join(f'{n:,} {split}' for split, n in counts.splits.items())})"
    if counts.classes:
        text += f" in {amount(len(counts.classes), 'class', 'classes')}"
    return text


def facts_of(report: "DataReport") -> list[tuple[str, str]]:
    """Return name and value of each fact about the pictures."""
    counts = report.statistics
    rows = []
    if counts.smallest and counts.median and counts.largest and counts.aspects:
        sizes = [counts.smallest, counts.median, counts.largest]
        if len(set(sizes)) == 1:
            rows.append(("height x width", f"all {_size(sizes[0])}"))
        else:
            least, middle, most = map(_size, sizes)
            rows.append(("height x width", f"{least} to {most}, median {middle}"))
            rows.append(("width : height", _aspects(counts.aspects, len(counts.odd_aspect))))
    for name, found in (("modes", counts.modes), ("files", counts.formats)):
        if found:
            rows.append((name, ", ".join(f"{kind} {n:,}" for kind, n in found.items())))
    if counts.turned:
        text = f"{amount(counts.turned, 'picture')} stored lying, turned upright by EXIF"
        rows.append(("turned", text))
    return rows


def class_table(report: "DataReport") -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table of classes: name, pictures by split.

    Of many classes the largest and the smallest are shown.
    """
    counts = report.statistics
    splits = list(counts.splits)
    head = ["class", *(["pictures"] if len(splits) == 1 else splits)]
    rows = [
        [label_text(label), *(f"{row[split]:,}" for split in splits)]
        for label, row in counts.classes.items()
    ]
    if len(rows) > MOST_CLASSES:
        half, others = MOST_CLASSES // 2, len(rows) - MOST_CLASSES
        rows = [*rows[:half], [f"... {others:,} others", *[""] * len(splits)], *rows[-half:]]
    return head, rows


def lines_of(finding: "Finding") -> list[str]:
    """Return the lines of a finding that are shown: the first few, and how many more there are."""
    more = len(finding.lines) - MOST_LINES
    if more <= 1:  # "1 more" would take the line that it saves
        return list(finding.lines)
    return [*finding.lines[:MOST_LINES], f"... and {more:,} more"]


def verdict(report: "DataReport") -> str:
    """Return the last line: how many problems and warnings there are."""
    problems, warnings = len(report.of("problem")), len(report.of("warning"))
    if not problems and not warnings:
        return "Nothing is wrong with this data."
    told = [amount(problems, "problem")] * bool(problems) + [amount(warnings, "warning")] * bool(
        warnings
    )
    return f"{' and '.join(told)}."


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


def _aspects(aspects: tuple[float, float], odd: int) -> str:
    text = f"{aspects[0]:.2f} to {aspects[1]:.2f}"
    return f"{text}, {amount(odd, 'picture')} beyond {ODD_ASPECT:.0f} : 1" if odd else text
