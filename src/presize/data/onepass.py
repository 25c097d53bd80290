"""One pass of a loader over its data: which way samples take, and how batches get to the device.

There are two ways. Pictures that are cut, moved and lit as a plan go straight from their files into
the slots of a batch (`presize.data.direct`). Everything else is made sample by sample and then
collated (`presize.data.collated`).
"""

import itertools
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from presize.core.errors import DataError
from presize.core.randomness import Samples
from presize.data.blame import batch_failed
from presize.data.collated import CollatedRoute
from presize.data.direct import direct_route
from presize.data.samples import Entry, Made
from presize.data.streams import DeviceStream, Sent
from presize.data.workers import Job, run_in_order

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

# Items in one task of a worker: few, so that the threads share a batch evenly and stop soon, and
# more than one, because handing over a task costs about 20 us.
_MOST_IN_PART = 8


class Route(Protocol):
    """A way from entries to a batch."""

    rest: Any
    """What is still to be done to the batch, on its device: a pipeline, a function, or None."""

    def job(self, chunk: list[Entry], samples: Samples, per_part: int) -> Job[Made]:
        """Return the work of making one batch, in parts of at most `per_part` entries."""
        ...


class Pass:
    """What stays the same during one pass: the epoch, the transforms, the way to the device.

    Args:
        loader: gives the data, the transforms and the options.
        epoch: keys the draws.
        direct: False takes the general way for pictures, too.
    """

    def __init__(self, loader: "DataLoader", epoch: int, *, direct: bool = True) -> None:
        self.loader, self.epoch = loader, epoch
        self.seed = loader.current_seed()
        self.stream = DeviceStream(loader.device)
        route = direct_route(loader, self.stream) if direct else None
        self.route: Route = route or CollatedRoute(loader, self.stream)
        self.passed_over = 0
        """Batches of which nothing could be read, and which nobody got."""

    def run(self, entries: Iterator[Entry], threads: int) -> Generator[Any]:
        """Yield the batches of `entries`, made by so many threads."""
        size = self.loader.bs or 1
        per_part = min(_MOST_IN_PART, -(-size // max(threads, 1)))
        # Enough batches under way that there is a part for every thread.
        ahead = max(self.loader.prefetch, -(-threads * per_part // size))
        jobs = (self._job(chunk, per_part) for chunk in self._chunks(entries, size))
        made = run_in_order(jobs, threads=threads, ahead=ahead, timeout=self.loader.timeout)
        try:
            for samples, sent in made:
                if sent is None:
                    self._pass_over()
                    continue
                batch = self.stream.receive(sent)
                yield self._after(samples, batch) if self.stream.is_remote else batch
        finally:
            made.close()  # the threads end now, not when the garbage is collected

    def _pass_over(self) -> None:
        """Count a batch of which nothing could be read.

        Raises:
            DataError: other processes wait for it.
        """
        self.passed_over += 1
        share = self.loader.share
        if share is not None and share.training:
            raise DataError(
                f"Process {share.rank.number} of {share.rank.world} could read no picture of a "
                "batch, and the others cannot go on without it. Look at dl.quarantine, and at the "
                "disk or network that the pictures are on."
            )

    def _chunks(self, entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
        while chunk := list(itertools.islice(entries, size)):
            # A share has left out what is to be left out, and its last batch may be short.
            if len(chunk) == size or not self.loader.drop_last or self.loader._part is not None:
                yield chunk

    def _job(self, chunk: list[Entry], per_part: int) -> Job[tuple[Samples, Sent | None]]:
        samples = Samples(self.seed, self.epoch, [key for key, _ in chunk])
        job = self.route.job(chunk, samples, per_part)

        def finish(parts: list[Any]) -> tuple[Samples, Sent | None]:
            with explained_batch(samples, list(itertools.chain.from_iterable(parts))):
                kept, batch = job.finish(parts)
                if batch is None:
                    return kept, None
                sent = self.stream.send(batch)
            return kept, sent if self.stream.is_remote else (self._after(kept, sent[0]), None)

        return Job(job.parts, finish)

    def _after(self, samples: Samples, batch: Any) -> Any:
        """Do what is still to be done to a batch."""
        if self.route.rest is None:
            return batch
        with explained_batch(samples, batch):
            return self.route.rest(batch)


@contextmanager
def explained_batch(samples: Samples, batch: Any) -> Iterator[None]:
    """Draw for these samples; an error inside says which batch it was, and what it came in as."""
    try:
        with samples.context():
            yield
    except Exception as error:
        explained = batch_failed(error, samples.indices.tolist(), batch)
        if explained is error:
            raise
        raise explained from error
