"""Computes a batch whole, or, once memory ran out, in parts that give the same gradients.

After an out-of-memory error the batch is cut in two, then in parts of half that size, and so on;
each part's loss counts by its share of what the loss divides by, so that the step, the rate, the
draws and the metrics are those of the whole batch. How many items have room is known from then on,
for training and for asking each, until `begin`. Layers that look at a whole batch, such as
BatchNorm, see each part by itself; and a loss of one's own has to be a mean over the items.
"""

import gc
import warnings
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from presize.core.device import map_tensors
from presize.core.errors import TrainingError
from presize.core.joining import concatenate
from presize.train.loss_weight import divides_as_known, loss_weight
from presize.train.names import name_of

Batch: TypeAlias = tuple[tuple[Any, ...], tuple[Any, ...]]
"""Inputs and targets."""


class Step(Protocol):
    """What is computed in parts: the batch, and what came of it."""

    xb: tuple[Any, ...]
    yb: tuple[Any, ...]
    pred: Any
    loss: Tensor

    @property
    def training(self) -> bool:
        """Whether gradients are wanted."""
        ...

    @property
    def loss_func(self) -> Callable[..., Tensor]:
        """What makes the loss of outputs and targets."""
        ...


class Part:
    """A part of a batch; in its `with` block an out-of-memory error ends nothing but the part.

    Args:
        share: what its loss is multiplied by to add up to that of the batch.
        described: added to an error of another kind; empty for a whole batch.
    """

    def __init__(self, share: float = 1.0, described: str = "") -> None:
        self.share, self.described, self.failed = share, described, False

    def __enter__(self) -> "Part":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or not out_of_memory(error):
            if error is not None and self.described:
                error.add_note(self.described)
            return False
        self.failed = True
        return True


class MicroBatches:
    """The parts in which batches are computed: `for part in parts.of(learn): with part: …`.

    Args:
        forget: called when a batch is begun again, to drop the gradients that a part has left;
            returns whether those of other batches of the same step go with them.
        parallel: says whether the step is computed with other processes, which cannot be asked
            to begin again; then memory that runs out is an error.

    Attributes:
        room: how many items a part may have, by "training" and "asking"; nothing where memory has
            not run out.
    """

    def __init__(self, forget: Callable[[], bool], parallel: Callable[[], bool]) -> None:
        self.room: dict[str, int] = {}
        self._forget, self._parallel = forget, parallel

    def begin(self) -> None:
        """Try whole batches again: what was learnt of the memory was about another task."""
        self.room.clear()

    def of(self, step: Step) -> Iterator[Part]:
        """Give the whole batch, and after an out-of-memory error ever smaller parts of it.

        Raises:
            TrainingError: not even a single item can be computed.
        """
        kind = "training" if step.training else "asking"
        room = self.room.get(kind)
        if room is None or items_in(step.xb) <= room:
            whole = Part()
            yield whole
            if not whole.failed:
                return
            self._make_smaller(step, kind, (items_in(step.xb),))
        batch = step.xb, step.yb
        try:
            while True:
                sizes = sizes_of(items_in(batch[0]), self.room[kind])
                if (yield from _in_parts(step, batch, sizes)):
                    return
                self._make_smaller(step, kind, sizes)
        finally:
            step.xb, step.yb = batch

    def _make_smaller(self, step: Step, kind: str, sizes: tuple[int, ...]) -> None:
        # What the failed part left is what there is no room for.
        step.pred, step.loss = None, torch.zeros(())
        lost = step.training and self._forget()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        items, parallel = sum(sizes), self._parallel()
        if parallel or max(sizes) == 1:
            raise TrainingError(_no_way(items, len(sizes), parallel=parallel))
        self.room[kind] = next_smaller(max(sizes))
        count = len(sizes_of(items, self.room[kind]))
        told = f"Memory ran out. Batches of {items} are computed in {count} parts from here on"
        warnings.warn(told + _consequences(step, lost=lost), stacklevel=4)


def _in_parts(step: Step, batch: Batch, sizes: tuple[int, ...]) -> Generator[Part, None, bool]:
    """Give the parts of a batch; return whether all of them were computed."""
    computed: list[tuple[Any, Tensor]] = []
    parts = _cut(batch, sizes)
    shares = _shares(step.loss_func, parts, batch)
    for share, size, rows in zip(shares, sizes, parts, strict=True):
        step.xb, step.yb = rows
        told = f"In a part of {size} of the {sum(sizes)} items of a batch: memory had run out."
        part = Part(share, told)
        yield part
        if part.failed:
            return False
        loss = step.loss.detach()
        # Losses of single items, as `get_preds` asks for them, are no means to be weighted.
        if not loss.ndim:
            loss = loss * share if share else torch.zeros_like(loss)  # the mean of nothing is nan
        computed.append((map_tensors(Tensor.detach, step.pred), loss))
    preds, losses = zip(*computed, strict=True)
    step.pred = concatenate(preds)
    step.loss = torch.cat(losses) if losses[0].ndim else torch.stack(losses).sum()
    return True


def sizes_of(items: int, room: int) -> tuple[int, ...]:
    """Return the sizes of the fewest parts of a batch with `room` items at most, all but equal."""
    count = max(-(-items // room), 1)
    least, more = divmod(items, count)
    return (least + 1,) * more + (least,) * (count - more)


def next_smaller(size: int) -> int:
    """Return the size to try when parts of this one did not fit.

    It is half of it; but 3 comes before 2, since parts of 2 and 3 items make up a batch of any
    size, and layers such as BatchNorm cannot be trained on a single item.
    """
    return max((size + 1) // 2, min(size - 1, 3))


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error is about memory: that of an accelerator, or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Without a class of its own: what the allocator of the CPU raises.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def items_in(xb: tuple[Any, ...]) -> int:
    """Count the items of a batch by its inputs."""
    return next((len(x) for x in xb if isinstance(x, Tensor) and x.ndim), 1)


def _cut(batch: Batch, sizes: tuple[int, ...]) -> list[Batch]:
    items, start, parts = sum(sizes), 0, []

    def rows(value: Tensor) -> Tensor:
        whole = value.ndim == 0 or len(value) != items
        return value if whole else value[start : start + size]

    for size in sizes:
        part: Batch = map_tensors(rows, batch)
        parts.append(part)
        start += size
    return parts


def _shares(loss_func: Callable[..., Tensor], parts: list[Batch], batch: Batch) -> list[float]:
    """Return what the loss of each part counts for."""

    def weight(xb: tuple[Any, ...], yb: tuple[Any, ...]) -> float:
        return float(loss_weight(loss_func, yb, items_in(xb)))

    whole = weight(*batch)
    # Where no target counts, the loss of the whole batch is not a number either.
    return [weight(*part) / whole if whole else 1.0 for part in parts]


def _consequences(step: Step, *, lost: bool) -> str:
    if not step.training:
        return " where the model is only asked, which takes longer and gives the same."
    told = (
        ": the batch size, the rate and the draws stay as they are, and a step takes longer. "
        "learn.find_batch_size() tells what fits."
    )
    if not divides_as_known(step.loss_func):
        name = name_of(step.loss_func)
        told += f" The gradients are those of the whole batch if {name} is a mean over its items."
    return told + " The step under way is made of this batch alone." * lost


def _no_way(items: int, count: int, *, parallel: bool) -> str:
    if parallel:
        return (
            f"Memory ran out on a batch of {items}. Where several processes train together a step "
            "cannot be begun again by one of them: make the batch smaller, bs=, and "
            "accumulate=2 keeps the step as it is."
        )
    return (
        f"Memory ran out although the batch of {items} was computed in {count} parts. A smaller "
        "picture, a smaller model, or precision='bf16' needs less; other programs may hold the "
        "rest of the memory."
    )
