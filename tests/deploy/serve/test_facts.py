"""What the server tells of itself: the model, its health, its figures."""

import math
import threading
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from presize import __version__


def figures(client) -> dict[tuple[str, ...], float]:
    """Return what Prometheus reads, by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").body.decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_model_is_described_without_the_machine(client, predictor):
    told = client.get("/model").json
    assert told | {"training": None} == {
        "name": "digits",
        "task": "classification",
        "classes": ["0", "1", "2"],
        "n_classes": 3,
        "parameters": sum(p.numel() for p in predictor.learn.model.parameters()),
        "calibrated": True,
        "can_tell_unknown": True,
        "training": None,
        "drift": None,
        "limits": {
            "max_body": 20_000_000,
            "max_pixels": 50_000_000,
            "max_files": 64,
            "max_heat_maps": 8,
            "timeout": 30.0,
        },
        "token_needed": False,
        "version": __version__,
    }
    training = told["training"]
    assert (training["source"], training["train"], training["valid"]) == ("digits", 42, 18)
    assert training["epochs"] == 1
    assert set(training["metrics"]) == {"train_loss", "valid_loss", "accuracy"}


def test_figures_that_are_no_numbers_are_null(serving, held):
    row = [0, math.nan, 0.5, "00:00"]
    fits = [SimpleNamespace(names=["epoch", "train_loss", "accuracy", "time"], rows=[row])]
    data = SimpleNamespace(source=None, splits={})
    held.learn.record = SimpleNamespace(fits=fits, data=data, started=None)
    held.watch = object()
    held.drift = lambda: SimpleNamespace(
        to_dict=lambda: {"score": math.inf, "findings": [{"p": 1}]}
    )
    with serving(held) as client:
        told = client.get("/model").json
    assert told["training"]["metrics"] == {"train_loss": None, "accuracy": 0.5}
    assert told["drift"] == {"score": None, "findings": [{"p": 1}]}


def test_health_and_readiness(client):
    assert client.get("/health").json == {"status": "ok"}
    assert client.get("/ready").json == {"status": "ready"}
    assert client.ask("HEAD", "/ready").status == client.ask("HEAD", "/health").status == 200


def test_figures_count_requests_pictures_and_batches(serving, held):
    with serving(held) as client:
        client.predict(b"a")
        client.send_files(("a", b"b"), ("b", b"c"))
        client.predict(b"bad")
        client.send_files(("a", b"d"), ("b", b"bad"))
        for _ in range(3):
            client.get("/made/up")
        found = figures(client)
    assert found["presize_requests_total", "/predict", "200"] == 2
    assert found["presize_requests_total", "/predict", "500"] == 2
    assert found["presize_requests_total", "404", "other"] == 3
    assert found["presize_request_seconds_count", "/predict"] == 4
    outcomes = [found["presize_pictures_total", s] for s in ("predicted", "unknown", "failed")]
    assert outcomes == [3, 0, 3]
    assert 3 <= found["presize_batch_pictures_sum",] <= 4
    assert 5 <= found["presize_decode_seconds_count",] <= 6
    assert found["presize_pending_pictures",] == 0
    assert not [name for name in found if "/made/up" in name]
    assert ("presize_drift",) not in found  # this model has nothing to compare with
    assert found["process_resident_memory_bytes",] > 1e6


def test_pictures_that_are_refused_are_counted(serving, predictor, two):
    with serving(predictor) as client:
        client.send_files(("a", two), ("b", b"no"))
        client.predict(b"no")
        found = figures(client)
    predicted = [found.get(("presize_pictures_total", s), 0) for s in ("predicted", "unknown")]
    assert sum(predicted) == 1
    assert found["presize_pictures_total", "refused"] == 2


def test_drift_is_told(serving, held):
    told = {"drifted": True, "n": 40, "score": 0.5, "findings": [], "summary": "Darker."}
    held.watch = object()
    held.drift = lambda: SimpleNamespace(to_dict=lambda: told)
    with serving(held) as client:
        assert client.get("/model").json["drift"] == told
        found = figures(client)
    assert [found["presize_drift" + of,] for of in ("", "_pictures", "_score")] == [1, 40, 0.5]


@pytest.mark.parametrize("path", ["/health", "/ready", "/model", "/metrics"])
def test_they_answer_while_all_threads_work(serving, held, path):
    decoding = threading.Semaphore(0)

    def decode(data):
        if data == b"b":
            decoding.release()
            assert held.go.wait(30)

    held.decode, held.watch = decode, object()
    held.drift = lambda: SimpleNamespace(to_dict=lambda: {"drifted": False})
    with serving(held, workers=1) as client:
        held.go.clear()
        waiting = [client.started(b"a")]
        assert held.began.acquire(timeout=30)
        waiting.append(client.started(b"b"))
        assert decoding.acquire(timeout=30)
        assert client.get(path).status == 200
        held.go.set()
        assert [w.result(30).status for w in waiting] == [200, 200]


def test_the_description_names_every_address_and_answer(client):
    spec = client.get("/openapi.json").json
    assert set(spec["paths"]) == {"/predict", "/health", "/ready", "/model", "/metrics"}
    predict = spec["paths"]["/predict"]["post"]
    assert {"400", "403", "408", "413", "415", "422", "429", "500", "503", "504"} < set(
        predict["responses"]
    )
    assert set(predict["requestBody"]["content"]) == {
        *("image/jpeg", "image/png", "image/webp"),
        *("application/octet-stream", "multipart/form-data"),
    }
    for path in spec["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            assert all(answer["description"] for answer in operation["responses"].values())
    assert "securitySchemes" not in spec.get("components", {})


def test_it_says_where_a_token_is_wanted(serving, held):
    with serving(held, token="secret") as client:
        spec = client.get("/openapi.json").json
    wanted = {path for path, methods in spec["paths"].items() for m in methods.values()
              if m.get("security") == [{"HTTPBearer": []}] and "401" in m["responses"]}  # fmt: skip
    assert wanted == {"/predict", "/model", "/metrics"}
