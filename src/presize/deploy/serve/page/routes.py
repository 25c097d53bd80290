"""`page_routes`: the address of the page. It is one document, which holds nothing of the model."""

import functools
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from presize.interpret.page.environment import page_environment, page_policy, render_page

if TYPE_CHECKING:
    from fastapi import APIRouter

_SCRIPTS = ("api.js", "picture.js", "card.js", "main.js")  # in the order that they need each other


def page_routes() -> "APIRouter":
    """Return the route of the page, `/`: a document that asks `model` and `predict` beside it.

    It needs no token, since it tells nothing of the model; it asks the user for one where the
    server wants one. Its own header lets the browser run its script alone, ask nobody but the
    server, and show the page in no frame.
    """
    from fastapi import APIRouter
    from fastapi.responses import HTMLResponse

    router = APIRouter()
    text, policy = page_text()
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(text, headers=headers)

    return router


@functools.cache
def page_text() -> tuple[str, str]:
    """Return the page and the rule that it is to be sent with, Content-Security-Policy."""
    here = files("presize.deploy.serve.page")
    script = "".join(here.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    css = here.joinpath("page.css").read_text(encoding="utf-8")
    text = render_page(
        page_environment(Path(str(here))),
        "index.html",
        title="presize",
        css=css,
        script=script,
        connects=True,
    )
    return text, page_policy(script, connects=True) + "; frame-ancestors 'none'"
