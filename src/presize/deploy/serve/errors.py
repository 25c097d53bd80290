"""Why a request is not answered: one shape for all of it, in JSON, without what is inside."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
_MESSAGES = {
    404: "There is nothing at this address. POST /predict takes pictures.",
    405: "This address does not take this method; the header Allow says which it takes.",
}


class Refused(Exception):
    """A request that is not answered as it was meant.

    Args:
        status: of HTTP.
        code: a word for programs, which stays the same when the message is reworded.
        message: for people: what is wrong, and the way out.
        headers: more headers of the answer.
        details: more to say to programs.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.details = dict(headers or {}), details

    def told(self) -> dict[str, Any]:
        """Return what is said about it in an answer."""
        return {"code": self.code, "message": self.message, **self.details}

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse({"error": self.told()}, self.status, self.headers)


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def busy(code: str, message: str, *, status: int = 503, seconds: int = 1) -> Refused:
    """Return the refusal of what can be asked again soon."""
    return Refused(status, code, message, headers={"Retry-After": str(seconds)})


def internal_error() -> Refused:
    """Return what is said of a fault of the server itself: nothing of what happened."""
    return Refused(
        500, "internal_error", "The server failed at this request. Its log says at what."
    )


def install(app: FastAPI) -> None:
    """Let an app answer all its errors in the one shape."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_parameters)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return error.response()


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = error.status_code
    message = _MESSAGES.get(status) or HTTPStatus(status).phrase + "."
    return Refused(status, _CODES.get(status, "error"), message, headers=error.headers).response()


async def _of_parameters(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"parameter": str(fault["loc"][-1]), "message": str(fault["msg"])}
        for fault in error.errors()
    ]
    told = "; ".join(f"`{fault['parameter']}`: {fault['message']}" for fault in faults)
    return Refused(
        422, "invalid_parameter", f"A parameter is not valid: {told}.", parameters=faults
    ).response()
