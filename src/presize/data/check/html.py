"""The report as HTML, for a notebook."""

from html import escape
from typing import TYPE_CHECKING

from presize.data.check.rows import class_table, facts_of, heading, lines_of, verdict
from presize.data.check.wording import printable

if TYPE_CHECKING:
    from presize.data.check.report import DataReport, Finding, Severity

_COLOURS: "dict[Severity, str]" = {"problem": "#c62828", "warning": "#b26a00", "note": "inherit"}


def as_html(report: "DataReport") -> str:
    """Return the report as HTML."""
    facts = "".join(
        f"<tr><td style='text-align:left'>{_safe(name)}</td>"
        f"<td style='text-align:left'>{_safe(value)}</td></tr>"
        for name, value in facts_of(report)
    )
    parts = [
        f"<p><b>{_safe(heading(report))}</b></p>",
        f"<table>{facts}</table>" if facts else "",
        _classes(report),
        *map(_finding, report.findings),
        f"<p><b>{_safe(verdict(report))}</b></p>",
    ]
    return f"<div>{''.join(parts)}</div>"


def _classes(report: "DataReport") -> str:
    head, rows = class_table(report)
    if not rows:
        return ""
    titles = "".join(f"<th>{_safe(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _finding(finding: "Finding") -> str:
    colour = _COLOURS[finding.severity]
    lines = "".join(f"<li>{_safe(line)}</li>" for line in lines_of(finding))
    return (
        f"<p><b style='color:{colour}'>{finding.severity}</b>: {_safe(finding.text)} "
        f"<i>{_safe(finding.advice)}</i></p>{f'<ul>{lines}</ul>' if lines else ''}"
    )


def _safe(text: str) -> str:
    return escape(printable(text))
