"""Warnings that point at the user's line, however many of our functions lie between."""

import sys
import warnings
from types import FrameType


def warn_user(text: str) -> None:
    """Warn of something that the nearest caller outside of presize has asked for."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "presize"
