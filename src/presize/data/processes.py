"""Workers that are processes, for transforms in pure Python, which threads would take turns in.

    thread 1 -- which samples --> process 1        The threads keep batches in order as ever; each
    thread 1 <-- the samples ---- process 1        lets a process of its own do the work.

The processes start with the first pass (2 to 4 s: each imports PyTorch), and serve all loaders of
the program that want processes, until the last of them is gone. They share nothing with the
program: each has a pipe to it, and ends when that is closed, as it is when the program is killed.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import torch

from presize.core.errors import DataError
from presize.core.randomness import Samples
from presize.data.blame import described
from presize.data.parcels import Parcel, as_bytes, from_bytes, packed, unpacked
from presize.data.samples import Entry
from presize.data.workers import given_up

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

# A process keeps so many loaders: training, validation, and two more.
_KEPT = 4
# How long a process may go on with work that nobody wants any more, and then take to end.
_GRACE = 0.5
_LOOK = 0.1
# The exit code of a process that was about to start processes while it imported the script.
_UNGUARDED = 83
_UNGUARDED_TEXT = (
    "Each worker process imports this script again, and at its top level the script starts worker "
    "processes: that would go on without end. Put what the script does under\n\n"
    '    if __name__ == "__main__":\n\n'
    "or leave out processes=True: threads need no such guard."
)


class FromWorker(Exception):
    """Where in a worker process an error was raised: the text of its traceback."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Remote:
    """The way of one pass to have its samples made by worker processes.

    Args:
        loader: gives the data and the transforms, as they are now.

    Raises:
        DataError: something cannot be sent to a process.
    """

    def __init__(self, loader: "DataLoader") -> None:
        _refuse_while_starting()
        assert loader.pool is not None
        self.loader, self.pool = loader, loader.pool
        self.parcel = packed(loader)

    def some(self, samples: Samples, places: range, chunk: list[Entry]) -> list[Any]:
        """Return the samples at some places of a batch; None for one that is left out."""
        entries = {i: chunk[i] for i in places}
        key = samples.seed, samples.epoch, samples.indices
        made, bad, error = self.pool.ask(self.parcel, (key, entries))
        if bad and self.loader.quarantine is not None:
            self.loader.quarantine.add(self.loader, bad)
        if error is not None:
            problem, text = error
            raise problem from FromWorker(text)
        return list(made)


class ProcessPool:
    """Worker processes: each does one thing at a time, and as many start as are asked at once."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._all)

    def ask(self, parcel: Parcel, request: Any) -> Any:
        """Return what a process answers.

        Raises:
            DataError: the process ended, or did not start.
        """
        with self._lock:
            child = self._idle.pop() if self._idle else None
        if child is None:
            child = _Child()
            self._all.add(child)
        try:
            answer = child.ask(parcel, request)
        except BaseException:
            self._all.discard(child)
            _end({child})
            raise
        with self._lock:
            self._idle.append(child)
        return answer

    def close(self) -> None:
        """End the processes; others start when there is work again."""
        with self._lock:
            self._idle.clear()
            _end(self._all)

    def __reduce__(self) -> tuple[Any, ...]:
        return shared_pool, ()  # a copy of a loader uses the same processes


_shared: "list[weakref.ref[ProcessPool]]" = []


def shared_pool() -> ProcessPool:
    """Return the pool of the loaders that there are; it ends when the last of them is gone."""
    pool = _shared[0]() if _shared else None
    if pool is None:
        pool = ProcessPool()
        _shared[:] = [weakref.ref(pool)]
    return pool


def _end(children: "set[_Child]") -> None:
    """End processes, all at once: by closing their pipes; those that are at work by a signal."""
    ending = list(children)
    children.clear()
    for child in ending:
        child.connection.close()
    for stronger in (None, BaseProcess.terminate, BaseProcess.kill):
        alive = [child.process for child in ending if child.process.exitcode is None]
        end = time.monotonic() + _GRACE
        for process in alive:
            if stronger is not None:
                stronger(process)
        for process in alive:
            process.join(max(0.0, end - time.monotonic()))


class _Child:
    """One worker process, as its parent sees it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs,), name="presize-worker", daemon=True
        )
        with _interrupts_held_back():
            self.process.start()
        theirs.close()
        self._kept: list[str] = []

    def ask(self, parcel: Parcel, request: Any) -> Any:
        """Return the answer to a request about the loader in `parcel`."""
        known = parcel.digest in self._kept
        self._kept = [*(d for d in self._kept if d != parcel.digest), parcel.digest][-_KEPT:]
        try:
            self.connection.send_bytes(
                as_bytes((parcel.digest, None if known else parcel.content, *request))
            )
            looks = 0
            while not self.connection.poll(_LOOK):
                if given_up():
                    looks += 1
                    if looks * _LOOK > _GRACE:
                        self.process.terminate()
            answer = from_bytes(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join(_GRACE)
            raise DataError(_how_it_ended(self.process.exitcode)) from None
        if answer[2] is not None:
            self._kept.remove(parcel.digest)  # it may have failed to arrive
        return answer


def _how_it_ended(code: int | None) -> str:
    if code == _UNGUARDED:
        return _UNGUARDED_TEXT
    if code is not None and code < 0:
        return f"A worker process was ended by signal {-code}" + (
            ", perhaps because memory ran out: each has a copy of the data set's items. Fewer "
            "num_workers need less."
            if code == -9
            else "."
        )
    return (
        f"A worker process ended by itself (exit code {code}); what it said stands in the output "
        "of the program. It imports the script or module that was started, and then makes samples."
    )


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a process start that takes no notice of Ctrl-C: its parent decides what becomes of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _refuse_while_starting() -> None:
    """End a worker process that is about to start others, since the script has no guard."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(_UNGUARDED)


# ---- in the worker process -------------------------------------------------------------------


def serve(connection: Connection) -> None:
    """Make samples as asked, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)  # there is a process for each core
    loaders: dict[str, Any] = {}
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            digest, content, key, entries = from_bytes(connection.recv_bytes())
            connection.send_bytes(_answer(loaders, digest, content, key, entries))


def _end_with_parent() -> None:
    """End at once where the parent is killed, also in the middle of a long transform."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answer(
    loaders: dict[str, Any], digest: str, content: bytes | None, key: Any, entries: dict[int, Entry]
) -> bytes:
    """Return, as bytes: the samples, the bad pictures met, and the error with its traceback."""
    route = loaders.pop(digest, None)
    try:
        if content is not None:
            route = _route(content)
        made = route.here(Samples(*key), list(entries), entries)
        answer = _as_answer(made, _bad(route))
    except Exception as error:
        return as_bytes((None, _bad(route), _portable(error)))
    loaders[digest] = route  # the one that was used last stands last
    while len(loaders) > _KEPT:
        loaders.pop(next(iter(loaders)))
    return answer


def _as_answer(made: list[Any], bad: list[Any]) -> bytes:
    try:
        return as_bytes((made, bad, None))
    except Exception as error:
        raise DataError(
            f"A sample, {described(made[0])}, cannot be sent back by a worker process: {error}. "
            "Let the transforms make tensors, arrays, numbers and texts of it; or leave out "
            "processes=True."
        ) from error


def _route(content: bytes) -> Any:
    from presize.data.collated import CollatedRoute
    from presize.data.streams import DeviceStream

    route = CollatedRoute(unpacked(content), DeviceStream(None))
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    return route


def _bad(route: Any) -> list[Any]:
    """Return the bad pictures that were met since the last time."""
    quarantine = None if route is None else route.loader.quarantine
    return [] if quarantine is None else quarantine.taken()


def _portable(error: Exception) -> tuple[Exception, str]:
    """Return an error that another process can raise, and the text of its traceback."""
    text = "".join(traceback.format_exception(error))
    try:
        from_bytes(as_bytes(error))
    except Exception:
        error = DataError(f"{type(error).__name__}: {error}")
    return error, text
