"""The report as text: for a terminal in colours, for a REPL plain."""

import io
from typing import TYPE_CHECKING

from presize.data.check.rows import class_table, facts_of, heading, lines_of, verdict
from presize.data.check.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from presize.data.check.report import DataReport, Finding, Severity

_COLOURS: "dict[Severity, str]" = {
    "problem": "bold red",
    "warning": "bold yellow",
    "note": "bold",
}


def as_text(report: "DataReport", width: int = 100) -> str:
    """Return the report as plain text, `width` columns wide."""
    from rich.console import Console

    out = io.StringIO()
    print_report(report, Console(file=out, width=width, color_system=None, force_jupyter=False))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def print_report(report: "DataReport", console: "Console") -> None:
    """Print the report."""
    from rich.table import Table

    console.print(_text(heading(report), "bold"))
    if facts := facts_of(report):
        grid = Table.grid(padding=(0, 2))
        for name, value in facts:
            grid.add_row(_text(name), _text(value))
        console.print(grid)
    head, rows = class_table(report)
    if rows:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for number, name in enumerate(head):
            table.add_column(_text(name), justify="right" if number else "left")
        for row in rows:
            table.add_row(*map(_text, row))
        console.print()
        console.print(table)
    for finding in report.findings:
        console.print()
        _print_finding(finding, console)
    console.print()
    colour = "green" if report.ok else "bold red"
    console.print(_text(verdict(report), colour))


def _print_finding(finding: "Finding", console: "Console") -> None:
    from rich.padding import Padding

    word = _text(finding.severity, _COLOURS[finding.severity])
    console.print(_text("").append_text(word).append_text(_text(f": {finding.text}")))
    for line in lines_of(finding):
        # A path is never cut: the next command may need it.
        console.print(Padding(_text(line), (0, 0, 0, 4)))
    if finding.advice:
        console.print(Padding(_text(finding.advice, "italic"), (0, 0, 0, 2)))


def _text(text: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text(printable(text), style, overflow="fold")
