"""Templates of pages: all text is escaped, a name that is missing is an error."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from presize.show.titles import drawable

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent


def page_environment(folder: Path) -> "Environment":
    """Return an environment for the templates of a folder, and for the frame of all pages.

    Everything that a template shows is escaped, but for `Markup`. File names that are no valid
    text are shown with their bytes escaped, and control characters as their Unicode pictures.

    Args:
        folder: where the templates are; `page.html`, which they extend, is found in any case.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(
    environment: "Environment",
    template: str,
    *,
    title: str,
    css: str = "",
    script: str = "",
    connects: bool = False,
    **values: Any,
) -> str:
    """Return a whole HTML page, which carries its style and its script with it.

    A rule in its head (Content-Security-Policy) lets the browser run no other script and fetch
    nothing, should a name ever get through the escaping.

    Args:
        environment: from `page_environment`.
        template: the name of a template that extends `page.html`.
        title: of the page.
        css: of this page, after that of all pages.
        script: of this page.
        connects: the page may load pictures from, and send to, the address that it came from.
        values: for the template.
    """
    from markupsafe import Markup

    if "</" in css or "</script" in script.lower() or "<!--" in script:
        raise ValueError("The style or the script of a page would end its element.")
    base = (_HERE / "base.css").read_text(encoding="utf-8")
    text: str = environment.get_template(template).render(
        title=title,
        css=Markup(base + css),
        script=Markup(script),
        policy=page_policy(script, connects=connects),
        **values,
    )
    return text


def printable(text: str) -> str:
    """Return a text that can be written as UTF-8 and seen: odd bytes escaped, controls pictured."""
    return drawable(text).translate(_PICTURES)


# U+2400 to U+2421 picture the control characters. Those that turn the direction of writing could
# show a name as another one.
_PICTURES = {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"},
    0x7F: "\u2421",
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
}


def _shown(value: Any) -> Any:
    """Return what a template shows of a value."""
    if hasattr(value, "__html__") or not isinstance(value, str):
        return value
    return printable(value)


def page_policy(script: str, *, connects: bool) -> str:
    """Return the rule (Content-Security-Policy) of a page with one script of its own.

    Args:
        script: the only one that the browser is to run.
        connects: see `render_page`.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = " 'self'" if connects else ""
    return (
        f"default-src 'none'; img-src data:{own}; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; connect-src {own.strip() or chr(39) + 'none' + chr(39)}; "
        "base-uri 'none'; form-action 'none'"
    )
