"""`gv`: draws the graph that a text in Graphviz's language describes."""

import importlib
import importlib.util
import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_NO_PACKAGE = (
    "Drawing a graph needs the graphviz package: `pip install graphviz`, or "
    "`pip install presize[notebook]`; and the program `dot`, see https://graphviz.org/download."
)
_NO_PROGRAM = (
    "Drawing a graph needs Graphviz's program `dot`, which is not on the PATH: "
    "`apt install graphviz`, `brew install graphviz`, `conda install graphviz`, or see "
    "https://graphviz.org/download. An online viewer draws the source above too."
)


@dataclass(frozen=True)
class Graph:
    """A graph that a notebook draws; where Graphviz is missing, it prints as its source.

    Attributes:
        source: the text in Graphviz's DOT language.
    """

    source: str

    @cached_property
    def svg(self) -> str:
        """The drawing as SVG text.

        Raises ImportError if the graphviz package is missing, RuntimeError if the program `dot`
        is, ValueError if it cannot draw the source.
        """
        try:
            graphviz: Any = importlib.import_module("graphviz")
        except ImportError:
            raise ImportError(_NO_PACKAGE) from None
        if shutil.which("dot") is None:
            raise RuntimeError(_NO_PROGRAM)
        try:
            return str(
                graphviz.Source(self.source).pipe(format="svg", encoding="utf-8", quiet=True)
            )
        except graphviz.CalledProcessError as fault:
            raise ValueError(
                f"Graphviz could not draw the graph: {str(fault.stderr).strip()}\n{self.source}"
            ) from None

    def _repr_svg_(self) -> str | None:
        """Return the drawing to a notebook; None, so that the text is shown, without Graphviz."""
        try:
            return self.svg
        except (ImportError, RuntimeError):
            return None

    def __repr__(self) -> str:
        if importlib.util.find_spec("graphviz") is None:
            return f"{self.source}\n({_NO_PACKAGE})"
        return self.source if shutil.which("dot") else f"{self.source}\n({_NO_PROGRAM})"


def gv(
    dot_source: str, size: tuple[float, float] | None = None, ratio: float | None = None
) -> Graph:
    """Return a graph, drawn from left to right, that a notebook shows.

    It is drawn when it is shown. Without Graphviz it prints as text and says what to install;
    `gv(...).svg` raises that as an error.

    Args:
        dot_source: nodes and arrows, one chain a line, as in `gv("init -> predict -> loss")`; or
            a whole `digraph {...}` of your own.
        size: the largest (width, height) in inches.
        ratio: height by width of the drawing.
    """
    if dot_source.lstrip().startswith(("digraph", "graph ", "graph{", "strict ")):
        return Graph(dot_source)
    settings = ['rankdir="LR"']
    if size is not None:
        settings.append(f'size="{size[0]:g},{size[1]:g}"')
    if ratio is not None:
        settings.append(f'ratio="{ratio:g}"')
    return Graph("digraph G {\n" + "; ".join(settings) + "\n" + dot_source.strip() + "\n}")
