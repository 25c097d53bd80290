"""Says which item, which transform and which shapes an error in a loader came from."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

from presize.core.errors import DataError, PresizeError
from presize.core.transform import Transform
from presize.data.rows import row

_LONGEST = 200
_SHOWN = 4


def item_failed(error: Exception, index: int, item: Any, sample: Any = None) -> Exception:
    """Return the error to raise when making sample `index` from `item` failed with `error`.

    Ours say themselves what is wrong and are only given a note; others are put into words.

    Args:
        error: what was raised.
        index: the number of the item.
        item: what is known of it, such as its path; or None.
        sample: what had become of it before the transforms of the loader; or None.
    """
    where = f"item {index}" + ("" if item is None else f", {brief(item)}")
    if isinstance(error, PresizeError):
        error.add_note(f"This was {where} of the data set{_in_transform(error)}.")
        return error
    came_in = "" if sample is None else f"\nIt came in as {described(sample)}."
    return DataError(
        f"{where[0].upper()}{where[1:]} could not be made into a sample{_in_transform(error)}: "
        f"{type(error).__name__}: {error}{came_in}"
    )


def named_errors(items: Iterable[Any]) -> Iterator[Any]:
    """Walk through `items`; an error on the way, as in a user's `get_y`, names the item."""
    i = 0
    try:
        for item in items:
            yield item
            i += 1
    except Exception as error:
        source = getattr(items, "items", None)  # what it is made from
        known = row(source, i) if hasattr(source, "__getitem__") else None
        explained = item_failed(error, i, known)
        if explained is error:
            raise
        raise explained from error


def batch_failed(error: Exception, indices: Sequence[int], batch: Any) -> Exception:
    """Return the error to raise when the batch of these samples failed with `error`."""
    shown = ", ".join(map(str, indices[:_SHOWN])) + (", ..." if len(indices) > _SHOWN else "")
    who = f"the batch of {len(indices)} items ({shown})"
    if isinstance(error, PresizeError):
        error.add_note(f"This was {who}{_in_transform(error)}.")
        return error
    return DataError(
        f"{who[0].upper()}{who[1:]} could not be made{_in_transform(error)}: "
        f"{type(error).__name__}: {error}\nIt came in as {described(batch)}."
    )


def described(value: Any) -> str:
    """Return kinds and shapes: `(TensorImage [64, 3, 224, 224], TensorCategory [64])`."""
    if isinstance(value, Tensor):
        return f"{type(value).__name__} {list(value.shape)}"
    if isinstance(value, list) and len(value) > _SHOWN:
        return f"a list of {len(value)}, first {described(value[0])}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(described, value))})"
    return brief(value)


def brief(value: Any) -> str:
    """Return a short text of a value, one line."""
    if isinstance(value, Tensor):
        return f"{type(value).__name__} {list(value.shape)}"
    if hasattr(value, "iloc") and hasattr(value, "to_dict") and getattr(value, "ndim", 0) == 1:
        value = value.to_dict()  # a row of a table, which prints on many lines
    text = f"`{value}`" if hasattr(value, "__fspath__") else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _in_transform(error: Exception) -> str:
    """Return " in the transform `X`" for the innermost transform that the error came out of."""
    found: Transform | None = None
    step = error.__traceback__
    while step is not None:
        owner = step.tb_frame.f_locals.get("self")
        found = owner if isinstance(owner, Transform) else found
        step = step.tb_next
    return "" if found is None else f" in the transform `{found.name}`"
