"""Whether PyTorch may choose an algorithm whose result differs from one run to the next."""

import os
from dataclasses import dataclass

import torch

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
# One of the two settings with which cuBLAS is the same from run to run; it takes 24 MiB.
_WORKSPACE = ":4096:8"


@dataclass(frozen=True)
class _Settings:
    algorithms: bool
    only_warn: bool
    benchmark: bool
    cudnn: bool
    workspace: str | None


_before: list[_Settings] = []  # what was set when determinism was asked for; else empty


def set_deterministic(on: bool) -> None:
    """Let PyTorch use deterministic algorithms only, or put everything back to what it was.

    An operation that has no such algorithm on its device raises then, with its name. It is
    best called before the first work on a GPU, whose libraries read their settings once.

    Args:
        on: False takes back what an earlier True has changed, and does nothing without one.
    """
    if on:
        if not _before:
            _before.append(_current())
        workspace = os.environ.get(_CUBLAS, _WORKSPACE)
        _apply(_Settings(True, False, False, True, workspace))
    elif _before:
        _apply(_before.pop())


def _current() -> _Settings:
    return _Settings(
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        os.environ.get(_CUBLAS),
    )


def _apply(settings: _Settings) -> None:
    torch.use_deterministic_algorithms(settings.algorithms, warn_only=settings.only_warn)
    torch.backends.cudnn.benchmark = settings.benchmark
    torch.backends.cudnn.deterministic = settings.cudnn
    if settings.workspace is None:
        os.environ.pop(_CUBLAS, None)
    else:
        os.environ[_CUBLAS] = settings.workspace
