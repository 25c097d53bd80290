"""The server as strangers, other pages and broken requests meet it."""

import http.client
import io
import json
import socket

import pytest
from PIL import Image

from presize.core.errors import DataError
from presize.interpret.clean.cleaner import Cleaner


@pytest.fixture
def ask(opened):
    """Send a request: its status, headers and body."""
    cleaner = opened()
    host, _, token = cleaner.url.removeprefix("http://").rstrip("/").partition("/")

    def send(method, path, body=None, **headers):
        path = path.replace("TOKEN", token)
        connection = http.client.HTTPConnection(*host.split(":"), timeout=10)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        return answer.status, answer.headers, told

    send.cleaner, send.host = cleaner, host
    return send


DROP = json.dumps({"changes": [{"id": 1, "decision": "drop"}]})
JSON = {"Content_Type": "application/json"}


def test_who_knows_the_token_is_answered(ask):
    status, headers, body = ask("GET", "/TOKEN/")
    assert status == 200 and b"<!doctype html>" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert json.loads(ask("GET", "/TOKEN/state")[2])["suspects"][0]["name"] == "pug/broken.jpg"
    told = json.loads(ask("POST", "/TOKEN/decide", DROP, **JSON)[2])
    assert told["changes"][0]["decision"] == "drop" and len(ask.cleaner.decisions) == 1


@pytest.mark.parametrize("path", ["/", "/state", "/x/state", "/TOKENx/", "/TOKEN", "//", "*"])
def test_who_does_not_is_not(ask, path):
    status, _, body = ask("GET", path)
    assert status == 404 and b"pug" not in body and b"take the one that was shown last" in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example:1", ""]
)
def test_no_other_name_may_point_here(ask, host):
    assert ask("GET", "/TOKEN/state", Host=host)[0] == 404
    assert ask("POST", "/TOKEN/decide", DROP, Host=host, **JSON)[0] == 403
    assert len(ask.cleaner.decisions) == 0


def test_localhost_is_this_machine(ask):
    port = ask.host.split(":")[1]
    assert ask("GET", "/TOKEN/state", Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {},
        {"Content_Type": "application/json", "Origin": "http://evil.example"},
        {"Content_Type": "application/json", "Origin": "null"},
    ],
)
def test_other_pages_cannot_decide(ask, headers):
    assert ask("POST", "/TOKEN/decide", DROP, **headers)[0] == 403
    assert len(ask.cleaner.decisions) == 0


@pytest.mark.parametrize("body", ["", "{", "[]", "3", '"x"', '{"changes":', b"\xff\xfe"])
def test_what_is_no_json_is_refused(ask, body):
    assert ask("POST", "/TOKEN/decide", body, **JSON)[0] == 403


@pytest.mark.parametrize(
    "body",
    ["{}", '{"changes": 3}', '{"changes": [3]}', '{"changes": [{"id": 77, "decision": "drop"}]}'],
)
def test_changes_that_make_no_sense_are_told(ask, body):
    status, _, told = ask("POST", "/TOKEN/decide", body, **JSON)
    assert status == 200 and json.loads(told)["error"] and len(ask.cleaner.decisions) == 0


def test_a_request_that_is_too_long_is_not_read(ask):
    with socket.create_connection(ask.host.split(":")) as connection:
        head = f"POST {ask.cleaner.url.split('/', 3)[3]} HTTP/1.1\r\nHost: {ask.host}\r\n"
        connection.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        assert b"403" in connection.recv(4096)


def test_only_listed_pictures_are_given(ask, found):
    for side, longest in (("small", 81), ("large", 81)):
        status, headers, body = ask("GET", f"/TOKEN/{side}/1")
        assert status == 200 and headers["Content-Type"] == "image/jpeg"
        assert Image.open(io.BytesIO(body)).size == (longest, 60)
    for path in ("small/99", "small/-1", "small/1.5", "small/", "small/../state", "/etc/passwd"):
        assert ask("GET", f"/TOKEN/{path}")[0] == 404
    status, headers, body = ask("GET", "/TOKEN/small/0")  # the broken one
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml")
    assert b"not a" in body and str(found.root).encode() not in body


def test_it_listens_on_this_machine_alone(ask):
    assert ask.cleaner._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told(ask, found, tmp_path):
    port = int(ask.host.split(":")[1])
    with pytest.raises(DataError, match=f"cannot be served at port {port}.*Choose another port"):
        Cleaner(found, tmp_path / "x.csv", port=port)


def test_done_ends_it(ask):
    assert not ask.cleaner.wait(0.01)
    told = json.loads(ask("POST", "/TOKEN/done", "{}", **JSON)[2])
    assert told == {"summary": "0 of 9 decided"}
    assert ask.cleaner.wait(5) and not ask.cleaner.running
    with pytest.raises(OSError):
        ask("GET", "/TOKEN/state")


def test_an_old_address_is_told_so(opened, found, tmp_path):
    first = opened()
    port, path = first._server.server_port, first.url.split("/", 3)[3]
    first.stop()
    second = Cleaner(found, tmp_path / "decisions.csv", port=port)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        assert answer.status == 404 and b"Each run has its own" in answer.read()
        connection.close()
    finally:
        second.stop()


def test_at_the_usual_port_browsers_leave_it_out(ask):
    server = ask.cleaner._server
    port, server.server_port = server.server_port, 80
    try:
        assert ask("GET", "/TOKEN/state", Host="127.0.0.1")[0] == 200
        assert ask("POST", "/TOKEN/decide", DROP, Host="localhost", **JSON)[0] == 200
        assert ask("GET", "/TOKEN/state", Host="evil.example")[0] == 404
        assert ask("GET", "/TOKEN/state", Host=f"127.0.0.1:{port}")[0] == 404
    finally:
        server.server_port = port


def test_numbers_and_nesting_without_end_are_refused(ask, capfd):
    assert ask("GET", "/TOKEN/small/" + "9" * 5000)[0] == 404
    assert ask("POST", "/TOKEN/decide", "x", Content_Length="9" * 5000, **JSON)[0] == 403
    assert ask("POST", "/TOKEN/decide", "[" * 100_000, **JSON)[0] == 403
    assert capfd.readouterr().err == ""
