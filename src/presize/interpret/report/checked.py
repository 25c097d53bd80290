"""The section on the pictures themselves: those that are there twice, broken or odd."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from presize.core.errors import PresizeError
from presize.interpret.report.parts import Card, Section
from presize.interpret.report.source import Source

if TYPE_CHECKING:
    from presize.data.check.report import DataReport

_IN_A_GROUP = 4
_LINES = 10
_KINDS = {"identical": "identical", "alike": "look alike", "mirrored": "mirrored copies"}


def check_section(source: Source) -> Section:
    """Return what a check of the data finds, and the pictures that are there more than once."""
    section = partial(Section, key="check", title="Duplicates and faults", template="check.html")
    if not source.check:
        return section(missing="The pictures were not checked: check=False.")
    from presize.data.check.dls import check_loaders

    try:
        found = check_loaders(source.learn.dls)
    except (PresizeError, TypeError) as error:
        return section(missing=f"The pictures were not checked. {error}")
    groups = sorted(found.copies.groups, key=lambda group: not _splits_differ(found, group))
    # A picture of a group costs as much as one of a card of its own.
    shown = groups[: max(1, source.k // 2)]
    values = {
        "findings": [
            {
                "severity": finding.severity,
                "text": finding.text,
                "advice": finding.advice,
                "lines": list(finding.lines[:_LINES]),
                "more": max(0, len(finding.lines) - _LINES),
            }
            for finding in found.findings
        ],
        "groups": [_group(source, found, group) for group in shown],
        "n_groups": len(groups),
        "n": len(found.data.entries),
    }
    return section(values=values)


def _splits_differ(report: "DataReport", group: Any) -> bool:
    return len({report.data.entries[i].split for i in group.members}) > 1


def _group(source: Source, report: "DataReport", group: Any) -> dict[str, Any]:
    cards = [_card(source, report.data.entries[i]) for i in group.members[:_IN_A_GROUP]]
    more = len(group.members) - len(cards)
    return {"kind": _KINDS.get(group.kind, group.kind), "cards": cards, "more": more}


def _card(source: Source, entry: Any) -> Card:
    labels = _joined(str(label) for label in entry.labels)
    lines = [("title", labels)] if labels else []
    lines += [("text", entry.split), ("file", source.short(entry.name))]
    return Card([_picture(source, entry)], lines)


def _picture(source: Source, entry: Any) -> Any:
    from pathlib import Path

    from PIL import Image, ImageOps

    from presize.data.decode import open_picture

    try:
        if not isinstance(entry.source, Path):
            made = entry.source()
            picture = made if isinstance(made, Image.Image) else open_picture(made)
            return source.album.add(picture, f"Picture {entry.name}")
        with open_picture(entry.source) as opened:
            opened.draft("RGB", (320, 320))
            upright = ImageOps.exif_transpose(opened)
            return source.album.add(upright, f"Picture {source.short(entry.name)}")
    except Exception:  # a damaged file may raise anything, and is named in the findings
        return None


def _joined(labels: Iterable[str]) -> str:
    return ", ".join(labels)
