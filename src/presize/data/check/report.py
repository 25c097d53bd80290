"""The result of a check: shown as a table in a terminal and a notebook, and written as JSON."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from presize.data.check.copies import Copies
from presize.data.check.entries import Collection
from presize.data.check.scan import Scan
from presize.data.check.statistics import Statistics

Severity: TypeAlias = Literal["problem", "warning", "note"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was noticed.

    Args:
        kind: a short name for programs, such as "unreadable".
        severity: "problem" harms training or its figures, "warning" may, "note" is good to know.
        text: what it is, and of how many.
        advice: what to do about it; "" where there is nothing to do.
        lines: what it is about: pictures, classes or labels, one a line.
    """

    kind: str
    severity: Severity
    text: str
    advice: str = ""
    lines: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class DataReport:
    """What was found out about a data set.

    Printing it, or ending a notebook's cell with it, shows it as a table.

    Args:
        data: what was checked.
        scan: what was read of each picture.
        statistics: counts.
        copies: pictures that are there more than once.
        findings: what was noticed, problems first.
        seconds: how long the check took.
    """

    data: Collection
    scan: Scan
    statistics: Statistics
    copies: Copies
    findings: Sequence[Finding]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings may be there."""
        return not self.of("problem")

    def of(self, severity: Severity) -> list[Finding]:
        """Return the findings of a severity."""
        return [f for f in self.findings if f.severity == severity]

    @property
    def unreadable(self) -> dict[str, str]:
        """Why pictures cannot be read, by their names."""
        return {self.data.entries[i].name: why for i, why in self.scan.reasons.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, which JSON can hold.

        `findings` are what the table shows, each with all its lines; `unreadable` and `copies`
        hold the pictures behind them, by their whole names. Sizes are [height, width].
        """
        entries, counts = self.data.entries, self.statistics
        plain = asdict(counts)
        classes = [{"label": label, "pictures": n} for label, n in counts.classes.items()]
        odd = [entries[i].name for i in counts.odd_aspect]
        return {
            "version": 1,
            "root": None if self.data.root is None else str(self.data.root),
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "pictures": len(entries),
            **plain,
            "classes": classes,
            "odd_aspect": odd,
            "files_left_out": self.data.left_out,
            "findings": [asdict(finding) for finding in self.findings],
            "unreadable": [{"picture": n, "why": why} for n, why in self.unreadable.items()],
            "copies": [
                {
                    "kind": group.kind,
                    "pictures": [
                        {
                            "picture": entries[i].name,
                            "split": entries[i].split,
                            "labels": list(entries[i].labels),
                            "mirrored": side != group.sides[0],
                        }
                        for i, side in zip(group.members, group.sides, strict=True)
                    ],
                }
                for group in self.copies.groups
            ],
        }

    def to_json(self) -> str:
        """Return everything as JSON; names that are no valid text stay escaped."""
        return json.dumps(self.to_dict(), indent=2)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything as JSON into a file, and return its path."""
        file = Path(path)
        file.write_text(self.to_json() + "\n", encoding="utf-8")
        return file

    def __repr__(self) -> str:
        from presize.data.check.terminal import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from presize.data.check.html import as_html

        return as_html(self)
