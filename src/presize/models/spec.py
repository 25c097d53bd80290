"""The description of a model as JSON, and its check: a file may not have just anything built."""

from collections.abc import Mapping
from typing import TypedDict, cast

from presize.core.errors import ModelFileError
from presize.models.body import Source

MAX_OUT = 1_000_000
MAX_WIDTH = 1_000_000
MAX_LAYERS = 100
MAX_SIDE = 4096  # of what a transformer is made for; its attention takes the fourth power of it
MAX_NAME = 200


class HeadSpec(TypedDict):
    """The arguments of `create_head`, as JSON."""

    concat_pool: bool
    ps: float | list[float]
    lin_ftrs: list[int] | None
    first_bn: bool
    bn_final: bool
    lin_first: bool
    y_range: list[float] | None


class ModelSpec(TypedDict):
    """What `build_from_spec` needs to build an architecture again; never any weights.

    `cut` is "custom" where it was a function, `head` None where it was the user's own.
    """

    source: Source
    name: str
    n_out: int
    n_in: int
    cut: int | str | None
    img_size: int | None
    head: HeadSpec | None


def check_spec(spec: Mapping[str, object]) -> ModelSpec:
    """Return `spec` if every field is there, known, and of a sane kind and size.

    Raises:
        ModelFileError: it is not; the field is named.
    """
    _fields("the architecture", spec, ModelSpec.__required_keys__)
    _is("source", spec["source"], spec["source"] in ("torchvision", "timm", "custom"))
    _is("name", spec["name"], isinstance(spec["name"], str) and len(spec["name"]) <= MAX_NAME)
    _is("n_out", spec["n_out"], _whole(spec["n_out"], MAX_OUT))
    _is("n_in", spec["n_in"], _whole(spec["n_in"], 10_000))
    cut, size = spec["cut"], spec["img_size"]
    _is("cut", cut, cut is None or cut == "custom" or (type(cut) is int and abs(cut) < 10_000))
    _is("img_size", size, size is None or _whole(size, MAX_SIDE))
    head = spec["head"]
    if head is not None:
        _is("head", head, isinstance(head, Mapping))
        _check_head(cast(Mapping[str, object], head))
    return cast(ModelSpec, dict(spec))


def _check_head(head: Mapping[str, object]) -> None:
    _fields("the head", head, HeadSpec.__required_keys__)
    for flag in ("concat_pool", "first_bn", "bn_final", "lin_first"):
        _is(flag, head[flag], isinstance(head[flag], bool))
    ps, widths, y_range = head["ps"], head["lin_ftrs"], head["y_range"]
    _is("ps", ps, _numbers(ps if isinstance(ps, list) else [ps]))
    fits = isinstance(widths, list) and all(_whole(n, MAX_WIDTH) for n in widths)
    few = len(widths) <= MAX_LAYERS if isinstance(widths, list) else True
    _is("lin_ftrs", widths, widths is None or (fits and few))
    pair = isinstance(y_range, list) and len(y_range) == 2 and _numbers(y_range)
    _is("y_range", y_range, y_range is None or pair)


def _fields(what: str, got: Mapping[str, object], expected: frozenset[str]) -> None:
    if set(got) != expected:
        found = ", ".join(sorted(map(str, got)))[:300] or "none"
        raise ModelFileError(
            f"The description of {what} wants the fields {', '.join(sorted(expected))}; it has "
            f"{found}. Is it of another version of presize?"
        )


def _is(field: str, value: object, good: bool) -> None:
    if not good:
        raise ModelFileError(f"The model's description has an impossible {field}: {value!r:.80}.")


def _whole(value: object, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _numbers(values: list[object]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
