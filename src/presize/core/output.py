"""Where the program shows what it does: in a notebook, in a terminal, or as plain lines."""

import os
import sys
from typing import Any, Literal, TypeAlias

Place: TypeAlias = Literal["notebook", "terminal", "plain"]


def output_place(*streams: Any) -> Place:
    """Return where progress is shown.

    "plain" is the place of logs, files and pipes, and where the variable PRESIZE_PLAIN is set.

    Args:
        streams: one of these must be a terminal for "terminal"; by default the output.
    """
    if os.environ.get("PRESIZE_PLAIN"):
        return "plain"
    if in_notebook():
        return "notebook"
    return "terminal" if any(map(is_terminal, streams or (sys.stdout,))) else "plain"


def is_terminal(stream: Any) -> bool:
    """Say whether a stream is a terminal in which lines can be drawn again."""
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # None, as under pythonw, or closed
        return False


def in_notebook() -> bool:
    """Say whether the code runs in a Jupyter kernel, whose output shows HTML."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    # By name, and of all parents: the shells of hosted notebooks derive from it.
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def clock(seconds: float) -> str:
    """Return a time as `0:09`, with hours where there are some."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rounded(value: float) -> str:
    """Return a number with about three digits that mean something, such as a rate."""
    return f"{value:.1f}" if value < 10 else f"{float(f'{value:.3g}'):,.0f}"
