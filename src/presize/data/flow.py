"""How long a pass made its consumer wait for data: what the bottleneck verdict is based on."""

import time
from collections import deque
from collections.abc import Generator
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from presize.data.streams import DeviceStream


class Flow:
    """The times of one pass.

    On the CPU waiting is the time that the consumer spends in `next()`. A GPU computes on while the
    program waits; there it is the time that its stream had nothing to do, between the end of the
    last step and the moment at which the next batch was there. Nothing is waited for to measure it.

    Args:
        stream: the way of the batches to their device.
        single: whether what is handed out are single samples.

    Attributes:
        batches: handed out so far.
        samples: in these batches.
        seconds: from the start of the pass to the last batch, its use included.
        first: seconds until the first batch was there: threads or processes start, and no batch
            can be under way before.
        size: (height, width) of the pictures in a batch; None if it holds none.
    """

    def __init__(self, stream: DeviceStream | None = None, *, single: bool = False) -> None:
        self.batches = self.samples = 0
        self.seconds = self.first = 0.0
        self.size: tuple[int, int] | None = None
        self._stream, self._single = stream, single
        self._waited = 0.0
        self._spans: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @property
    def waited(self) -> float:
        """Seconds that the consumer waited for data, those for the first batch included."""
        if self._spans:
            self._spans[-1][1].synchronize()
            self._add_spans()
        return self._waited

    @property
    def waited_so_far(self) -> float:
        """The same of what a GPU has come by until now; nothing waits for it."""
        self._add_spans()
        return self._waited

    def watch(self, batches: Generator[Any]) -> Generator[Any]:
        """Yield the batches, and take the time."""
        begun = asked = time.perf_counter()
        idle = self._now()
        with closing(batches):
            for batch in batches:
                self._note(time.perf_counter() - asked, idle, batch)
                yield batch
                asked = time.perf_counter()
                idle = self._now()
                self.seconds = asked - begun

    def _note(self, seconds: float, idle: "torch.cuda.Event | None", batch: Any) -> None:
        if self.batches == 0:
            # A GPU that has done nothing yet waits, too.
            self.first = self._waited = seconds
            picture = _first_tensor(batch)
            if picture is not None and picture.ndim == 4:
                self.size = (picture.shape[-2], picture.shape[-1])
        elif idle is None or self._stream is None or self._stream.ready is None:
            self._waited += seconds
        else:
            self._spans.append((idle, self._stream.ready))
            self._add_spans()
        self.batches += 1
        self.samples += 1 if self._single else _length(batch)

    def _now(self) -> "torch.cuda.Event | None":
        """Mark this place in the work of a GPU."""
        return None if self._stream is None else self._stream.mark()

    def _add_spans(self) -> None:
        """Add up what the GPU has passed by now."""
        while self._spans and self._spans[0][1].query():
            idle, ready = self._spans.popleft()
            self._waited += idle.elapsed_time(ready) / 1000


def _first_tensor(batch: Any) -> Tensor | None:
    while isinstance(batch, tuple | list) and batch:
        batch = batch[0]
    return batch if isinstance(batch, Tensor) else None


def _length(batch: Any) -> int:
    """Return how many samples a batch has; 1 for what has no length."""
    while isinstance(batch, tuple) and batch:
        batch = batch[0]
    if isinstance(batch, dict) and batch:
        batch = next(iter(batch.values()))
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else 1
    return len(batch) if isinstance(batch, list) else 1
