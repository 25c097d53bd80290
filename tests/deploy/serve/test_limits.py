"""What is too large, too many, too slow, or gone: refused, and nothing stays behind."""

import contextlib
import math
import socket
import struct
import time
import zlib

import pytest
from PIL import Image

from presize.deploy.prepared import bombs_refused
from presize.deploy.serve import guard, protocol, run
from presize.deploy.serve.body import Budget
from presize.deploy.serve.errors import Refused
from presize.deploy.serve.settings import ServeSettings

WAIT = 30
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def until(true, what: str = "") -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def png_header(height: int, width: int) -> bytes:
    """Return a PNG that says it is so large, and holds hardly a row of it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_a_body_that_says_it_is_too_large_is_not_read(serving, held, monkeypatch):
    monkeypatch.setattr(guard, "DROPPING", 0.05)
    with serving(held, max_body=1000) as client:
        said = client.raw(HEAD + b"Content-Length: 1001\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in said.lower()
        assert b"larger than 0.001 MB" in said
        answer = client.predict(b"x" * 1001)
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert client.predict(b"x" * 1000).status == 200
    assert held.batches == [[b"x" * 1000]]


@pytest.mark.parametrize("length", ["9" * 5000, "1" + "0" * 30])
def test_an_absurd_length_is_refused(client, length):
    said = client.raw(HEAD + f"Content-Length: {length}\r\n\r\n".encode())
    assert said.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
    assert b'{"error":' in said.replace(b" ", b"")


def test_a_body_that_grows_too_large_is_cut_off_as_it_comes(serving, held):
    with serving(held, max_body=1000) as client:
        answer = client.predict(b"x" * 300 for _ in range(4))
        assert (answer.status, answer.code) == (413, "body_too_large")
        form = b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"x" * 1000
        answer = client.predict(form, kind="multipart/form-data; boundary=edge")
        assert (answer.status, answer.code) == (413, "body_too_large")
    assert held.batches == []


def test_too_many_files_are_refused(serving, held):
    with serving(held, max_files=2) as client:
        assert len(client.send_files(*[("a", b"x")] * 2).json["predictions"]) == 2
        answer = client.send_files(*[("a", b"x")] * 3)
        assert (answer.status, answer.code) == (413, "too_many_files")
        empty = client.send_files(*[("", b"")] * 1000)  # not one is a picture, but so many parts
        assert (empty.status, empty.code) == (413, "too_many_files")


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(client):
    for data in (png_header(7072, 7072), png_header(60_000, 60_000), png_header(2**31 - 1, 1)):
        answer = client.predict(data)
        assert (answer.status, answer.code) == (413, "too_many_pixels")


def test_what_no_header_tells_is_refused_before_it_is_decoded(client, recwarn):
    before = Image.MAX_IMAGE_PIXELS
    inside = png_header(7072, 7072)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inside), 22) + inside
    for data in (icon, b"P6 10000 10000 255\n"):
        with bombs_refused(50_000_000):
            answer = client.predict(data)
        assert (answer.status, answer.code) == (413, "too_many_pixels")
        assert "MAX_IMAGE_PIXELS" not in answer.json["error"]["message"]
    assert "more pixels than the 50 million that are allowed" in answer.body.decode()
    assert not recwarn
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_bytes_of_all_requests_together_are_limited():
    budget = Budget(10)
    budget.take(6)
    with pytest.raises(Refused, match="as many large requests as it can") as refused:
        budget.take(5)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    budget.give(6)
    budget.take(10)


def test_a_full_queue_is_told_and_empties(serving, held):
    with serving(held, queue=2, max_files=2) as client:
        held.go.clear()
        waiting = [client.started(b"a"), client.started(b"b")]
        until(lambda: client.server._app.state.batcher.pending == 2)
        answer = client.predict(b"c")
        assert (answer.status, answer.code) == (429, "queue_full")
        assert answer.headers["Retry-After"] == "1"
        assert client.get("/health").status == 200
        assert client.get("/ready").code == "not_ready"
        held.go.set()
        assert [w.result(WAIT).status for w in waiting] == [200, 200]
        assert client.predict(b"c").status == 200
        assert client.get("/ready").json == {"status": "ready"}


def test_what_takes_too_long_is_given_up(serving, held):
    with serving(held, timeout=0.05) as client:
        held.go.clear()
        answer = client.predict(b"a")
        assert (answer.status, answer.code) == (504, "timeout")
        assert "within 0.05 seconds" in answer.json["error"]["message"]
        assert client.server._app.state.batcher.pending == 0
        held.go.set()


def test_a_body_that_comes_too_slowly_is_not_waited_for(serving, held, monkeypatch):
    monkeypatch.setattr(guard, "DROPPING", 0.05)
    with serving(held, body_timeout=0.05) as client:
        said = client.raw(HEAD + b"Content-Length: 100\r\n\r\n", b"x")
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"too_slow" in said


def test_a_head_that_comes_too_slowly_is_not_waited_for(serving, held, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    with serving(held) as client:
        for begun in (b"", b"GET /health HT"):
            said = client.raw(begun)
            assert said.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b'"too_slow"' in said
        # Nor is the second one of a connection; but between two it may rest.
        with socket.create_connection(client.address, timeout=WAIT) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = b""
            while not said.endswith(b'{"status":"ok"}'):
                said += connection.recv(65536)
            time.sleep(0.2)
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET ")
            said = b"".join(iter(lambda: connection.recv(65536), b""))
            assert said.startswith(b"HTTP/1.1 200 ")
            assert said.count(b"HTTP/1.1 ") == 2
            assert b"HTTP/1.1 408 " in said


def test_there_are_only_so_many_connections(serving, held):
    with serving(held, connections=2) as client:
        others = [socket.create_connection(client.address) for _ in range(2)]
        until(lambda: len(client.server.server_state.connections) == 2)
        said = client.raw()
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in said
        assert b"Too many connections" in said
        for other in others:
            other.close()
        until(lambda: not client.server.server_state.connections)
        assert client.get("/health").status == 200


def test_the_work_for_a_client_that_went_away_is_dropped(serving, held):
    with serving(held) as client:
        batcher = client.server._app.state.batcher
        held.go.clear()
        first = client.started(b"first")
        assert held.began.acquire(timeout=WAIT)
        with socket.create_connection(client.address) as connection:
            connection.sendall(HEAD + b"Content-Length: 4\r\n\r\ngone")
            until(lambda: batcher.pending == 2)
        until(lambda: batcher.pending == 1)
        held.go.set()
        assert first.result(WAIT).status == 200
        assert client.predict(b"last").status == 200
    assert held.batches == [[b"first"], [b"last"]]
    text = client.server._app.state.batcher.metrics.text().decode()
    assert 'presize_requests_total{path="/predict",status="499"} 1.0' in text


def test_a_client_that_goes_while_it_sends_leaves_nothing(serving, held):
    with serving(held) as client:
        with socket.create_connection(client.address) as connection:
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
        until(lambda: not client.server.server_state.connections)
        until(lambda: not client.server.server_state.tasks)
        assert client.predict(b"a").status == 200
    assert held.batches == [[b"a"]]


def test_who_does_not_read_the_answers_is_not_waited_for(serving, held):
    with serving(held, timeout=0.05) as client, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(WAIT)
        connection.connect(client.address)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
        with contextlib.suppress(ConnectionError):
            while client.server.server_state.connections:
                with contextlib.suppress(TimeoutError):
                    connection.settimeout(0.05)
                    connection.send(asked)
        until(lambda: not client.server.server_state.tasks)
        assert client.get("/health").status == 200


def test_at_the_end_not_everything_is_waited_for(serving, held, monkeypatch, caplog):
    monkeypatch.setattr(run, "GRACE", 0.0)
    with serving(held, timeout=0.5) as client, socket.socket() as connection:
        connection.connect(client.address)
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nx")
        until(lambda: client.server.server_state.tasks)
        client.server.should_exit = True
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b'"stopping"' in said
    assert not [r for r in caplog.records if r.exc_info or "without completing" in r.msg]


def test_what_is_no_http_is_answered_in_the_one_shape(client):
    for data in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET " + b"a" * 20_000):
        said = client.raw(data)
        assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b'"code": "bad_request"' in said


def test_requests_behind_each_other_on_one_connection_are_all_answered(client):
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert client.raw(one + one + last).count(b'{"status":"ok"}') == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_body": 0}, "max_body must be a number above 0"),
        ({"timeout": -1.0}, "timeout must be a number above 0"),
        ({"timeout": math.inf}, "timeout must be a number above 0, but is inf"),
        ({"port": 65536}, "port must be from 0 .* to 65535, not 65536"),
        ({"wait": 5.0}, "wait is in seconds, from 0 to 1, but is 5.0"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"queue": 10}, "make queue at least as large"),
        ({"token": ""}, "The token must be at least one character"),
        ({"token": "zwei wörter"}, "cannot be sent in the header"),
        ({"origins": ("*",)}, "any page in a browser could use the server"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        ServeSettings(**settings)
