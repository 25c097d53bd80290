"""A server on loopback in a thread, a client for it, and a model that a test holds in its hands."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import torch

pytest.importorskip("fastapi", reason="the server is an extra")

from presize.deploy.prediction import Prediction
from presize.deploy.predictor import Predictor
from presize.deploy.serve.app import create_app
from presize.deploy.serve.run import Server, bound
from presize.deploy.serve.settings import ServeSettings

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
WAIT = 30  # seconds, for what takes none; a test fails then and does not hang


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The word for what is wrong."""
        assert self.headers["Content-Type"] == "application/json"
        assert set(self.json) == {"error"}
        assert self.json["error"]["message"].endswith(".")
        return str(self.json["error"]["code"])


class Client:
    """Asks a server, a connection for each request."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url or ""
        self.address = (urlsplit(self.url).hostname, urlsplit(self.url).port)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=WAIT)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connect()
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def predict(self, body: Any, query: str = "", kind: str = "image/png", **more: str) -> Answer:
        return self.ask("POST", "/predict" + query, body, Content_Type=kind, **more)

    def started(self, *arguments: Any, **options: Any) -> "Future[Answer]":
        """Ask for predictions in a thread of its own."""
        answer: Future[Answer] = Future()

        def ask() -> None:
            try:
                answer.set_result(self.predict(*arguments, **options))
            except BaseException as error:
                answer.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        return answer

    def raw(self, *pieces: bytes) -> bytes:
        """Send bytes as they are, and return all that comes until the connection ends."""
        with socket.create_connection(self.address, timeout=WAIT) as connection:
            for piece in pieces:
                connection.sendall(piece)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def send_files(self, *files: tuple[str, bytes], query: str = "", field: str = "file") -> Answer:
        return self.predict(form(*files, field=field), query, "multipart/form-data; boundary=edge")


def form(*files: tuple[str, bytes], field: str = "file") -> bytes:
    """Return files as the body of a form with the boundary `edge`."""
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + b"--edge--\r\n"


@contextmanager
def running(predictor: Any, **settings: Any) -> Iterator[Client]:
    """Run a server in a thread, as long as the block lasts."""
    chosen = ServeSettings(port=0, **{"page": False} | settings)
    started = threading.Event()
    server = Server(create_app(predictor, chosen, name="digits"), chosen, lambda _: started.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound(chosen)]})
    thread.start()
    try:
        assert started.wait(WAIT)
        yield Client(server)
    finally:
        server.should_exit = True
        thread.join(WAIT)
        assert not thread.is_alive()


class Held:
    """A predictor whose forwards and decoding wait for the test, which sees what they are given.

    What it is asked about are short texts; `b"bad"` fails in the model. The label is the text.
    """

    vocab = ("yes", "no")
    task = "classification"
    calibrated = can_tell_unknown = False
    learn = SimpleNamespace(
        model=SimpleNamespace(parameters=list), record=None, device=torch.device("cpu")
    )
    watch = None

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0
        self.decode: Callable[[bytes], None] = lambda data: None

    def warm_up(self) -> None:
        pass

    def prepare(self, item: bytes, *, max_pixels: int | None = None) -> bytes:
        self.decode(item)
        return item

    def infer(self, prepared: list[bytes]) -> list[Prediction]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.batches.append(list(prepared))
        self.began.release()
        try:
            assert self.go.wait(WAIT)
            if b"bad" in prepared:
                raise RuntimeError("a secret of the server, /etc/hosts")
            return [Prediction(p.decode(), 0, 0.5, {"yes": 0.5, "no": 0.5}) for p in prepared]
        finally:
            self.at_once -= 1


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """A context manager that runs a server of a predictor, with settings, and gives a client."""
    return running


@pytest.fixture
def held() -> Iterator[Held]:
    predictor = Held()
    yield predictor
    predictor.go.set()


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """A small model of the digits 0, 1 and 2, which tells what is none of them."""
    return Predictor.load(FIXTURES / "version-2.safetensors", device="cpu")


@pytest.fixture(scope="module")
def client(predictor: Predictor) -> Iterator[Client]:
    """A client of a server with the usual limits."""
    with running(predictor) as asked:
        yield asked


@pytest.fixture(scope="session")
def two() -> bytes:
    """A picture of a 2."""
    return (FIXTURES / "two.png").read_bytes()
