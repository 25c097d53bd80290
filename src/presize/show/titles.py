"""Fits labels above their pictures: wrapped at natural places, smaller, or shortened in the middle.

The width of a text is measured with the fonts it is drawn in, not guessed from its letters.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

ELLIPSIS = "…"
Width = Callable[[str], float]

# A line may end after one of these; names of classes and files are joined by them.
_PIECES = re.compile(r"[^\s_\-/;,.]*[\s_\-/;,.]*")
_ONE_LINE = (1.0, 0.9, 0.8)  # of the wanted size, before a text is wrapped
_WRAPPED = (1.0, 0.9, 0.8, 0.75)
_SMALLEST = 8.0  # points
_LINE = 300  # characters of a line that are looked at: no picture is as wide


def drawable(text: object) -> str:
    """Return a text that fonts take: bytes of a name that are no valid text are escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, n: int) -> str:
    """Return a text of at most `n` characters, its middle left out: ends tell names apart."""
    if len(text) <= n:
        return text
    kept = max(n - len(ELLIPSIS), 0)
    head = kept - kept // 2
    return text[:head] + ELLIPSIS + text[len(text) - kept // 2 :]


def wrapped(text: str, width: float, lines: int = 2, *, measure: Width = len) -> str:
    """Return a text on several lines; its middle is left out if it does not fit.

    Args:
        text: without line breaks; lines end at spaces, underscores, hyphens, slashes and the like.
        width: the most that a line may be wide.
        lines: lines at most.
        measure: the width of a text; counts characters if left out.
    """
    made = _broken(text, width, measure)
    if len(made) <= lines:
        return "\n".join(made)
    low, high = 1, len(text)  # the most characters that fit
    while low < high:
        middle = (low + high + 1) // 2
        if len(_broken(shortened(text, middle), width, measure)) <= lines:
            low = middle
        else:
            high = middle - 1
    return "\n".join(_broken(shortened(text, low), width, measure)[:lines])


def _broken(text: str, width: float, measure: Width) -> list[str]:
    """Break a text into as many lines as it needs; a piece that is too wide is cut anywhere."""
    lines = [""]
    for piece in filter(None, _PIECES.findall(text)):
        if measure((lines[-1] + piece).rstrip()) <= width:
            lines[-1] += piece
            continue
        if lines[-1] and measure(piece.rstrip()) <= width:
            lines.append(piece)
            continue
        for letter in piece:
            if lines[-1] and measure((lines[-1] + letter).rstrip()) > width:
                lines.append("")
            lines[-1] += letter
    return [line.rstrip() for line in lines]


def text_width(text: str, font: "FontProperties") -> float:
    """Return how wide a line of text is in points."""
    return _unit_width(text, str(font)) * font.get_size_in_points()


@lru_cache(maxsize=4096)
def _unit_width(text: str, pattern: str) -> float:
    """Return the width of a text of one point; it grows with the size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(pattern)
    font.set_size(100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that a font lacks are told when it is drawn
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 100.0


def fit_titles(axes: "Iterable[Axes]", max_lines: int = 2) -> int:
    """Make the titles of pictures fit above them, all in one size; return the lines of the longest.

    Args:
        axes: of one grid. Titles are taken as they are written: `$` is a dollar sign.
        max_lines: what one line of a title may become.
    """
    titled = [ax for ax in axes if ax.get_title()]
    if not titled:
        return 1
    texts = [
        [shortened(line, _LINE) for line in drawable(ax.get_title()).split("\n")] for ax in titled
    ]
    font = titled[0].title.get_fontproperties().copy()
    wanted = font.get_size_in_points()
    room = min(map(_room, titled))
    size, wrap = _chosen(texts, font, room, max_lines)
    for ax, lines in zip(titled, texts, strict=True):
        made = "\n".join(wrap(line) if line else "" for line in lines)
        ax.set_title(made, fontsize=min(size, wanted))
        ax.title.set_parse_math(False)
    return max(ax.get_title().count("\n") + 1 for ax in titled)


def _room(ax: "Axes") -> float:
    """Return how wide a title may be, in points: as its axes' place on the grid.

    Letters are drawn a little wider than they are, on whole pixels.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    return 0.94 * float(ax.get_position(original=True).width * figure.get_size_inches()[0] * 72)


def _chosen(
    texts: Sequence[Sequence[str]], font: "FontProperties", room: float, max_lines: int
) -> tuple[float, Callable[[str], str]]:
    """Return the largest size in which all fits, and what breaks a line of that size."""
    wanted = font.get_size_in_points()
    lines = [line for text in texts for line in text if line]

    def width_at(size: float) -> Width:
        return lambda text: text_width(text, font) / wanted * size

    for share in _ONE_LINE:
        measure = width_at(size := max(wanted * share, min(wanted, _SMALLEST)))
        if all(measure(line) <= room for line in lines):
            return size, lambda line: line
    for share in _WRAPPED:
        measure = width_at(size := max(wanted * share, min(wanted, _SMALLEST)))
        if all(len(_broken(line, room, measure)) <= max_lines for line in lines):
            break
    return size, lambda line: wrapped(line, room, max_lines, measure=measure)
