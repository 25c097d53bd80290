"""POST /predict: pictures in, predictions out."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from presize.core.errors import ImageError, PixelLimitError, PresizeError, did_you_mean
from presize.deploy.prediction import Prediction
from presize.deploy.serve.answers import prediction_answer
from presize.deploy.serve.batching import Batcher
from presize.deploy.serve.body import MULTIPART, RAW, Body, Budget, Picture
from presize.deploy.serve.errors import ClientGone, Refused, busy
from presize.deploy.serve.schemas import ErrorAnswer, PredictAnswer
from presize.deploy.serve.settings import ServeSettings

log = logging.getLogger("presize.serve")
T = TypeVar("T")
_MOST = 1_000_000
_PARAMETERS = ("top", "heat_map")
_BINARY = {"type": "string", "format": "binary"}
_REFUSALS = {
    400: "The form cannot be read, or the name in `Host` is not this server's.",
    401: "The token is missing or wrong.",
    403: "A web page elsewhere asked.",
    408: "The request came in too slowly.",
    413: "The body, a picture or the number of pictures is too large.",
    415: "The body is neither a picture nor a form.",
    422: "The picture cannot be read, or a parameter is not valid.",
    429: "Too many pictures wait already; Retry-After says when to ask again.",
    500: "The server failed.",
    503: "The server is busy or stopping; Retry-After says when to ask again.",
    504: "The answer took too long.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of answers that are refusals."""
    return {s: {"model": ErrorAnswer, "description": _REFUSALS[s]} for s in statuses}


def predict_routes(
    batcher: Batcher, settings: ServeSettings, name: str, dependencies: Sequence[Any]
) -> APIRouter:
    """Return the route of predictions.

    Args:
        batcher: what is asked.
        settings: the limits.
        name: of the model.
        dependencies: what every request has to pass.
    """
    router = APIRouter(dependencies=dependencies)
    budget = Budget(max(16 * settings.max_body, 256_000_000))
    statuses = [s for s in _REFUSALS if s != 401 or settings.token is not None]

    @router.post(
        "/predict",
        response_model=PredictAnswer,
        responses=refusals(*statuses),
        openapi_extra={"requestBody": _body(settings)},
        summary="Ask about pictures",
        operation_id="predict",
    )
    async def predict(
        request: Request,
        top: Annotated[
            int, Query(ge=0, le=_MOST, description="How many classes to list; 0 for all.")
        ] = 5,
        heat_map: Annotated[
            bool, Query(description="Also say which parts of the picture speak for its label.")
        ] = False,
    ) -> JSONResponse:
        """Return what the model says of one or several pictures, in their order.

        A picture among several that cannot be read has an `error` in place of a prediction.
        """
        if batcher.stopping:
            raise busy("stopping", "The server is stopping.")
        _check_names(request)
        body = Body(request, settings, budget)
        try:
            pictures = await body.pictures()
            if heat_map and len(pictures) > settings.max_heat_maps:
                raise _too_many_heat_maps(settings)
            batcher.take(len(pictures))
            try:
                asked = _all(batcher, pictures, top, heat_map, settings.timeout)
                answers = await _while_awaited(request, asked)
            finally:
                batcher.give(len(pictures))
        finally:
            body.close()
        return JSONResponse({"model": name, "predictions": answers})

    return router


def _body(settings: ServeSettings) -> dict[str, Any]:
    """Return the description of what is sent."""
    pictures = {
        "type": "array",
        "items": _BINARY,
        "minItems": 1,
        # No `maxItems`: tools take more than that for invalid (422), but it is too large (413).
        "description": f"At most {settings.max_files}; with heat_map=true, at most "
        f"{settings.max_heat_maps}.",
    }
    form = {
        "type": "object",
        "properties": {"file": pictures},
        "required": ["file"],
        "additionalProperties": False,
    }
    kinds = ("image/jpeg", "image/png", "image/webp", RAW)
    return {
        "required": True,
        "description": "One picture as it is, or one or many as parts `file` of a form.",
        "content": {
            **{kind: {"schema": _BINARY} for kind in kinds},
            MULTIPART: {"schema": form},
        },
    }


async def _all(
    batcher: Batcher, pictures: Sequence[Picture], top: int, heat_map: bool, timeout: float
) -> list[dict[str, Any]]:
    """Return an answer for each picture, within the time."""
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            tasks = [group.create_task(_one(batcher, p, top, heat_map)) for p in pictures]
    except TimeoutError:
        batcher.metrics.failed(len(pictures))
        raise Refused(
            504, "timeout", f"The answer was not there within {timeout:g} seconds."
        ) from None
    except ExceptionGroup as faults:  # the log need not tell that they were in a group
        batcher.metrics.failed(len(pictures))
        raise faults.exceptions[0] from None
    found = [task.result() for task in tasks]
    refused = [one for one in found if isinstance(one, Refused)]
    batcher.metrics.answered(
        len(refused), [bool(o["unknown"]) for o in found if isinstance(o, dict)]
    )
    if len(refused) == len(found):
        raise refused[0]
    return [
        {"name": p.name, "error": one.told()} if isinstance(one, Refused) else one
        for p, one in zip(pictures, found, strict=True)
    ]


async def _one(
    batcher: Batcher, picture: Picture, top: int, heat_map: bool
) -> dict[str, Any] | Refused:
    try:
        said = await batcher.predict(picture.data)
    except ImageError as error:
        return _refused(error)
    heat = await _heat(batcher, picture, said) if heat_map else None
    return prediction_answer(picture, said, top, heat)


async def _heat(batcher: Batcher, picture: Picture, said: Prediction) -> dict[str, Any]:
    try:
        found = await batcher.with_model(batcher.predictor.explain, picture.data)
    except PresizeError as error:
        return {"heat_map": None, "heat_map_error": str(error)}
    return {"heat_map": found.to_dict()}


def _check_names(request: Request) -> None:
    """Refuse a parameter that would be passed over, such as a misspelt one."""
    for name in request.query_params:
        if name not in _PARAMETERS:
            raise Refused(
                422,
                "invalid_parameter",
                f"There is no parameter `{name[:80]}`.{did_you_mean(name, _PARAMETERS)} "
                "/predict takes top and heat_map.",
                parameters=[{"parameter": name[:80], "message": "unknown"}],
            )


def _refused(error: ImageError) -> Refused:
    message = str(error).replace("The picture in memory", "The picture")
    message = message.partition(" If you trust it")[0]  # that is not up to clients
    if isinstance(error, PixelLimitError):
        return Refused(413, "too_many_pixels", message)
    return Refused(422, "unreadable_picture", message)


def _too_many_heat_maps(settings: ServeSettings) -> Refused:
    return Refused(
        413,
        "too_many_files",
        f"A request with heat_map=true may hold {settings.max_heat_maps} pictures. Send them in "
        "several requests.",
    )


async def _while_awaited(request: Request, work: Awaitable[T]) -> T:
    """Return what `work` says; give it up when the client goes away.

    Raises:
        ClientGone: it did.
    """
    asked = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return await asked
        raise ClientGone
    finally:
        for task in (asked, gone):
            task.cancel()
        await asyncio.gather(asked, gone, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
