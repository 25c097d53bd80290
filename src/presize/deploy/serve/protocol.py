"""HTTP as uvicorn speaks it, with limits on time and number that it leaves to a proxy in front.

A client may not keep a connection open by sending the head of a request letter by letter, or by not
reading its answer, and there are only so many connections.
"""

import asyncio
import json
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from presize.deploy.serve.errors import Refused, busy
from presize.deploy.serve.settings import ServeSettings

LONGEST_HEAD = 16_384  # bytes
HEAD_SECONDS = 10.0


def limited_protocol(settings: ServeSettings) -> type[H11Protocol]:
    """Return the protocol with the limits of a server.

    Args:
        settings: how many connections there may be, and how long an answer may take to be read.
    """

    class Limited(_Limited):
        most = settings.connections
        unread_seconds = settings.timeout

    return Limited


class _Limited(H11Protocol):
    most: int
    unread_seconds: float
    _asked = False  # whether there was a whole head
    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.access_log = False  # it would hold what stands behind the ? of an address
        if len(self.connections) > self.most:
            self._refuse(busy("busy", "Too many connections are open. Ask again soon."))
            return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._asked = self._asked or self.conn.their_state is not h11.IDLE
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_read_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_read_timer()
        self._read_timer = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_read_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the one shape of errors."""
        self._refuse(Refused(400, "bad_request", "This is no valid HTTP request."))

    def _watch_head(self) -> None:
        """Give a client some seconds for the head of its request, from the first letter of it."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_head_timer()
        elif self._head_timer is None and self._owes_head():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _owes_head(self) -> bool:
        """Say whether a head is due: the first one, or one that is begun."""
        return not self._asked or bool(self.conn.trailing_data[0])

    def _too_slow(self) -> None:
        self._refuse(
            Refused(408, "too_slow", f"No request came in within {HEAD_SECONDS:g} seconds.")
        )

    def _refuse(self, why: Refused) -> None:
        """Answer before there is a request, and end the connection."""
        body = json.dumps({"error": why.told()}).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **why.headers,
        }
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            head = [f"HTTP/1.1 {why.status} {HTTPStatus(why.status).phrase}"]
            head += [f"{name}: {value}" for name, value in headers.items()]
            self.transport.write("\r\n".join([*head, "\r\n"]).encode() + body)
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
