"""Colours that can be read on light and on dark figures alike."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Palette:
    """Colours for one figure, as matplotlib names them.

    Args:
        dark: whether the figure is dark.
        ink: of text, as the style in use has it.
        faint: of what stands back: grids, guides, zeros.
        right: of what agrees.
        wrong: of what does not.
    """

    dark: bool
    ink: Any
    faint: str
    right: str
    wrong: str


# Each has a contrast of 4.5 and more (WCAG 2.2, level AA) on white and on black respectively; green
# and red differ in lightness too, for those who cannot tell them apart.
_LIGHT = ("#6e6e6e", "#1a7f37", "#c2101f")
_DARK = ("#9a9a9a", "#56d364", "#ff7b72")


def palette(ax: "Axes") -> Palette:
    """Return the colours for what is drawn on the axes `ax`.

    Whether the figure is dark is told from the colour of its labels: behind a figure without a
    background of its own may be a page of any colour.
    """
    ink = ax.xaxis.label.get_color()
    dark = luminance(ink) > 0.4
    return Palette(dark, ink, *(_DARK if dark else _LIGHT))


def luminance(colour: Any) -> float:
    """Return how light a colour is, from 0 (black) to 1 (white), as WCAG 2.2 defines it."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Any, other: Any) -> float:
    """Return how well two colours are told apart, from 1 to 21, as WCAG 2.2 defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
