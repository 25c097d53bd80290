"""Checks the options of a loader against each other and against its data."""

from typing import TYPE_CHECKING, Any

from presize.data.stream.itemstream import stream_of
from presize.data.warned import warn_user

if TYPE_CHECKING:
    from presize.data.loader import DataLoader


def one_size(batch_size: int | None, bs: int | None) -> int | None:
    """Return the size of a batch, which has two names.

    Raises:
        ValueError: they contradict each other.
    """
    if None not in (batch_size, bs) and batch_size != bs:
        raise ValueError(
            f"`bs` is the short name of `batch_size`: give one of them, not "
            f"batch_size={batch_size} and bs={bs}."
        )
    return batch_size if bs is None else bs


def checked_size(loader: "DataLoader", bs: Any, length: int | None) -> int | None:
    """Return the size of batches, if it and the other options fit the data.

    Args:
        loader: has the options.
        bs: the size that was asked for; None for single samples.
        length: how many samples a pass takes, if that is known.

    Raises:
        TypeError: the size is no whole number.
        ValueError: options that contradict each other, or the data.
    """
    if bs is not None and not hasattr(bs, "__index__"):
        raise TypeError(f"batch_size is a whole number, but got {bs!r} ({type(bs).__name__}).")
    if bs is not None and bs < 1:
        raise ValueError(f"A batch has at least one sample, but got batch_size={bs}.")
    if loader.num_workers < 0 or loader.prefetch < 0:
        raise ValueError(
            f"num_workers and prefetch are 0 or more, but got {loader.num_workers} and "
            f"{loader.prefetch}."
        )
    has_order = loader.indexed or stream_of(loader.dataset) is not None
    if loader.shuffle and (not has_order or loader.n is None):
        raise ValueError(
            f"A {type(loader.dataset).__name__} cannot be shuffled: it has no positions to "
            "choose from. Make a list of it, `DataLoader(list(items), shuffle=True)`, or "
            "leave shuffle=False."
        )
    if bs is not None and loader.drop_last and length is not None and 0 < length < bs:
        kind = "data set of {} items" if loader.sampler is None else "sampler of {} indices"
        warn_user(
            f"The batch size {bs} is larger than the {kind.format(length)}, and "
            f"incomplete batches are left out: training goes on with batches of {length}. "
            f"Pass bs={length} or less."
        )
        return length
    return bs  # type: ignore[no-any-return]  # it has `__index__`


def why_empty(loader: "DataLoader", length: int | None) -> str:
    """Say why a pass has no batches, in one sentence.

    Args:
        loader: has the options.
        length: how many samples a pass takes, if that is known.
    """
    if loader.sampler is not None and not length:
        return "the sampler gives no index."
    if length == 0:
        return "the data set has 0 items."
    if loader.quarantine is not None and loader.quarantine.left_out(loader):
        return f"none of the first {loader.bs or 1} samples could be read, see dl.quarantine."
    if loader.drop_last:
        return (
            f"batches have {loader.bs} samples, of which there are fewer, and drop_last leaves out "
            "smaller ones."
        )
    return f"the {type(loader.dataset).__name__} yields no items."
