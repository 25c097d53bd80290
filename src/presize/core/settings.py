"""What objects were made with, told in a way that is the same in every program that makes them so.

The texts of many objects hold an address in memory, which is another one each time.
"""

import functools
import inspect
import math
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np
from torch import Tensor

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")
_MOST = 50  # values that are told of a list
_LONGEST = 500


def made_with(value: Any) -> str:
    """Return an object as its class and those of its arguments that are not the defaults.

    An argument is told where the object has an attribute of its name.
    """
    kind = type(value)
    try:
        parameters = inspect.signature(kind).parameters
    except (TypeError, ValueError):  # a class that is not written in Python
        return kind.__name__
    own = getattr(value, "__dict__", {})
    given = [
        f"{name}={text}"
        for name, parameter in parameters.items()
        if name in own and (text := told(own[name])) != told(parameter.default)
    ]
    return f"{kind.__name__}({', '.join(given)})"


def told(value: Any) -> str:
    """Return a value as text: a function as its name, an object as its own text or its class."""
    if isinstance(value, PurePath):
        return repr(value.name)  # the folder may be another one on another machine
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, Tensor | np.ndarray):
        few = int(np.prod(value.shape)) <= _MOST
        return f"{value.tolist()}" if few else f"{type(value).__name__} of {tuple(value.shape)}"
    if isinstance(value, dict):
        first = list(value.items())[:_MOST]
        return f"{{{_listed((f'{told(k)}: {told(v)}' for k, v in first), len(value))}}}"
    if isinstance(value, list | tuple):
        return f"[{_listed(map(told, value[:_MOST]), len(value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{_listed(sorted(map(told, value))[:_MOST], len(value))}}}"
    if isinstance(value, functools.partial):
        return f"partial({told(value.func)}, {told(value.args)}, {told(value.keywords)})"
    name = getattr(value, "__qualname__", getattr(value, "__name__", None))
    if callable(value) and isinstance(name, str):
        owner = getattr(value, "__self__", None)
        name = name.rsplit("<locals>.", 1)[-1]
        return f"{owner.__name__}.{name.rsplit('.')[-1]}" if isinstance(owner, type) else name
    return _text(value)


def alike(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; fractions, which may be measured, nearly so."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        near = math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)
        return near or (one != one and other != other)
    return bool(one == other)


def _listed(texts: Iterable[str], n: int) -> str:
    return ", ".join([*texts, f"… {n}"] if n > _MOST else texts)


def _text(value: Any) -> str:
    text = " ".join(repr(value).split())
    # One that is long may be a whole network, or a table.
    usable = len(text) <= _LONGEST and not _ADDRESS.search(text)
    return text if usable else type(value).__name__
