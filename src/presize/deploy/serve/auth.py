"""The token that a server may want."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from presize.deploy.serve.errors import Refused

Check = Callable[..., Awaitable[None]]


def token_check(token: str | None) -> Check | None:
    """Return what refuses a request without the token; None where none is wanted."""
    if token is None:
        return None
    wanted = token.encode()
    scheme = HTTPBearer(auto_error=False, description="The token that the server was started with.")

    # Were it not `async`, it would be called in another thread, which takes longer than it does.
    async def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)],
    ) -> None:
        sent = "" if given is None else given.credentials
        # It takes as long for a token that is nearly right as for any other.
        if not hmac.compare_digest(sent.encode(), wanted):
            raise Refused(
                401,
                "unauthorized",
                "This server wants its token, in the header `Authorization: Bearer TOKEN`.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check
