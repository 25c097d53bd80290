"""Finds methods that a class body defines twice, of which Python silently keeps the last."""

import sys
import typing
from types import CodeType

_FRAMES = 4  # from here up to the class statement, with a few `__init_subclass__` between


def defined_twice(cls: type, name: str) -> bool:
    """Return whether the class statement that is being run defines the method `name` repeatedly.

    To be called from `__init_subclass__`. Overloads for type checkers do not count.
    """
    body = _body_of(cls)
    if body is None:
        return False
    count = sum(isinstance(o, CodeType) and o.co_name == name for o in body.co_consts)
    return count > 1 and not typing.get_overloads(getattr(cls, name))


def _body_of(cls: type) -> CodeType | None:
    """Return the code of a class statement: a constant of the code that runs it."""
    frame = sys._getframe(2)
    for _ in range(_FRAMES):
        for constant in frame.f_code.co_consts:
            if isinstance(constant, CodeType) and constant.co_qualname == cls.__qualname__:
                return constant
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None
