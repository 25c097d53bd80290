"""Computes a batch whole, or, once memory ran out, in parts that give the same gradients.

After an out-of-memory error the batch is cut in two, four, eight …; each part's mean loss counts by
its share of the items, so that the step, the rate, the draws and the metrics are those of the whole
batch. The parts stay for the rest of the fit. Layers that look at a whole batch, such as BatchNorm,
see each part by itself.
"""

import gc
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor

from presize.core.device import map_tensors
from presize.core.errors import TrainingError


class Step(Protocol):
    """What is computed in parts: the batch, and what came of it."""

    xb: tuple[Any, ...]
    yb: tuple[Any, ...]
    pred: Any
    loss: Tensor


class Part:
    """A part of a batch; in its `with` block an out-of-memory error ends nothing but the part.

    Args:
        share: its part of the items of the batch, in 0..1.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share, self.failed = share, False

    def __enter__(self) -> "Part":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or not out_of_memory(error):
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
    """

    def __init__(self, forget: Callable[[], bool], parallel: Callable[[], bool]) -> None:
        self.count = 1
        self._whole = Part()
        self._forget, self._parallel = forget, parallel

    def of(self, step: Step) -> Iterator[Part]:
        """Give the whole batch, and after an out-of-memory error ever smaller parts of it.

        Raises:
            TrainingError: not even a single item can be computed.
        """
        if self.count == 1:
            yield self._whole
            if not self._whole.failed:
                return
            self._whole = Part()
            self._make_smaller(step)
        batch = step.xb, step.yb
        while True:
            computed: list[tuple[Any, Tensor]] = []
            for share, (step.xb, step.yb) in _cut(batch, self.count):
                part = Part(share)
                yield part
                if part.failed:
                    break
                loss = step.loss.detach()
                # Losses of single items, as `get_preds` asks for them, are no means to be weighted.
                loss = loss if loss.ndim else loss * share
                computed.append((map_tensors(Tensor.detach, step.pred), loss))
            step.xb, step.yb = batch
            if not part.failed:
                preds, losses = zip(*computed, strict=True)
                step.pred = _joined(preds)
                step.loss = torch.cat(losses) if losses[0].ndim else torch.stack(losses).sum()
                return
            computed.clear()
            self._make_smaller(step)

    def _make_smaller(self, step: Step) -> None:
        items = items_in(step.xb)
        # What the failed part left is what there is no room for.
        step.pred, step.loss = None, torch.zeros(())
        lost = self._forget()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._parallel() or self.count >= items:
            raise TrainingError(_no_way(items, self.count, parallel=self._parallel()))
        self.count = min(2 * self.count, items)
        warnings.warn(
            f"Memory ran out. Batches of {items} are computed in {self.count} parts from here on: "
            "the batch size, the rate and the draws stay as they are, and a step takes longer. "
            "learn.find_batch_size() tells what fits."
            + " The step under way is made of this batch alone."
            * lost,
            stacklevel=4,
        )


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error is about memory: that of an accelerator, or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Without a class of its own: what the allocator of the CPU raises.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def items_in(xb: tuple[Any, ...]) -> int:
    """Count the items of a batch by its inputs."""
    return next((len(x) for x in xb if isinstance(x, Tensor) and x.ndim), 1)


def _cut(
    batch: tuple[tuple[Any, ...], tuple[Any, ...]], count: int
) -> Iterator[tuple[float, tuple[tuple[Any, ...], tuple[Any, ...]]]]:
    items = items_in(batch[0])
    size = -(-items // count)

    def rows(value: Tensor) -> Tensor:
        whole = value.ndim == 0 or len(value) != items
        return value if whole else value[start : start + size]

    for start in range(0, items, size):
        part: tuple[tuple[Any, ...], tuple[Any, ...]] = map_tensors(rows, batch)
        yield min(size, items - start) / items, part


def _joined(preds: tuple[Any, ...]) -> Any:
    if isinstance(preds[0], Tensor):
        return torch.cat(preds)
    if isinstance(preds[0], dict):
        return {key: _joined(tuple(pred[key] for pred in preds)) for key in preds[0]}
    return type(preds[0])(_joined(column) for column in zip(*preds, strict=True))


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
