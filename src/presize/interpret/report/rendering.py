"""From sections to a page."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from presize.interpret.page.environment import page_environment, printable, render_page
from presize.interpret.report.overview import Head
from presize.interpret.report.parts import Section
from presize.show.titles import shortened

if TYPE_CHECKING:
    from markupsafe import Markup

_HERE = Path(__file__).parent
_WHOLE = 400  # characters of a name that is shown when one points at it


def rendered(sections: Sequence[Section], head: Head, *, most_pictures: int, most_rows: int) -> str:
    """Return the page of a report.

    Args:
        sections: in their order.
        head: what stands above them.
        most_pictures: pictures with a higher number are left out.
        most_rows: so many rows of a table are shown at most.
    """
    environment = page_environment(_HERE)
    environment.filters["short"] = _short
    environment.filters["whole"] = _whole
    environment.filters["breakable"] = _breakable
    return render_page(
        environment,
        "report.html",
        title=head.title,
        css=(_HERE / "report.css").read_text(encoding="utf-8"),
        script=(_HERE / "report.js").read_text(encoding="utf-8"),
        sections=sections,
        subtitle=head.subtitle,
        tiles=head.tiles,
        notes=head.notes,
        limits={"pictures": most_pictures, "rows": most_rows},
    )


def _short(text: Any, n: int = 60) -> str:
    """Return a name of at most `n` characters, its middle left out."""
    return shortened(printable(str(text)), n)


def _breakable(text: str) -> "Markup":
    """Return the name of a file, of which a line may end after the marks that join its parts."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[/\\_\-.])", text)
    return Markup("<wbr>").join(map(escape, parts))


def _whole(text: Any, n: int = _WHOLE) -> str:
    return shortened(printable(str(text)), n)
