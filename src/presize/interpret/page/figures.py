"""Figures of matplotlib as SVG in a page, whose colours follow the page: light, dark, printed."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from presize.show.titles import drawable

if TYPE_CHECKING:
    from markupsafe import Markup

# While a figure is drawn, a colour of the page stands as one that nobody would choose by chance.
_NAMES = (
    *("ink", "ink-soft", "line", "line-strong", "surface", "accent"),
    *(f"series-{i}" for i in range(1, 7)),
    *("good", "warn", "bad"),
)
COLOURS = {name: f"#01{0x0F + 2 * i:02x}5{i:x}" for i, name in enumerate(_NAMES)}
"""The colours of `base.css` by name, as matplotlib is to be given them inside of `page_style`."""
_TOKENS = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_numbers = count(1)


@contextmanager
def page_style() -> Iterator[None]:
    """Let what is drawn inside take the colours and the measures of a page."""
    import matplotlib as mpl
    from cycler import cycler

    series = [COLOURS[f"series-{i}"] for i in range(1, 7)]
    soft, line = COLOURS["ink-soft"], COLOURS["line"]
    with mpl.rc_context():
        mpl.rcdefaults()  # the user's own style is for the user's own figures
        mpl.rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": "presize",
                "text.parse_math": False,  # `$` in a name is a character like others
                "text.color": COLOURS["ink"],
                "axes.prop_cycle": cycler(color=series),
                "axes.labelcolor": soft,
                "axes.edgecolor": COLOURS["line-strong"],
                "axes.facecolor": "none",
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "axes.axisbelow": True,
                "axes.titlesize": 11,
                "grid.color": line,
                "grid.linewidth": 0.8,
                "xtick.color": COLOURS["line-strong"],
                "ytick.color": COLOURS["line-strong"],
                "xtick.labelcolor": soft,
                "ytick.labelcolor": soft,
                "lines.linewidth": 2.0,
                "lines.solid_capstyle": "round",
                "legend.frameon": False,
                "figure.facecolor": "none",
                "font.size": 10,
            }
        )
        yield


def new_figure(width: float, height: float) -> Any:
    """Return a figure of so many inches that pyplot does not know of; see `page_style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def figure_svg(figure: Any, label: str) -> "Markup":
    """Return a figure as an SVG element, made and drawn inside of `page_style`.

    Its text is text, in the font of the page; its ids are not those of other figures.

    Args:
        figure: of matplotlib.
        label: what is to be seen in it, for those who cannot see it.
    """
    from xml.etree import ElementTree

    from markupsafe import Markup

    out = io.StringIO()
    with warnings.catch_warnings():
        # The fonts are the browser's; matplotlib's own is used to guess how wide a text is.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(_NOT_IN_XML.sub("", out.getvalue()))
    prefix = f"figure{next(_numbers)}-"
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _adopt(element, prefix)
    for metadata in root.findall("metadata"):
        root.remove(metadata)
    for parent in root.iter("defs"):
        for style in parent.findall("style"):  # it would hold for the whole page
            parent.remove(style)
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    root.attrib.update(
        {"role": "img", "aria-label": _NOT_IN_XML.sub("", drawable(label)), "class": "figure"}
    )
    root.set("style", f"max-width: {width * 4 / 3:.0f}px")
    # ElementTree has escaped all text.
    text: str = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    return Markup(text)


def _adopt(element: Any, prefix: str) -> None:
    """Make one element part of the page: its colours, its font, its id; fewer digits."""
    attributes = element.attrib
    if (own := attributes.pop("id", None)) is not None and element.tag != "g":
        attributes["id"] = prefix + own
    if (target := attributes.pop(_LINK, None)) is not None:
        attributes["href"] = target.replace("#", f"#{prefix}", 1)
    if "clip-path" in attributes:
        attributes["clip-path"] = attributes["clip-path"].replace("#", f"#{prefix}", 1)
    if "style" in attributes:
        kept = [
            f"{name.strip()}: {_TOKENS.get(value.strip(), value.strip())}"
            for name, _, value in (part.partition(":") for part in attributes["style"].split(";"))
            if name.strip() != "font-family"
        ]
        attributes["style"] = "; ".join(kept)
    for name in ("d", "x", "y", "transform"):
        if name in attributes:
            short = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.5g}", attributes[name])
            attributes[name] = " ".join(short.split())
    if element.tail is not None:
        element.tail = None
    if element.tag not in ("text", "tspan"):
        element.text = None
