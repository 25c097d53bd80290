"""A small web server on this machine, with the faults that real ones have."""

import email.message
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Web:
    """What the server holds, how it behaves, and what it was asked for.

    Attributes:
        files: body by path.
        etag, modified: validators sent with each file; None sends none.
        ranges: answer requests for a part with that part.
        with_length: say how long a file is.
        break_after: for the next requests, the number of bytes after which the connection breaks
            (None: does not); taken from the front.
        answers: status codes for the next requests, before any file is served.
        redirects: new address by path.
        stall: for the next requests, keep the connection open without sending the rest.
        asked: (path, headers) of every request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etag: str | None = '"one"'
        self.modified: str | None = None
        self.ranges = True
        self.with_length = True
        self.break_after: list[int | None] = []
        self.answers: list[int] = []
        self.redirects: dict[str, str] = {}
        self.stall: list[bool] = []
        self.asked: list[tuple[str, email.message.Message]] = []
        self.address = ""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


class Handler(BaseHTTPRequestHandler):
    web: Web
    over = threading.Event()

    def do_GET(self) -> None:
        web, path = self.web, self.path.lstrip("/").split("?")[0]
        web.asked.append((path, self.headers))
        if web.answers:
            return self.send_error(web.answers.pop(0))
        if path in web.redirects:
            self.send_response(302)
            self.send_header("Location", web.redirects[path])
            return self.end_headers()
        if path not in web.files:
            return self.send_error(404)
        return self.send_file(web.files[path])

    def send_file(self, body: bytes) -> None:
        web, start = self.web, 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        unchanged = self.headers.get("If-Range") in (None, web.etag, web.modified)
        if wanted and web.ranges and unchanged:
            start = int(wanted[1])
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if web.etag:
            self.send_header("ETag", web.etag)
        if web.modified:
            self.send_header("Last-Modified", web.modified)
        if web.with_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = web.break_after.pop(0) if web.break_after else None
        self.wfile.write(body[start:] if stop is None else body[start : start + stop])
        if web.stall and web.stall.pop(0):
            self.wfile.flush()
            self.over.wait(10)
        if stop is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
        return None

    def log_message(self, *_: object) -> None:
        """Keep the log quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Keep quiet about clients that hang up: they are meant to."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web server on this machine; see Web."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Web()
    handler = type("OneHandler", (Handler,), {"web": made, "over": threading.Event()})
    server = Server(("127.0.0.1", 0), handler)
    made.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    handler.over.set()
    server.shutdown()
    server.server_close()
    thread.join()
