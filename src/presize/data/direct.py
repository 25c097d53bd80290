"""The way of pictures straight from their files into the slots of a batch.

    file -> bytes decoded at 1/1 .. 1/8 -> one reading of pixels -> one table of levels -> slot

Where batches stay on the CPU, item transforms (`Resize`) and batch transforms (flip, warp, light,
`Normalize`) are factors of one product, carried out for each picture in the thread that decoded it.
Where batches go to an accelerator, pictures are read at the size of the item transforms, cross as
bytes, and the batch transforms are carried out there. What happens to a picture is the same.
"""

import functools
import gc
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from presize.core.pipeline import Pipeline
from presize.core.randomness import Samples
from presize.core.transform import Transform
from presize.data.collate import collate
from presize.data.cuts import cuts_of, read_through
from presize.data.picturesource import PictureSource
from presize.data.planner import Planner
from presize.data.samples import Entry, Made, active, explained, read, without
from presize.data.streams import DeviceStream
from presize.data.workers import Job, given_up
from presize.render.carry_out import carry_out
from presize.render.plan import PixelPlan
from presize.render.transform import active_steps
from presize.render.warp import write

if TYPE_CHECKING:
    from presize.data.loader import DataLoader


def direct_route(loader: "DataLoader", stream: DeviceStream) -> "DirectRoute | None":
    """Return the direct way for a loader; None if its data or transforms want the general one."""
    source = PictureSource.of(loader)
    return None if source is None else DirectRoute(loader, stream, source)


def warm_up(loader: "DataLoader") -> None:
    """Get ready what the direct way works with, if the loader takes it."""
    if PictureSource.of(loader) is not None:
        _warm()


@functools.cache
def _warm() -> None:
    """Do once, before the first pass, what would else hold up its first batch for 0.3 s."""
    import cv2  # noqa: F401

    # All that the imports made is looked through once, by whoever comes first.
    gc.collect()


class DirectRoute:
    """Makes batches of pictures and what is known of them, such as their class.

    Args:
        loader: gives the data and the transforms.
        stream: the way to the device.
        source: where pictures come from, and how they are cut.
    """

    def __init__(self, loader: "DataLoader", stream: DeviceStream, source: PictureSource) -> None:
        self.loader, self.source = loader, source
        self.pins = stream.pins
        stage = active(loader.after_batch)
        self.split_idx = stage.split_idx if stage is not None else None
        self.steps: list[Transform] = []
        self.rest: Any = stage
        if stage is not None and not stream.is_remote:
            self.steps, self.rest = active_steps(stage.fs, self.split_idx), None
        self.planner = Planner(self.steps, self.split_idx, source.channels)

    def job(self, chunk: list[Entry], samples: Samples, per_part: int) -> Job[Made]:
        """Return the work of making one batch, in parts of at most `per_part` entries."""
        batch = _Batch(self, samples, chunk)
        starts = range(0, len(chunk), per_part)
        parts = [
            functools.partial(batch.fill, range(i, min(i + per_part, len(chunk)))) for i in starts
        ]
        return Job(parts, batch.finish)


class _Batch:
    """A batch under way: its plan, its slots, and what is known of its pictures."""

    def __init__(self, route: DirectRoute, samples: Samples, chunk: list[Entry]) -> None:
        self.route, self.samples, self.chunk = route, samples, chunk
        self._lock = threading.Lock()
        self._ready = False

    def prepare(self) -> None:
        """Draw for all samples at once, and take memory; done by the first thread that comes."""
        if self._ready:
            return
        with self._lock:
            if self._ready:
                return
            route, n = self.route, len(self.chunk)
            planned = route.planner.planned(self.samples, n, route.source.size)
            plan, self.steps, self.tables, self.last = planned
            self.plan: PixelPlan = plan
            kind = torch.uint8 if self.tables is None else torch.float32
            shape = (n, route.source.channels, *plan.size)
            self.slots = route.loader.slot_pool.take(shape, kind, pin=route.pins)
            self.into = self.slots.numpy()
            self._ready = True

    def fill(self, places: range) -> list[Any]:
        """Make the pictures at some places; return what else is known, None for one left out."""
        self.prepare()
        made: list[Any] = []
        for i in places:
            if given_up():
                break
            made.append(self._sample(i))
        return made

    def _sample(self, i: int) -> tuple[Any, ...] | None:
        entry = self.chunk[i]
        try:
            with self.samples.context(i):
                return read(self.route.loader, self.samples, i, entry[1], lambda r: self._put(i, r))
        except Exception as error:
            better = explained(self.route.loader, entry, error, None)
            if better is error:
                raise
            raise better from error

    def _put(self, i: int, ref: Any) -> tuple[Any, ...]:
        """Write the picture of item `ref` into slot `i`; return its targets."""
        source, plan = self.route.source, self.plan
        picture = source.picture(ref)
        cuts = cuts_of(source.crops, picture.full, middle=source.middle)
        way = plan.reading
        mode = None if way is None else way.mode
        pixels = read_through(picture.pixels, cuts, self.last[i], plan.size, mode)
        write(pixels, None if self.tables is None else self.tables[i], self.into[i])
        return source.targets(ref)

    def finish(self, parts: Sequence[list[Any]]) -> Made:
        """Return the batch, the steps that are no plan for single pictures done as well."""
        targets = [one for part in parts for one in part]
        samples, slots, plan = without(self.samples, targets), self.slots, self.plan
        if samples is not self.samples:
            kept = [i for i, one in enumerate(targets) if one is not None]
            if not kept:
                return samples, None
            slots, targets, plan = slots[kept], [targets[i] for i in kept], plan.some(kept)
        # A stand-in for the picture, so that errors count members as the user does.
        _, *others = collate([(0, *one) for one in targets])
        pictures = slots.as_subclass(self.route.source.tensor_class)
        with samples.context():
            return samples, self._completed(plan, (pictures, *others))

    def _completed(self, plan: PixelPlan, batch: Any) -> Any:
        """Do what no table of levels can do, and the steps that are no plan."""
        if self.tables is None and self.route.steps:
            batch = carry_out(plan.without_movement(), batch)
        if not self.steps:
            return batch
        steps = Pipeline(split_idx=self.route.split_idx)
        steps.fs = self.steps
        return steps(batch)
