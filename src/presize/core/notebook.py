"""Outputs of a notebook's cell that change: HTML, and the same as plain text for other readers."""

import html
from typing import Any

from presize.core.bar import Bar

# Half-clear gray can be seen on white and on black; a page of a notebook may drop style sheets.
_TRACK = "background:rgba(128,128,128,.28)"
_FILL = "background:#3b82f6"
_DONE = "background:#16a34a"


class Output:
    """One output of the cell, which is drawn again and again in its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, page: str, text: str = "") -> None:
        """Show a page.

        Args:
            page: HTML.
            text: the same for what shows no HTML.
        """
        from IPython.display import display

        content = {"text/html": page, "text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)


class NotebookBar:
    """Draws a bar in an output of its own, which is empty once the work is done."""

    def __init__(self) -> None:
        self._output: Output | None = None

    def draw(self, bar: Bar) -> None:
        """Show the bar as it is now."""
        self._output = self._output or Output()
        self._output.show(bar_html(bar), bar.label)

    def close(self, bar: Bar, *, finished: bool) -> None:
        """Take it away."""
        if self._output is not None:
            self._output.show("")


def bar_html(bar: Bar) -> str:
    """Return a bar as HTML that can be read on light and on dark."""
    figures = "".join(f"<span style='margin-left:1.2em'>{_text(f)}</span>" for f in bar.figures)
    share = bar.share
    drawn = ""
    if share is not None:
        fill = _DONE if share >= 1 else _FILL
        drawn = (
            f"<span role='progressbar' aria-label='{_text(bar.label)}' aria-valuemin='0' "
            f"aria-valuemax='100' aria-valuenow='{100 * share:.0f}' style='display:inline-block;"
            f"vertical-align:middle;width:18em;max-width:40%;height:.55em;border-radius:.3em;"
            f"overflow:hidden;margin:0 1em;{_TRACK}'><span style='display:block;height:100%;"
            f"width:{100 * share:.1f}%;{fill}'></span></span>"
        )
    return (
        "<div style='font-variant-numeric:tabular-nums;white-space:nowrap;overflow:hidden;"
        f"padding:.2em 0'>{_text(bar.label)}{drawn or ' '}{_text(bar.count)}{figures}</div>"
    )


def _text(text: str) -> str:
    return html.escape(text, quote=True)
