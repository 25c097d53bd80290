"""What stands around every request: who may ask, what every answer carries, what is written down.

Other pages in a browser on the same machine can send requests here, too. So the name in `Host` must
be one of this server's (no name elsewhere can be made to point here), and a request that a browser
says comes from another page is refused.
"""

import asyncio
import logging
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from presize.deploy.serve.errors import ClientGone, Refused, busy, internal_error
from presize.deploy.serve.metrics import Metrics
from presize.deploy.serve.settings import ServeSettings

log = logging.getLogger("presize.serve")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
GONE = 499  # nobody to answer; the number that nginx writes down
# A connection that is closed while its client still sends takes the answer with it: so what comes
# after an early answer is read and dropped, so much and so long.
_DROPPED = 64_000_000
DROPPING = 1.0  # seconds


class Guard:
    """Refuses what may not ask, and completes and notes every answer.

    Args:
        app: what answers.
        settings: who may ask.
        metrics: where requests are counted.
        paths: the addresses of the server; others are counted together.
    """

    def __init__(
        self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, paths: frozenset[str]
    ) -> None:
        self.app, self.settings, self.metrics, self.paths = app, settings, metrics, paths
        self.hosts = settings.hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it be answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        answer = _Answer(scope, receive, send)
        try:
            self._admit(scope)
            await self.app(scope, answer.receive, answer.send)
        except Refused as refused:
            await refused.response()(scope, answer.receive, answer.send)
        except ClientGone:
            pass
        except asyncio.CancelledError:  # the server ends, and has waited long enough
            if answer.status == GONE:
                stopping = busy("stopping", "The server is stopping.")
                await stopping.response()(scope, answer.receive, answer.send)
            await answer.finish(0.0)
            return
        except Exception:
            log.exception("failed at %s %s", scope["method"], _shown(scope["path"]))
            if answer.status == GONE:
                await internal_error().response()(scope, answer.receive, answer.send)
        finally:
            self._note(scope, answer.status, time.perf_counter() - begun)
        await answer.finish(DROPPING)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self.hosts and name not in self.hosts:
            raise Refused(
                400,
                "host_not_allowed",
                "This server does not answer to the name in the header Host. Use the address that "
                "it shows when it starts, or start it with --allow-host NAME.",
            )
        origin = headers.get("origin")
        if origin is None or origin in self.settings.origins:
            return
        if origin.partition("://")[2].lower() != host:
            raise Refused(
                403,
                "cross_origin",
                "This request comes from a web page elsewhere, which may not ask here. The server "
                "can be started with --origin ADDRESS for pages that may.",
            )

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"]
        self.metrics.request(path if path in self.paths else "other", status, seconds)
        if self.settings.access_log:
            client = scope.get("client")
            log.info(
                "%s %s %s %d %.1f ms",
                client[0] if client else "-",
                scope["method"],
                _shown(path),
                status,
                seconds * 1000,
            )


class _Answer:
    """One answer: completes its head, and ends the connection of a request that was not read."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = GONE
        self._receive, self._send = receive, send
        headers = Headers(scope=scope)
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._held: Message | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._unread:
                headers["Connection"] = "close"
        elif self._unread and not message.get("more_body", False):
            self._held = {"type": message["type"], "body": b"", "more_body": False}
            message = {**message, "more_body": True}
        await self._send(message)

    async def finish(self, seconds: float) -> None:
        """End an answer that came before the end of its request.

        Args:
            seconds: how long the rest of the request is read and dropped.
        """
        if self._held is None:
            return
        dropped = 0
        try:
            async with asyncio.timeout(seconds):
                while self._unread and dropped < _DROPPED:
                    dropped += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
        await self._send(self._held)


def _shown(path: Any) -> str:
    """Return a path as it can stand in a log: on one line, and not for ever."""
    text = str(path)[:200]
    return text if text.isprintable() else ascii(text)
