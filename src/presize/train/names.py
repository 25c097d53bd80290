"""Names for functions and objects, for tables and errors."""

import re
from functools import partial


def inner(function: object) -> object:
    """Return the function inside a partial, or inside several."""
    while isinstance(function, partial):
        function = function.func
    return function


def name_of(function: object) -> str:
    """Return the name of a function, of the function in a partial, or of an object's class."""
    function = inner(function)
    return str(getattr(function, "__name__", type(function).__name__))


def snake_case(name: str) -> str:
    """Return `MulticlassAccuracy` as `multiclass_accuracy`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return parts.lower()
