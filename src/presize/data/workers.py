"""Threads that make batches ahead of time and hand them over in order."""

import atexit
import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")
Task = Callable[[], object]

# How long what is under way is waited for when nobody wants it any more.
_GRACE = 0.5
# On Windows Ctrl-C is noticed between two waits, not inside one.
_WAIT = 0.5


def available_cpus() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Job(Generic[T]):
    """A piece of work in parts that may run at the same time, and what is made of their results.

    Args:
        parts: functions that each return some of the results.
        finish: takes the list of what the parts returned, in their order.
    """

    parts: Sequence[Callable[[], Any]]
    finish: Callable[[list[Any]], T]


def run_in_order(
    jobs: Iterable[Job[T]], *, threads: int, ahead: int, timeout: float = 0.0
) -> Generator[T]:
    """Yield the results of `jobs` in their order, worked on by `threads`.

    An error in a part or in `finish` is raised when its result is due. When the iterator ends, is
    dropped or is interrupted, waiting parts are given up and the threads end: those that are in the
    middle of a part (see `given_up`) are waited for half a second at most.

    Args:
        jobs: read in the calling thread.
        threads: how many work; 0 does everything in the calling thread, nothing ahead.
        ahead: how many jobs are started before their result is asked for.
        timeout: seconds to wait for one result; 0 waits for ever.

    Raises:
        TimeoutError: a result took longer than that.
    """
    if threads == 0:
        for job in jobs:
            yield job.finish([part() for part in job.parts])
        return
    crew = Crew(threads)
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(_started(job, crew))
            if len(waiting) > ahead:
                yield _result(waiting.popleft(), timeout)
        while waiting:
            yield _result(waiting.popleft(), timeout)
    finally:
        crew.stop()


class Crew:
    """Threads that do tasks in the order in which they are given out.

    Unlike those of `concurrent.futures` they hold up neither an interrupt nor the end of the
    program: whoever is in a long task, such as a read from a network drive, is left to end alone.

    Args:
        n: how many threads.
    """

    def __init__(self, n: int) -> None:
        self.stopped = False
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        # Each thread that computes with PyTorch gets a team of threads of its own, which would be
        # n times the cores: they share the cores instead.
        share = max(1, torch.get_num_threads() // n)
        begin = functools.partial(_limit_torch, _openmp(), share)
        self._threads = [
            threading.Thread(
                target=_work, args=(self, begin), name=f"presize-loader-{i}", daemon=True
            )
            for i in range(n)
        ]
        _crews.add(self)
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # an interrupt may come here, too
            self.stop()
            raise

    def give(self, task: Task) -> None:
        """Let a thread do `task`, which takes care of its own errors."""
        self._tasks.put(task)

    def take(self) -> Task | None:
        """Return the next task; None when the threads are to end."""
        return None if self.stopped else self._tasks.get()

    def stop(self) -> None:
        """Give up the tasks that wait, and end the threads."""
        self.stopped = True
        for _ in self._threads:
            self._tasks.put(None)
        end = time.monotonic() + _GRACE
        for thread in self._threads:
            # One that an interrupt kept from beginning cannot be joined; the current one may be of
            # the crew, where it collects the iterator as garbage.
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        _crews.discard(self)


def given_up() -> bool:
    """Say whether nobody wants what the current worker thread does any more.

    Long parts ask this from time to time; what they return then is thrown away.
    """
    return _here.crew is not None and _here.crew.stopped


class _Here(threading.local):
    """The crew that the current thread belongs to."""

    crew: Crew | None = None


_here = _Here()
_crews: set[Crew] = set()  # those that work; a weak set would run Python when one is let go


@atexit.register
def _stop_all() -> None:
    # Threads that are still at work when the interpreter is taken apart can crash it.
    for crew in list(_crews):
        if not crew.stopped:
            crew.stop()


def _work(crew: Crew, begin: Callable[[], None]) -> None:
    _here.crew = crew
    begin()
    while (task := crew.take()) is not None:
        task()


def _limit_torch(openmp: Any, n: int) -> None:
    """Let the operations of this thread use `n` threads; those of others are left as they are.

    `torch.set_num_threads` would not do: it holds for all threads that begin later, too.
    """
    torch.get_num_threads()  # takes over what the user has set, which it would do later
    openmp.limit(limits=n)


@functools.cache
def _openmp() -> Any:
    """Return the control over the threads that PyTorch computes with: 5 ms to find."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController().select(user_api="openmp")


def _started(job: Job[T], crew: Crew) -> "Future[T]":
    """Queue the parts of a job; the thread that does the last one finishes the job."""
    due: Future[T] = Future()
    results: list[Any] = [None] * len(job.parts)
    left, lock = len(job.parts), threading.Lock()

    def work(k: int) -> None:
        nonlocal left
        if due.done():
            return  # another part has failed
        try:
            results[k] = job.parts[k]()
            if crew.stopped:
                return
            with lock:
                left -= 1
                is_last = left == 0
            if is_last:
                due.set_result(job.finish(results))
        except BaseException as error:
            with lock:
                if not due.done():
                    due.set_exception(error)

    for k in range(len(job.parts)):
        crew.give(functools.partial(work, k))
    return due


def _result(due: "Future[T]", timeout: float) -> T:
    end = time.monotonic() + timeout
    while True:
        wait = min(_WAIT, max(0.0, end - time.monotonic())) if timeout else _WAIT
        try:
            return due.result(wait)
        except TimeoutError:
            if due.done():
                return due.result()  # the work itself raised it, or it is there just now
        if timeout and time.monotonic() >= end:
            raise TimeoutError(
                f"No batch was ready after {timeout:g} s. Is the disk or network slow, or does a "
                "transform wait for something? Give the loader more time (timeout=0 waits for "
                "ever)."
            )
