"""`serve`: runs the server of a model until it is stopped."""

import contextlib
import errno
import logging
import math
import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path as AnyPath
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from presize.deploy.prepared import bombs_refused
from presize.deploy.serve.app import create_app
from presize.deploy.serve.protocol import LONGEST_HEAD, limited_protocol
from presize.deploy.serve.settings import ServeSettings

if TYPE_CHECKING:
    from presize.deploy.predictor import Predictor
    from presize.learner import Learner

log = logging.getLogger("presize.serve")
GRACE = 5.0  # seconds beside those of a request, until the end is not waited for any more


def serve(
    model: "str | AnyPath | Predictor | Learner",
    settings: ServeSettings | None = None,
    *,
    name: str | None = None,
    device: str | None = None,
    started: Callable[[str], object] | None = None,
) -> None:
    """Answer requests until SIGTERM, or Ctrl-C; what is being answered then is finished.

    Args:
        model: a model file, a predictor or a learner.
        settings: address, limits, token.
        name: of the model, as clients see it; None takes that of the file.
        device: where a model from a file computes; None takes a GPU where there is one.
        started: called with the address, when requests are answered.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: it is no model file.
        OSError: the address is taken, or none of this machine's.
    """
    settings = settings or ServeSettings()
    with bound(settings) as listening:
        predictor, own = _predictor(model, device)
        app = create_app(predictor, settings, name=name or own)
        server = Server(app, settings, started)
        with bombs_refused(settings.max_pixels):
            server.run(sockets=[listening])
    if not server.started:
        raise OSError("The server could not start; its log says why.")


def _predictor(
    model: "str | AnyPath | Predictor | Learner", device: str | None
) -> "tuple[Predictor, str]":
    from presize.deploy.predictor import Predictor
    from presize.learner import Learner

    if isinstance(model, Predictor):
        return model, "model"
    if isinstance(model, Learner):
        return Predictor(model), "model"
    return Predictor.load(model, device=device), AnyPath(model).stem


def bound(settings: ServeSettings) -> socket.socket:
    """Return a socket at the address of the settings, before a model is made ready for it.

    Raises:
        OSError: the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, else asyncio lets answers wait for the client's acknowledgement: 40 ms each.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two servers have one address
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listening.close()
        raise _cannot_listen(settings, error) from None
    return listening


def _cannot_listen(settings: ServeSettings, error: OSError) -> OSError:
    way_out = "Choose an address of this machine with --host."
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        way_out = "Choose another port with --port, or 0 for one that is free."
    told = OSError(
        f"The server cannot listen at {settings.host}, port {settings.port}: {error.strerror}. "
        + way_out
    )
    told.errno = error.errno  # given with the text, it would stand in front of it
    return told


class Server(uvicorn.Server):
    """The server of an app: it ends in order, and says where it listens.

    Args:
        app: what answers.
        settings: the limits on connections and time.
        started: called with the address, when requests are answered.
    """

    def __init__(
        self, app: FastAPI, settings: ServeSettings, started: Callable[[str], object] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=limited_protocol(settings),
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=LONGEST_HEAD,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=math.ceil(settings.timeout + GRACE),
            )
        )
        self._app, self._settings, self._tell = app, settings, started
        self.url: str | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say where."""
        try:
            await super().startup(sockets)
        except OSError as error:  # another server began to listen while this one made itself ready
            await self.lifespan.shutdown()
            raise _cannot_listen(self._settings, error) from None
        if not self.started:
            return
        port = self.servers[0].sockets[0].getsockname()[1]
        host = self._settings.host
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.url = f"http://{shown}:{port}"
        if self._tell is not None:
            self._tell(self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what is new, and finish what is begun."""
        self._app.state.batcher.stopping = True
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would end the app in the middle of its wait for the end
            await self.lifespan.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take a signal to stop as what it is: the process then ends as one that is done."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at the second time at once."""
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)
