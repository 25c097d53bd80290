"""GET /health, /ready, /model and /metrics."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from presize.deploy.serve.answers import drift_answer, model_answer
from presize.deploy.serve.batching import Batcher
from presize.deploy.serve.errors import busy
from presize.deploy.serve.metrics import TYPE
from presize.deploy.serve.predict import refusals
from presize.deploy.serve.schemas import HealthAnswer, ModelAnswer
from presize.deploy.serve.settings import ServeSettings

_FIGURES = {"text/plain": {"schema": {"type": "string"}}}


def fact_routes(
    batcher: Batcher,
    settings: ServeSettings,
    name: str,
    dependencies: Sequence[Any],
) -> APIRouter:
    """Return the routes that tell of the server and its model.

    Args:
        batcher: what is told about.
        settings: its limits.
        name: of the model.
        dependencies: what a request about the model has to pass.
    """
    router = APIRouter()
    _add_health(router, batcher)
    _add_model(router, batcher, settings, name, dependencies)
    return router


def _add_health(router: APIRouter, batcher: Batcher) -> None:
    told = refusals(400, 403, 500)

    @router.head("/health", include_in_schema=False)
    @router.get("/health", response_model=HealthAnswer, responses=told, operation_id="health")
    async def health() -> JSONResponse:
        """Say that the server runs; it answers also while it is busy."""
        return JSONResponse({"status": "ok"})

    @router.head("/ready", include_in_schema=False)
    @router.get(
        "/ready",
        response_model=HealthAnswer,
        responses=told | refusals(503),
        operation_id="ready",
    )
    async def ready() -> JSONResponse:
        """Say whether a picture would be taken now: 503 if the queue is full, or it is stopping."""
        if batcher.stopping or batcher.pending >= batcher.settings.queue:
            why = "The server is stopping." if batcher.stopping else "The queue is full."
            raise busy("not_ready", why)
        return JSONResponse({"status": "ready"})


def _add_model(
    router: APIRouter,
    batcher: Batcher,
    settings: ServeSettings,
    name: str,
    dependencies: Sequence[Any],
) -> None:
    told = refusals(400, 403, 500, *([] if settings.token is None else [401]))

    @router.get(
        "/model",
        response_model=ModelAnswer,
        responses=told,
        dependencies=list(dependencies),
        operation_id="model",
    )
    async def model() -> JSONResponse:
        """Describe the model: its classes, how it was trained, whether what comes in drifts."""
        drift = await drift_answer(batcher.predictor)
        return JSONResponse(model_answer(batcher.predictor, name, settings, drift))

    @router.get(
        "/metrics",
        response_class=Response,
        responses=told | {200: {"content": _FIGURES}},
        dependencies=list(dependencies),
        operation_id="metrics",
    )
    async def metrics() -> Response:
        """Return figures for Prometheus."""
        batcher.metrics.drift(await drift_answer(batcher.predictor))
        return Response(batcher.metrics.text(), headers={"Content-Type": TYPE})
