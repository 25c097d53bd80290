"""From plain values, such as JSON, to a dataclass, with each value of the type of its field."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def made_of(kind: type[T], plain: Any) -> T:
    """Return a dataclass made of plain values by name; what is no field of it is left out.

    Args:
        kind: the dataclass, whose fields are numbers, text, None, lists and dicts of them, choices
            by Literal, or dataclasses again.
        plain: a mapping, of a file that anyone may have written.

    Raises:
        TypeError: it is no mapping, a value is of another type than its field, or a field without
            a default is missing.
        ValueError: a number is too large.
    """
    if not isinstance(plain, Mapping):
        raise TypeError(f"{kind.__name__} wants values by name, but got {_short(plain)}")
    own = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    needed = [n for n, f in own.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := ", ".join(f"`{name}`" for name in needed if name not in plain):
        raise TypeError(f"{kind.__name__} wants {missing}: missing")
    hints = get_type_hints(kind)
    return kind(**{name: _of_type(hints[name], plain[name], name) for name in own if name in plain})


def _of_type(kind: Any, value: Any, name: str) -> Any:
    """Return a value if it is of a type; a whole number also as a float."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or (origin is Literal and value in inner):
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return made_of(kind, value)
    if origin in (Union, UnionType):  # of something and None
        kinds = [k for k in inner if (k is NoneType) == (value is None)]
        if len(kinds) == 1:
            return _of_type(kinds[0], value, name)
    if origin is list and isinstance(value, list):
        return [_of_type(inner[0], each, name) for each in value]
    if origin is dict and isinstance(value, Mapping):
        return {_of_type(inner[0], k, name): _of_type(inner[1], v, name) for k, v in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"`{name}` is a number too large") from None
    if type(value) is kind:
        return value
    wanted = kind.__name__ if isinstance(kind, type) and not inner else str(kind)
    raise TypeError(f"`{name}` wants {wanted.replace('typing.', '')}, but got {_short(value)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]} …"
