"""Requests of all kinds, made by schemathesis from the server's own description."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


def pictures() -> st.SearchStrategy[bytes]:
    """Small pictures, which a description cannot describe."""

    def made(side: int, shade: int, kind: str) -> bytes:
        out = io.BytesIO()
        Image.new("L", (side, side), shade).save(out, kind)
        return out.getvalue()

    kinds = st.sampled_from(["PNG", "JPEG", "WEBP"])
    return st.builds(made, st.integers(1, 24), st.integers(0, 255), kinds)


for kind in ("image/png", "image/jpeg", "image/webp", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, pictures())
schemathesis.openapi.format("binary", pictures())


@pytest.fixture(scope="module")
def described(serving, predictor):
    with serving(predictor, max_heat_maps=64) as client:
        yield schemathesis.openapi.from_url(f"{client.url}/openapi.json")


GETS = [("GET", path, 3) for path in ("/model", "/metrics", "/health", "/ready")]
RIGHT, WRONG = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.mark.parametrize(
    ("method", "path", "examples", "mode"),
    [
        ("POST", "/predict", 20, RIGHT),
        ("POST", "/predict", 30, WRONG),  # the others take nothing that could be wrong
        *((*get, RIGHT) for get in GETS),
    ],
)
def test_every_answer_is_one_that_is_described(described, method, path, examples, mode):
    """None is a fault of the server, what is right is taken, what is wrong is refused."""
    operation = described[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def holds(case):
        case.call_and_validate(timeout=30)

    holds()
