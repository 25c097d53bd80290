"""The command as it is used: a process of its own, many clients on loopback, and its end."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from presize.deploy.serve.app import create_app
from presize.deploy.serve.run import Server, bound, serve
from presize.deploy.serve.settings import ServeSettings

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MODEL = FIXTURES / "version-2.safetensors"
TOKEN = "of-the-environment"
WAIT = 60


class Process:
    """`presize serve` as a process of its own."""

    def __init__(self, *options: str) -> None:
        own = {"PRESIZE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "presize",
                "serve",
                str(MODEL),
                "--port",
                "0",
                *options,
            ],
            env=os.environ | own | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said)
        assert found, (self.said, self.process.communicate(timeout=WAIT))
        self.port = int(found[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def ask(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, dict]:
        headers = {"Content-Type": "image/png", "Authorization": f"Bearer {TOKEN}"}
        connection.request("POST", "/predict?top=0", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def process():
    started = Process("--batch", "8")
    yield started
    with started.process:
        started.process.kill()


def test_many_clients_get_each_the_own_answer(process, predictor, odd_pictures):
    expected = {data: predictor.predict(data).probabilities for data in odd_pictures}
    before = threading.Barrier(8)

    def client(first: int) -> None:
        connection = process.connect()
        before.wait(WAIT)
        for data in odd_pictures[first:] + odd_pictures[:first]:
            status, told = process.ask(connection, data)
            assert status == 200
            shares = {s["label"]: s["probability"] for s in told["predictions"][0]["top"]}
            assert shares == pytest.approx(expected[data], abs=1e-5)
        connection.close()

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(client, range(8)))
    connection = process.connect()
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    text = connection.getresponse().read().decode()
    connection.close()
    assert re.search(r"^presize_batch_pictures_sum 80\.0$", text, re.MULTILINE)
    n_batches = re.search(r"^presize_batch_pictures_count (\d+)", text, re.MULTILINE)
    assert n_batches is not None
    assert int(n_batches[1]) < 80  # some were put together


@pytest.fixture
def odd_pictures() -> list[bytes]:
    """Ten pictures that differ."""
    import io

    import numpy as np
    from PIL import Image

    made = []
    for i in range(10):
        out = io.BytesIO()
        noise = np.random.default_rng(i).integers(0, 255, (20 + i, 30), dtype=np.uint8)
        Image.fromarray(noise).save(out, "PNG")
        made.append(out.getvalue())
    return made


def test_at_the_end_what_is_begun_is_finished_and_what_is_new_is_refused(process):
    body = (FIXTURES / "two.png").read_bytes()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with contextlib.closing(process.connect()) as idle, process.socket() as begun:
        assert process.ask(idle, body)[0] == 200
        begun.sendall(head + body[:10])
        assert process.ask(idle, body)[0] == 200  # so the head above has been read, too
        process.process.send_signal(signal.SIGTERM)
        while _accepts(process.port):
            pass
        begun.sendall(body[10:])
        said = b"".join(iter(lambda: begun.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"predictions"' in said
    out, err = process.process.communicate(timeout=WAIT)
    assert process.process.returncode == 0
    assert f"answers at http://127.0.0.1:{process.port}/" in process.said
    lines = err.splitlines()
    pattern = r"[\d-]+ [\d:]+ 127\.0\.0\.1 (POST /predict|GET /metrics) 200 [\d.]+ ms"
    assert lines
    assert all(re.fullmatch(pattern, line) for line in lines), err
    assert TOKEN not in out + err


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=WAIT):
        return True
    return False


@pytest.mark.parametrize("pressed", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_in_order(predictor, pressed):
    before = signal.getsignal(pressed)
    shown = []

    def press(url: str) -> None:
        shown.append(url)
        signal.raise_signal(pressed)

    serve(predictor, ServeSettings(port=0, page=False), started=press)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", shown[0])
    assert signal.getsignal(pressed) is before


def test_answers_are_sent_at_once(client):
    with contextlib.closing(client.connect()) as connection:
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        (open_one,) = client.server.server_state.connections
        accepted = open_one.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_said_before_anything_is_loaded():
    with bound(ServeSettings(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen at 127\.0\.0\.1, port {port}: .*or 0"):
            serve(FIXTURES / "version-2.safetensors", ServeSettings(port=port))


def test_of_two_that_begin_at_the_same_time_one_is_told(predictor, caplog):
    with bound(ServeSettings(port=0)) as other:
        chosen = ServeSettings(port=other.getsockname()[1])
        with bound(chosen) as listening:  # as neither of them listens yet
            other.listen()
            server = Server(create_app(predictor, chosen), chosen)
            with pytest.raises(
                OSError, match=rf"^The server cannot listen at .*{chosen.port}: .* --port"
            ):
                server.run(sockets=[listening])
    assert caplog.records == []


def test_ctrl_c_again_ends_it_at_once(predictor, caplog):
    chosen = ServeSettings(port=0, page=False)
    asked = []

    def press(url: str) -> None:
        asked.append(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))))
        asked[0].sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        loop = asyncio.get_running_loop()
        for seconds in (0.05, 0.3):
            loop.call_later(seconds, signal.raise_signal, signal.SIGINT)

    serve(predictor, chosen, started=press)
    with asked[0] as connection:
        assert b'"stopping"' in b"".join(iter(lambda: connection.recv(65536), b""))
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == []


def test_an_address_of_no_machine_is_named():
    with pytest.raises(OSError, match=r"cannot listen at 203\.0\.113\.1, .*with --host\.$"):
        bound(ServeSettings(host="203.0.113.1", port=0))


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        serve(FIXTURES / "nothing.safetensors", ServeSettings(port=0))
