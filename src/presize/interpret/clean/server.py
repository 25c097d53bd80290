"""Answers the browser: on this machine's own address alone, to who knows the token.

Other pages in the same browser can send requests to this address, but do not know the token, which
stands in the path; the name in `Host` must be that of this machine, so that no name elsewhere can
be made to point here; and the answers let the browser load nothing from anywhere else.
"""

import contextlib
import hmac
import json
import secrets
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from presize.core.errors import DataError
from presize.interpret.clean.board import Board
from presize.interpret.clean.thumbnails import LARGE, SMALL, Thumbnails

HOST = "127.0.0.1"
_MOST_BYTES = 1 << 20  # of a request
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
_PAGES = {
    "": "clean/page/index.html",
    "base.css": "page/base.css",
    **{
        name: f"clean/page/{name}"
        for name in ("clean.css", "main.js", "board.js", "cards.js", "relabel.js", "keys.js")
    },
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_OVER = (
    "<!doctype html><meta charset=utf-8><title>presize</title><p>This address is not that of a "
    "page that is open. Each run has its own: take the one that was shown last."
)


class CleanServer(ThreadingHTTPServer):
    """The server of one board.

    Args:
        board: what it shows and changes.
        port: where it listens; 0 takes one that is free.
        done: called when the user says on the page that it is done.

    Raises:
        DataError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, board: Board, port: int = 0, done: Callable[[], object] = lambda: 0) -> None:
        self.board, self.done, self.thumbnails = board, done, Thumbnails()
        self.token = secrets.token_urlsafe(24)
        self._connections: set[Any] = set()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise DataError(
                f"The page cannot be served at port {port}: {error.strerror}. Choose another port, "
                "or 0 for one that is free."
            ) from None
        self.thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="presize-clean"
        )
        self.thread.daemon = True

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection, and remember it while it is open."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the server and what browsers keep open to ask again, or they would be answered."""
        super().server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a browser that went away; say what else went wrong."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: CleanServer
    protocol_version = "HTTP/1.1"
    server_version = "presize"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return self._send(HTTPStatus.NOT_FOUND, _KINDS["html"], _OVER.encode())
        kind, _, number = path.partition("/")
        if (name := _PAGES.get(path)) is not None:
            body = files("presize.interpret").joinpath(*name.split("/")).read_bytes()
            return self._send(HTTPStatus.OK, _KINDS[name.rpartition(".")[2]], body)
        if path == "state":
            return self._json(HTTPStatus.OK, self._state())
        if kind in ("small", "large") and _is_number(number):
            return self._picture(int(number), SMALL if kind == "small" else LARGE)
        return self._json(HTTPStatus.NOT_FOUND, {"error": "There is nothing at this address."})

    def do_POST(self) -> None:
        path = self._path()
        told = self._told() if path in ("decide", "undo", "done") else None
        if told is None:
            self.close_connection = True
            return self._json(HTTPStatus.FORBIDDEN, {"error": "This request is not answered."})
        board = self.server.board
        try:
            if path == "decide":
                return self._json(HTTPStatus.OK, board.decide(told["changes"]))
            if path == "undo":
                return self._json(HTTPStatus.OK, board.undo())
        except (DataError, OSError, IndexError, KeyError, TypeError) as error:
            why = str(error) if isinstance(error, DataError | OSError) else "No such picture."
            # Not an error of HTTP: browsers would log it, and the page tells it itself.
            return self._json(HTTPStatus.OK, {"error": why})
        self._json(HTTPStatus.OK, {"summary": board.summary()})
        self.server.done()

    def _state(self) -> dict[str, Any]:
        try:
            return self.server.board.state()
        except (DataError, OSError) as error:
            return {"error": str(error)}

    def _path(self) -> str | None:
        """Return what is asked for, without the token; None for who may not ask."""
        name, _, port = self.headers.get("Host", "").partition(":")
        if name not in (HOST, "localhost") or (port or "80") != str(self.server.server_port):
            return None
        token, slash, path = self.path.partition("?")[0][1:].partition("/")
        same = hmac.compare_digest(token.encode(), self.server.token.encode())
        return path if slash and same else None

    def _told(self) -> dict[str, Any] | None:
        """Return the JSON that was sent; None if it is none, or another page sent it."""
        origin = self.headers.get("Origin")
        host = self.headers.get("Host")
        length = self.headers.get("Content-Length", "")
        if (
            origin not in (None, f"http://{host}")
            or self.headers.get_content_type() != "application/json"
            or not _is_number(length)
            or int(length) > _MOST_BYTES
        ):
            return None
        try:
            told = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return None
        return told if isinstance(told, dict) else None

    def _picture(self, number: int, side: int) -> None:
        try:
            file = self.server.board.file(number)
        except IndexError:
            return self._json(HTTPStatus.NOT_FOUND, {"error": "There is no such picture."})
        kind, body = self.server.thumbnails.get(file, side)
        return self._send(HTTPStatus.OK, kind, body, cache="private, max-age=3600")

    def _json(self, status: HTTPStatus, told: Any) -> None:
        self._send(status, "application/json; charset=utf-8", json.dumps(told).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes, cache: str = "no-store") -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": cache}
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: requests come by the hundred."""


def _is_number(text: str) -> bool:
    """Return whether a text is a number that `int` takes in no time."""
    return text.isdecimal() and len(text) < 10
