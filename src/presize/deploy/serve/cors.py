"""Web pages elsewhere that may ask (CORS)."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from presize.deploy.serve.errors import Refused


class Origins(CORSMiddleware):
    """Tells browsers which pages may ask, and refuses the others in the one shape of errors.

    Args:
        app: what answers.
        origins: of the pages that may ask.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer what a browser asks before a page's request."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        kept = {k: v for k, v in answer.headers.items() if k == "vary" or k.startswith("access-")}
        return Refused(
            403,
            "cross_origin",
            "This web page may not ask in this way. Pages that --origin names may, with GET and "
            "POST and the headers Authorization and Content-Type.",
            headers=kept,
        ).response()
