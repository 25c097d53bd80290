"""Transforms: functions with an undo, a set-up and a type that they apply to; and their pipeline.

A transform is written as a class with `encodes` (and, where it can be undone, `decodes`). The
annotation of the first parameter says which values it is for: everything else passes unchanged.

    class Invert(Transform):
        def encodes(self, x: TensorImage) -> TensorImage:
            return 1 - x

    Invert()((picture, label))  # only the picture is inverted
"""

import functools
import inspect
import types
import typing
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from presize.core.device import keep_type
from presize.core.randomness import loose_context
from presize.core.redefined import defined_twice

T = TypeVar("T")
Function = Callable[..., Any]
Kinds = tuple[type, ...] | None


def kinds_of(annotation: Any) -> Kinds:
    """Return the classes that an annotation stands for; None if it takes everything."""
    if annotation in (inspect.Parameter.empty, Any, object) or isinstance(annotation, TypeVar):
        return None
    if isinstance(annotation, tuple):
        annotation = typing.Union[annotation]  # noqa: UP007 - as isinstance takes several classes
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [kinds_of(part) for part in typing.get_args(annotation)]
        return None if None in parts else tuple(k for part in parts for k in part or ())
    origin = typing.get_origin(annotation) or annotation
    return (origin,) if isinstance(origin, type) else None


def _signature_kinds(function: Function) -> tuple[Kinds, Kinds]:
    """Return the kinds of a function's first free parameter and of its result."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
        while isinstance(function, functools.partial):
            function = function.func
        hints = typing.get_type_hints(function)
    except (TypeError, ValueError, NameError):
        return None, None
    parameters = [p for p in parameters if p.name != "self" and p.kind is not p.KEYWORD_ONLY]
    taken = kinds_of(hints.get(parameters[0].name, Any)) if parameters else None
    return taken, kinds_of(hints.get("return", Any))


def retain_type(result: Any, like: Any, returns: Kinds = None) -> Any:
    """Give `result` back the type of `like`, where that is a more special kind of the same thing.

    A function of a TensorImage computes a plain tensor; after it the value is a TensorImage again.
    `returns`, the annotated result type, wins where it says something more special.
    """
    if isinstance(result, Tensor):
        special = next((k for k in returns or () if issubclass(k, Tensor)), None)
        if special is not None and special is not Tensor:
            return result if isinstance(result, special) else result.as_subclass(special)
        if isinstance(like, Tensor) and isinstance(like, type(result)):
            return keep_type(result, like)
    elif type(result) in (str, int, float) and isinstance(like, type(result)):
        return result if type(like) is type(result) else type(like)(result)
    return result


class Transform:
    """A function of one value, with its undo (`decodes`) and its set-up (`setups`).

    Args:
        enc: a plain function to use as `encodes`.
        dec: a plain function to use as `decodes`.
        split_idx: 0 limits it to the training set, 1 to the validation set.
        order: its place in a pipeline; lower runs earlier, equals keep their order.
    """

    order: int = 0
    split_idx: int | None = None
    draw_name: str = ""
    shown_attributes: ClassVar[tuple[str, ...]] = ()
    _taken: Kinds = None
    _returned: Kinds = None
    _undone: Kinds = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("encodes", "decodes", "setups"):
            if defined_twice(cls, name):
                warnings.warn(
                    f"{cls.__name__} defines `{name}` more than once, and Python keeps the last "
                    f"one only. Write one `{name}` for all types, `x: TensorImage | TensorMask`, "
                    "and tell them apart by isinstance; or one transform for each type.",
                    stacklevel=2,
                )
        cls._taken, cls._returned = _signature_kinds(cls.encodes)
        cls._undone, _ = _signature_kinds(cls.decodes)

    def __init__(
        self,
        enc: Function | None = None,
        dec: Function | None = None,
        *,
        split_idx: int | None = None,
        order: int | None = None,
    ) -> None:
        self._enc, self._dec = enc, dec
        if split_idx is not None:
            self.split_idx = split_idx
        if order is not None:
            self.order = order
        elif enc is not None:
            self.order = getattr(enc, "order", type(self).order)
        if enc is not None:
            self._taken, self._returned = _signature_kinds(enc)
        if dec is not None:
            self._undone, _ = _signature_kinds(dec)

    def encodes(self, x: Any) -> Any:
        """Return the transformed value."""
        enc = self.function
        return x if enc is None else enc(x)

    def decodes(self, x: Any) -> Any:
        """Return the value as it was before `encodes`, as far as it can be had."""
        dec = getattr(self, "_dec", None)
        return x if dec is None else dec(x)

    def setups(self, items: Sequence[Any]) -> None:
        """Learn what is needed from the training items, as the transforms before leave them."""

    @property
    def function(self) -> Function | None:
        """The plain function that is wrapped, None in a class of its own."""
        return getattr(self, "_enc", None)

    @property
    def name(self) -> str:
        """The name in printed pipelines: the class, or the wrapped function."""
        enc = self.function
        if enc is None:
            return type(self).__name__
        return str(getattr(enc, "__qualname__", type(enc).__name__)).rsplit("<locals>.", 1)[-1]

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Transform a value, or each element of a tuple that it is meant for."""
        if self.skips(split_idx):
            return x
        return self._each(self._encode_one, x, self._taken)

    def decode(self, x: Any, split_idx: int | None = None) -> Any:
        """Undo the transform on a value, or on each element of a tuple that it is meant for."""
        if self.skips(split_idx):
            return x
        return self._each(self._decode_one, x, self._undone)

    def setup(self, items: Sequence[Any], train_setup: bool = True) -> None:
        """Set up from `items`, or from `items.train` where there is such a part."""
        self.setups(getattr(items, "train", items) if train_setup else items)

    def skips(self, split_idx: int | None) -> bool:
        """Say whether the transform is limited to another split than this one."""
        return None not in (self.split_idx, split_idx) and split_idx != self.split_idx

    def fuse(self, following: "Transform") -> "Transform | None":
        """Return one transform that does this and then `following`; None if they stay apart."""
        return None

    def _encode_one(self, x: Any) -> Any:
        if self._taken is not None and not isinstance(x, self._taken):
            return x
        return retain_type(self.encodes(x), x, self._returned)

    def _decode_one(self, x: Any) -> Any:
        if self._undone is not None and not isinstance(x, self._undone):
            return x
        return retain_type(self.decodes(x), x)

    def _each(self, function: Function, x: Any, kinds: Kinds) -> Any:
        whole = kinds is not None and any(issubclass(kind, tuple) for kind in kinds)
        if type(x) is tuple and not whole:
            return tuple(function(element) for element in x)
        return function(x)

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.shown_attributes}
        return f"{self.name} -- {shown}" if shown else self.name


class ItemTransform(Transform):
    """A transform that sees the whole tuple of a sample or batch, whatever its types."""

    def _each(self, function: Function, x: Any, kinds: Kinds) -> Any:
        result = function(x)
        return tuple(result) if type(x) is tuple and isinstance(result, list) else result

    def _encode_one(self, x: Any) -> Any:
        return _retain_elements(self.encodes(x), x)

    def _decode_one(self, x: Any) -> Any:
        return _retain_elements(self.decodes(x), x)


def _retain_elements(result: Any, like: Any) -> Any:
    if type(like) is tuple and isinstance(result, tuple | list) and len(result) == len(like):
        return tuple(map(retain_type, result, like))
    return retain_type(result, like)


class RandTransform(Transform):
    """A transform that draws. Draws are counted: see `presize.core.randomness`.

    A subclass draws in `encodes` with `draws(self.draw_name or self.name)`. All elements of a
    tuple see the same draws, so that a picture and its mask move together.
    """

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Transform a value or tuple with one set of draws."""
        with loose_context():
            return super().__call__(x, split_idx)


Adapter = Callable[[Any], Transform | None]
_adapters: list[Adapter] = []


def adapter(make: Adapter) -> Adapter:
    """Let `as_transform` ask `make` first, which returns None for what it has no transform for.

    So the transforms of other libraries can be used by layers that do not know them.
    """
    _adapters.append(make)
    return make


def as_transform(function: Transform | type[Transform] | Function) -> Transform:
    """Return a transform: itself, an instance of the class, or the function wrapped.

    What another library calls a transform becomes one of ours, if there is an `adapter` for it.
    """
    if isinstance(function, Transform):
        return function
    if isinstance(function, type) and issubclass(function, Transform):
        return function()
    made = next((made for make in _adapters if (made := make(function)) is not None), None)
    if made is not None:
        return made
    if not callable(function):
        raise TypeError(
            f"A pipeline is made of transforms and functions, but got {function!r} "
            f"({type(function).__name__}), which cannot be called."
        )
    return Transform(function)
