"""What a hub of models answers when it cannot help, in words that say the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as AnyPath
from typing import cast

from presize.core.errors import DataError, HubError, PresizeError

_LOGIN = (
    "Log in once with `hf auth login`, or pass token=, or set HF_TOKEN; for writing, the token "
    "needs the right to write"
)
_SHOWN = 300  # characters of what a server says


class Unreachable(HubError):
    """The hub itself cannot be reached, whatever was asked of it."""


@contextmanager
def in_plain_words(
    repo_id: str, endpoint: str, cache: str, wanted: str = "", *, writing: bool = False
) -> Iterator[None]:
    """Turn what huggingface_hub raises into a `HubError` that names the way out.

    Args:
        repo_id: the repository that is asked.
        endpoint: the address of the hub.
        cache: the folder of what was downloaded before.
        wanted: the revision, as in " at the revision `v1`", where one was asked for.
        writing: whether something is to be written there.
    """
    from huggingface_hub import errors

    # The library that it speaks HTTP with has been another one before: it is found, not named.
    http_error = cast(type[Exception], errors.HfHubHTTPError.__bases__[0])
    try:
        yield
    except PresizeError:
        raise
    except errors.HFValidationError as error:
        raise DataError(
            f"`{repo_id}` cannot be the name of a repository: {str(error).rstrip('.')}. Write "
            '"owner/name"; a folder on this machine is written "./folder", or as a Path.'
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"There is no token for {endpoint} on this machine. {_LOGIN}.") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"The repository `{repo_id}` of {endpoint} has nothing{wanted}. Give a branch, a tag "
            "or a commit that it has as revision=, or leave that out."
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise HubError(_not_here(repo_id, endpoint, cache, wanted, error)) from error
    except errors.HfHubHTTPError as error:
        kind = Unreachable if _status(error) >= 500 else HubError
        raise kind(_refused(repo_id, endpoint, error, writing)) from error
    except (http_error, ConnectionError, TimeoutError) as error:
        raise Unreachable(
            f"{endpoint} cannot be reached ({_said(error)}). Try again with a connection"
            f"{'' if writing else _offline(repo_id, cache)}."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        why = error.__cause__ or error  # an upload that broke off says no more than that
        raise HubError(
            f"The exchange with `{repo_id}` of {endpoint} failed ({type(why).__name__}: "
            f"{_said(why)}). Try again; what is in the repository is as it was before."
        ) from error


def _not_here(repo_id: str, endpoint: str, cache: str, wanted: str, error: Exception) -> str:
    why = "and the network was not to be asked (local_files_only=True, or HF_HUB_OFFLINE is set)"
    cause = error.__cause__
    if cause is not None and "Offline" not in type(cause).__name__:
        why = f"and {endpoint} cannot be reached ({_said(cause)})"
    return (
        f"`{repo_id}`{wanted} is not among what was downloaded before, in {cache}, {why}. Fetch it "
        "once with a connection and with local_files_only=False, or name the folder that it is in "
        "with cache_dir=."
    )


def _refused(repo_id: str, endpoint: str, error: Exception, writing: bool) -> str:
    status = _status(error)
    kind = type(error).__name__
    if kind == "GatedRepoError":
        return (
            f"`{repo_id}` of {endpoint} is open only to those whom its author has let in. Ask for "
            f"access on its page, {endpoint}/{repo_id}. {_LOGIN}."
        )
    if status == 401 and (writing or kind == "HfHubHTTPError"):
        return f"{endpoint} does not know who asks for `{repo_id}` (401). {_LOGIN}."
    if kind == "RepositoryNotFoundError" or status == 404:
        hint = ""
        if AnyPath(repo_id).is_dir():
            hint = f' A folder of this name is here: that one is written "./{repo_id}".'
        return (
            f"{endpoint} has no repository `{repo_id}`, or it is private and you may not see it."
            f"{hint} Check the name, owner/name. {_LOGIN}."
        )
    if status == 403:
        return (
            f"{endpoint} knows you, but does not let you do this with `{repo_id}` (403). Use a "
            "repository under your own name, or a token that has the right to it."
        )
    if status == 429:
        return f"{endpoint} has had too many requests from you (429). Wait a while and try again."
    if status >= 500:
        return f"{endpoint} has a fault of its own ({status}): {_said(error)}. Try again later."
    return f"{endpoint} refused this for `{repo_id}` ({status or kind}): {_said(error)}."


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _offline(repo_id: str, cache: str) -> str:
    return (
        f"; what of `{repo_id}` was downloaded before, into {cache}, is read with "
        "local_files_only=True"
    )


def _said(error: BaseException) -> str:
    """Return what an error says, in one line, without its full stop."""
    text = " ".join(str(error).split())[:_SHOWN].rstrip(". ")
    return text or type(error).__name__
