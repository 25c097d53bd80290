"""Threads that make batches ahead of time and hand them over in order."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


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
    dropped or is interrupted, waiting parts are given up, those under way are waited for, and the
    threads are gone.

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
    pool = ThreadPoolExecutor(threads, thread_name_prefix="presize-loader")
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(_started(job, pool))
            if len(waiting) > ahead:
                yield _result(waiting.popleft(), timeout)
        while waiting:
            yield _result(waiting.popleft(), timeout)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _started(job: Job[T], pool: ThreadPoolExecutor) -> "Future[T]":
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
        pool.submit(work, k)
    return due


def _result(due: "Future[T]", timeout: float) -> T:
    try:
        return due.result(timeout or None)
    except TimeoutError:
        if due.done():
            raise  # the work itself raised it
        raise TimeoutError(
            f"No batch was ready after {timeout:g} s. Is the disk or network slow, or does a "
            "transform wait for something? Give the loader more time (timeout=0 waits for ever)."
        ) from None
