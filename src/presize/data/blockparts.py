"""What a `DataBlock` is put together from, checked: blocks, and the functions that feed them."""

from collections.abc import Callable, Sequence
from typing import Any

from presize.core.pipeline import Pipeline
from presize.core.transform import ItemTransform, Transform
from presize.data.blame import brief
from presize.data.blocks import TransformBlock
from presize.data.merging import copied

Block = TransformBlock | Callable[[], TransformBlock]
Getter = Callable[[Any], Any] | Pipeline
Getters = Getter | Sequence[Getter | None] | None


def made_blocks(blocks: Block | Sequence[Block] | None) -> list[TransformBlock]:
    """Return blocks that may be given as classes as objects; by default two plain ones."""
    if blocks is None:
        blocks = (TransformBlock, TransformBlock)
    given = list(blocks) if isinstance(blocks, Sequence) else [blocks]
    made: list[Any] = [
        b() if not isinstance(b, TransformBlock) and callable(b) else b for b in given
    ]
    for block in made:
        if not isinstance(block, TransformBlock):
            raise TypeError(
                f"`blocks` takes blocks, such as (ImageBlock, CategoryBlock), but one of them is "
                f"{brief(block)} ({type(block).__name__})."
            )
    if not made:
        raise ValueError("`blocks` is empty: a data set has at least one input.")
    return made


def checked_n_inp(n_inp: int | None, n: int) -> int:
    """Return how many of `n` blocks are inputs: by default all but the last."""
    if n_inp is not None and not 1 <= n_inp <= n:
        raise ValueError(
            f"n_inp={n_inp} should say how many of the {n} blocks are inputs: 1 to {n}."
        )
    return max(1, n - 1) if n_inp is None else n_inp


def all_getters(
    getters: Sequence[Getter | None] | None, get_x: Getters, get_y: Getters, n: int, n_inp: int
) -> list[Getter | None]:
    """Return one getter, or None, for each of `n` blocks."""
    made: list[Getter | None] = [None] * n
    if getters is not None:
        made = _counted("getters", getters, n, "block")
    if get_x is not None:
        made[:n_inp] = _counted("get_x", get_x, n_inp, "input")
    if get_y is not None:
        made[n_inp:] = _counted("get_y", get_y, n - n_inp, "target")
    return made


def _counted(name: str, given: Any, n: int, what: str) -> list[Getter | None]:
    """Return the functions as a list, after a check that there is one for each block."""
    functions = list(given) if isinstance(given, list | tuple) else [given]
    if len(functions) != n:
        chain = f" To run them one after the other, write {name}=Pipeline([...])." * (n == 1)
        has = f"{len(functions)} function{'s' * (len(functions) != 1)}"
        raise ValueError(
            f"`{name}` has {has}, but there {'is' if n == 1 else 'are'} {n} "
            f"{what}{'s' * (n != 1)}: it needs one for each.{chain} "
            "How many blocks are inputs is set by n_inp=."
        )
    for function in functions:
        if function is not None and not callable(function):
            raise TypeError(f"`{name}` takes functions, but got {brief(function)}.")
    return functions


def as_getter(getter: Getter) -> list[Any]:
    """Return a getter as transforms; a function sees the whole item, also where it is a tuple."""
    if isinstance(getter, Pipeline):
        return list(map(copied, getter.fs))
    made = copied(getter)
    return [made if isinstance(made, Transform) else ItemTransform(made)]
