"""Requests that come at the same time are put to the model together.

Pictures are decoded by several threads, as they come. One thread asks the model, about all that are
ready by then. While it does, the next ones gather: so batches grow with the load by themselves.
A picture that comes alone is not kept waiting; only where others are being decoded already, it
waits a few milliseconds for them.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from presize.core.allocator import give_back_unused
from presize.data.workers import Crew, available_cpus
from presize.deploy.serve.errors import busy
from presize.deploy.serve.metrics import Metrics
from presize.deploy.serve.settings import ServeSettings

if TYPE_CHECKING:
    from presize.deploy.prediction import Prediction
    from presize.deploy.predictor import Predictor, Prepared

T = TypeVar("T")
# Between two times that unused memory is given back. It is filled in anew by the next batches.
_TIDY_SECONDS = 5.0


class _Waiting(NamedTuple):
    prepared: "Prepared"
    answer: "asyncio.Future[Prediction]"
    since: float


class Batcher:
    """Puts pictures that come at the same time to the model together.

    Args:
        predictor: what is asked.
        settings: the sizes of batch and queue, the time to wait, the number of threads.
        metrics: where is counted.
    """

    def __init__(self, predictor: "Predictor", settings: ServeSettings, metrics: Metrics) -> None:
        self.predictor, self.settings, self.metrics = predictor, settings, metrics
        self.stopping = False
        self.pending = 0  # pictures that were taken and are not answered yet
        self._decoding = 0
        self._ready: deque[_Waiting] = deque()
        self._asking = False
        self._arrived: asyncio.Event | None = None
        self._forward = settings.wait  # seconds of the last one
        self._tidied = time.perf_counter()
        self._crew: Crew | None = None
        # Always the same thread: each that computes with PyTorch gets a team of its own.
        self._model = ThreadPoolExecutor(1, "presize-model")

    def take(self, n: int) -> None:
        """Count pictures in; `give` counts them out, in any case.

        Raises:
            Refused: there are too many.
        """
        if self.pending + n > self.settings.queue:
            raise busy(
                "queue_full",
                f"The server works on {self.pending} pictures, and takes {self.settings.queue} at "
                "once. Ask again soon.",
                status=429,
            )
        self.pending += n
        self.metrics.pending.set(self.pending)

    def give(self, n: int) -> None:
        """Count pictures out."""
        self.pending -= n
        self.metrics.pending.set(self.pending)

    async def predict(self, data: bytes) -> "Prediction":
        """Return what the model says of a picture file.

        Raises:
            ImageError: it cannot be read, or is too large.
        """
        self._decoding += 1
        begun = time.perf_counter()
        try:
            prepared = await self.beside(self._prepare, data)
        finally:
            self._decoding -= 1
            if self._arrived is not None:
                self._arrived.set()
        now = time.perf_counter()
        self.metrics.decode_seconds.observe(now - begun)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(prepared, loop.create_future(), now)
        self._ready.append(waiting)
        if not self._asking:
            self._asking = True
            self._task = loop.create_task(self._ask_while_ready())
        try:
            return await waiting.answer
        finally:
            waiting.answer.cancel()  # a client that went away is not asked about any more

    async def with_model(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function says that uses the model, in the model's own thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._model, function, *arguments)

    async def beside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function says that takes a while, in one of the decoding threads."""
        loop = asyncio.get_running_loop()
        if self._crew is None:
            self._crew = Crew(self.settings.workers or available_cpus())
        answer: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            if answer.done():
                return  # nobody waits for it any more
            try:
                found = function(*arguments)
            except BaseException as error:
                tell(_fail, answer, error)
            else:
                tell(_set, answer, found)

        def tell(how: Callable[..., None], *what: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(how, *what)

        self._crew.give(work)
        return await answer

    def close(self) -> None:
        """End the threads, when they are done with what they are at."""
        self.stopping = True
        self._model.shutdown(wait=True, cancel_futures=True)
        if self._crew is not None:
            self._crew.stop()

    def _prepare(self, data: bytes) -> "Prepared":
        return self.predictor.prepare(data, max_pixels=self.settings.max_pixels)

    async def _ask_while_ready(self) -> None:
        """Ask the model batch by batch, until nothing is ready."""
        try:
            while self._ready:
                await self._gather()
                if batch := self._next():
                    await self._ask(batch)
                await self._tidy()
        finally:
            self._asking = False

    async def _tidy(self) -> None:
        now = time.perf_counter()
        if now - self._tidied > _TIDY_SECONDS:
            self._tidied = now
            await self.with_model(give_back_unused)

    async def _gather(self) -> None:
        """Wait a little for pictures that are being decoded, if there is room in the batch."""
        if not self.settings.wait:
            return
        self._arrived = asyncio.Event()
        try:
            # Not longer than the model would take: by then it could have answered.
            async with asyncio.timeout(min(self.settings.wait, self._forward)):
                while self._decoding and len(self._ready) < self.settings.batch:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass
        finally:
            self._arrived = None

    def _next(self) -> list[_Waiting]:
        """Return the next batch, without those whom nobody waits for any more."""
        batch: list[_Waiting] = []
        while self._ready and len(batch) < self.settings.batch:
            waiting = self._ready.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    async def _ask(self, batch: Sequence[_Waiting]) -> None:
        begun = time.perf_counter()
        for waiting in batch:
            self.metrics.queue_seconds.observe(begun - waiting.since)
        try:
            answers = await self.with_model(self.predictor.infer, [w.prepared for w in batch])
        except Exception as error:
            await self._ask_apart(batch, error)
            return
        self._forward = time.perf_counter() - begun
        self.metrics.batches(len(batch), self._forward)
        for waiting, answer in zip(batch, answers, strict=True):
            _set(waiting.answer, answer)

    async def _ask_apart(self, batch: Sequence[_Waiting], error: Exception) -> None:
        """Ask about the halves of a batch that failed: one picture is not to fail the others."""
        if len(batch) == 1:
            _fail(batch[0].answer, error)
            return
        half = len(batch) // 2
        await self._ask(batch[:half])
        await self._ask(batch[half:])


def _set(answer: "asyncio.Future[T]", found: T) -> None:
    if not answer.done():
        answer.set_result(found)


def _fail(answer: "asyncio.Future[T]", error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
