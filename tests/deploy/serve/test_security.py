"""Who may ask, and what nobody is told."""

import importlib.util
import logging
import sys
import time

import pytest

from presize.deploy.serve.guard import HEADERS
from presize.deploy.serve.settings import ServeSettings, is_loopback

TOKEN = "correct-horse"
GUARDED = [("GET", "/model"), ("GET", "/metrics"), ("POST", "/predict")]
OPEN = ["/health", "/ready", "/openapi.json"]


@pytest.fixture(scope="module")
def closed(serving, predictor):
    """A client of a server that wants a token."""
    with serving(predictor, token=TOKEN, access_log=True) as client:
        yield client


def logged(caplog, n: int, path: str) -> list[str]:
    """Return the lines of requests to a path, when there are `n`: they come after the answers."""
    end = time.monotonic() + 30
    while True:
        told = [r.getMessage() for r in caplog.records if r.name == "presize.serve"]
        lines = [line for line in told if path in line]
        if len(lines) >= n or time.monotonic() > end:
            return lines
        time.sleep(0.002)


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        TOKEN,
        "Basic " + TOKEN,
        "Bearer",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xe9",
    ],
)
def test_without_the_token_nothing_is_answered(closed, method, path, given):
    headers = {} if given is None else {"Authorization": given}
    answer = closed.ask(method, path, b"x" if method == "POST" else None, **headers)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_with_the_token_all_is(closed, two):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert closed.predict(two, **headers).status == 200
    assert closed.get("/model", **headers).json["token_needed"] is True
    assert closed.get("/metrics", **headers).status == 200
    for path in OPEN:
        assert closed.get(path).status == 200


def test_a_large_body_without_the_token_is_not_taken_in(closed):
    answer = closed.predict(b"x" * 10_000_000)
    assert (answer.status, answer.headers["Connection"]) == (401, "close")


def test_the_token_is_written_nowhere(closed, caplog):
    with caplog.at_level(logging.DEBUG):
        closed.ask("POST", f"/predict?token={TOKEN}", b"x", Authorization=f"Bearer {TOKEN}")
        closed.ask("PUT", "/predict", Authorization=f"Bearer {TOKEN}x")
        assert len(logged(caplog, 2, "/predict")) >= 2
    assert not any(TOKEN in r.getMessage() for r in caplog.records)
    assert TOKEN not in repr(ServeSettings(token=TOKEN))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "[::2]",
        "169.254.169.254",
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(client, host):
    answer = client.get("/health", Host=host)
    assert (answer.status, answer.code) == (400, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:99", "[::1]:8000"])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/health", Host=host).status == 200


def test_names_can_be_allowed(serving, held):
    with serving(held, allowed_hosts=("Pets.example.org",)) as client:
        assert client.get("/health", Host="pets.example.org:443").status == 200
        assert client.get("/health", Host="localhost").status == 200
        assert client.get("/health", Host="other.example.org").status == 400


def test_where_others_can_reach_it_any_name_is_answered():
    assert ServeSettings(host="0.0.0.0").hosts == frozenset()
    assert not is_loopback("")
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "LocalHost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org"]))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "x", "http://["]
)
def test_pages_from_elsewhere_may_not_ask(client, two, origin):
    answer = client.predict(two, Origin=origin)
    assert (answer.status, answer.code) == (403, "cross_origin")
    asked = client.ask("OPTIONS", "/predict", Origin=origin, Access_Control_Request_Method="POST")
    for headers in (answer.headers, asked.headers):
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_its_own_page_may(client, two):
    host = f"localhost:{client.address[1]}"
    assert client.predict(two, Host=host, Origin=f"http://{host}").status == 200


def test_pages_that_were_named_may_ask(serving, held):
    site = "https://pets.example.org"
    with serving(held, origins=(site,), token=TOKEN) as client:
        asked = client.ask(
            "OPTIONS",
            "/predict",
            Origin=site,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization,content-type",
        )
        assert asked.status == 200
        assert asked.headers["Access-Control-Allow-Origin"] == site
        answer = client.predict(b"a", Origin=site, Authorization=f"Bearer {TOKEN}")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == site
        assert client.predict(b"a", Origin="https://other.example").status == 403
        for page, method in (("https://other.example", "POST"), (site, "DELETE")):
            named = {"Origin": page, "Access_Control_Request_Method": method}
            refused = client.ask("OPTIONS", "/predict", **named)
            assert (refused.status, refused.code) == (403, "cross_origin")


@pytest.mark.parametrize("path", ["/health", "/model", "/nothing", "/predict", "/metrics"])
def test_every_answer_says_what_a_browser_may_do_with_it(client, path):
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers.get_all(name) == [value]
    assert "server" not in answer.headers


def test_a_fault_of_the_server_tells_clients_nothing(serving, held, caplog):
    with serving(held) as client:
        answer = client.predict(b"bad")
        assert (answer.status, answer.code) == (500, "internal_error")
        assert client.predict(b"good").status == 200
    assert answer.body == (
        b'{"error":{"code":"internal_error","message":"The server failed at this request. '
        b'Its log says at what."}}'
    )
    log = [r for r in caplog.records if r.name == "presize.serve" and r.exc_info]
    assert [r.getMessage() for r in log] == ["failed at POST /predict"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/redoc",
        "/predict/",
        "/../model",
        "//model",
        "/static/../../etc/passwd",
        "/%00",
        "/model%0d%0aX:1",
    ],
)
def test_there_is_nothing_else(client, path):
    answer = client.get(path)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("DELETE", "/model", "GET"), ("TRACE", "/health", "GET")],
)
def test_other_methods_are_refused(client, method, path, allowed):
    answer = client.ask(method, path)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


def test_a_path_in_the_log_stays_on_its_line(client, caplog):
    with caplog.at_level(logging.INFO, "presize.serve"):
        client.get("/a%0aGET%20/fake%20200")
        assert [line.count("\n") for line in logged(caplog, 1, "fake")] == [0]


def test_the_description_can_be_left_out(serving, held):
    with serving(held, docs=False) as client:
        assert client.get("/openapi.json").status == 404


def test_without_its_packages_it_says_how_to_get_them(monkeypatch):
    found = importlib.util.find_spec
    missing = lambda name, *rest: None if name == "uvicorn" else found(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", missing)
    monkeypatch.delitem(sys.modules, "presize.deploy.serve")
    with pytest.raises(ImportError, match=r'needs uvicorn, not .*pip install "presize\[serve\]"'):
        importlib.import_module("presize.deploy.serve")
