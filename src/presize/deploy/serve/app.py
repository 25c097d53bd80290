"""`create_app`: the server as an ASGI app, for `presize serve` and for servers of one's own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI

import presize
from presize.core.allocator import memory_kept
from presize.deploy.serve import errors
from presize.deploy.serve.auth import token_check
from presize.deploy.serve.batching import Batcher
from presize.deploy.serve.cors import Origins
from presize.deploy.serve.facts import fact_routes
from presize.deploy.serve.guard import Guard
from presize.deploy.serve.metrics import Metrics
from presize.deploy.serve.predict import predict_routes
from presize.deploy.serve.settings import ServeSettings

if TYPE_CHECKING:
    from presize.deploy.predictor import Predictor

_ABOUT = (
    "A picture classifier. POST a picture to /predict. Every refusal is JSON: "
    '`{"error": {"code", "message"}}`.'
)


def create_app(
    predictor: "Predictor", settings: ServeSettings | None = None, *, name: str = "model"
) -> FastAPI:
    """Return the server of a model as an ASGI app.

    Args:
        predictor: what is asked.
        settings: the limits, the token, what is there beside predictions.
        name: of the model, as clients see it.
    """
    settings = settings or ServeSettings()
    metrics = Metrics()
    batcher = Batcher(predictor, settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        # The pages of activations would be given back and filled in anew at every batch.
        with memory_kept(predictor.learn.device):
            await batcher.with_model(predictor.warm_up)
            yield
            batcher.close()

    app = FastAPI(
        title="presize",
        description=_ABOUT,
        version=presize.__version__,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.batcher = batcher
    errors.install(app)
    check = token_check(settings.token)
    guarded = [] if check is None else [Depends(check)]
    app.include_router(predict_routes(batcher, settings, name, guarded))
    app.include_router(fact_routes(batcher, settings, name, guarded))
    if settings.page:
        from presize.deploy.serve.page.routes import page_routes

        app.include_router(page_routes())
    paths = frozenset(("/", "/predict", "/health", "/ready", "/model", "/metrics", "/openapi.json"))
    app.add_middleware(Guard, settings=settings, metrics=metrics, paths=paths)
    if settings.origins:
        app.add_middleware(Origins, origins=settings.origins)
    return app
