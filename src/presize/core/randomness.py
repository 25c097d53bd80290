"""Counted randomness: every draw is a pure function of (seed, epoch, sample, operation).

A stream of random numbers depends on who drew before; a counter does not. So a batch is the same
for any number of workers, a run that was killed resumes with the same draws, and two processes
never share one. The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3", SC 2011), evaluated for all samples of a batch at once.
"""

import random
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import numpy.typing as npt
import torch

from presize.core.determinism import set_deterministic

UintArray = npt.NDArray[np.uint32]
FloatArray = npt.NDArray[np.float64]
Indices = Sequence[int] | npt.NDArray[np.int64] | int

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_TO_UNIT = 2.0**-32


def philox(counter: UintArray, key: tuple[int, int]) -> UintArray:
    """Return the Philox4x32-10 block of each `counter` ([n,4] uint32) under a 64-bit `key`."""
    c0, c1, c2, c3 = (counter[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


class _Counted:
    """The random bits of one operation for some samples, block after block, kept once made."""

    def __init__(self, seed: int, epoch: int, indices: npt.NDArray[np.int64], op: str) -> None:
        self._key = (seed & 0xFFFFFFFF, ((seed >> 32) ^ zlib.crc32(op.encode())) & 0xFFFFFFFF)
        self._counter = np.zeros((len(indices), 4), dtype=np.uint32)
        self._counter[:, 0] = indices & 0xFFFFFFFF
        self._counter[:, 1] = (indices >> 32) & 0xFFFFFFFF
        self._counter[:, 2] = epoch & 0xFFFFFFFF
        self._blocks: dict[int, UintArray] = {}

    def block(self, number: int) -> UintArray:
        """Return four words of each sample: uint32 [n,4]."""
        made = self._blocks.get(number)
        if made is None:
            # Threads may both get here; they make the same block.
            counter = self._counter.copy()
            counter[:, 3] = number
            made = self._blocks[number] = philox(counter, self._key)
        return made


class Draws:
    """The draws of one operation for `n` samples; each call takes the next lane of the counter.

    Two calls on one object give different numbers, and the same two calls on an object with the
    same key give the same numbers again.
    """

    def __init__(self, seed: int, epoch: int, indices: npt.NDArray[np.int64], op: str) -> None:
        self._view(_Counted(seed, epoch, indices, op), slice(None), len(indices))

    @classmethod
    def some(cls, counted: _Counted, rows: slice, n: int) -> "Draws":
        """Return the draws of `n` of the samples that are counted together."""
        made = cls.__new__(cls)
        made._view(counted, rows, n)
        return made

    def _view(self, counted: _Counted, rows: slice, n: int) -> None:
        self.n, self._counted, self._rows, self._lane = n, counted, rows, 0

    def words(self) -> UintArray:
        """Return the next 32 random bits of each sample: uint32 [n]."""
        block, lane = divmod(self._lane, 4)
        self._lane += 1
        return self._counted.block(block)[self._rows, lane]

    def uniform(self, low: float = 0.0, high: float = 1.0) -> FloatArray:
        """Return float64 [n], uniform in [low, high)."""
        unit: FloatArray = self.words().astype(np.float64) * _TO_UNIT
        return low + (high - low) * unit

    def bernoulli(self, p: float) -> npt.NDArray[np.bool_]:
        """Return bool [n], True with probability `p`."""
        return self.uniform() < p

    def integers(self, high: int) -> npt.NDArray[np.int64]:
        """Return int64 [n], uniform in 0..high-1."""
        return np.minimum((self.uniform() * high).astype(np.int64), high - 1)

    def normal(self) -> FloatArray:
        """Return float64 [n] from the standard normal distribution (Box and Muller, 1958)."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform()))
        return np.asarray(radius * np.cos(2 * np.pi * self.uniform()))


class _Loose:
    """The counter of draws by hand, outside a loader."""

    def __init__(self) -> None:
        self.seed, self.count = 0, 0
        self._lock = threading.Lock()

    def restart(self, seed: int) -> None:
        with self._lock:
            self.seed, self.count = seed, 0

    def next(self) -> int:
        with self._lock:
            self.count += 1
            return self.count


class Samples:
    """Some samples of one epoch, which draws are keyed by.

    What an operation draws is worked out for all of them when the first one asks: 64 samples cost
    little more than one (0.15 ms for ten rounds of NumPy).
    """

    def __init__(self, seed: int, epoch: int, indices: Indices) -> None:
        self.seed, self.epoch = seed, epoch
        self.indices = np.atleast_1d(np.asarray(indices, dtype=np.int64))
        self._counted: dict[str, _Counted] = {}

    def draws(self, op: str, rows: slice) -> Draws:
        """Return the draws of `op` for the samples in `rows`."""
        counted = self._counted.get(op)
        if counted is None:
            counted = _Counted(self.seed, self.epoch, self.indices, op)
            counted = self._counted.setdefault(op, counted)
        start, stop, _ = rows.indices(len(self.indices))
        return Draws.some(counted, rows, stop - start)

    @contextmanager
    def context(self, i: int | None = None) -> Iterator[None]:
        """Key all draws inside by these samples, or by the one at position `i`."""
        before = _context.samples, _context.rows
        _context.samples = self
        _context.rows = slice(None) if i is None else slice(i, i + 1)
        try:
            yield
        finally:
            _context.samples, _context.rows = before


class _Context(threading.local):
    """Which samples the current thread is working on; None outside a loader."""

    samples: Samples | None = None
    rows: slice = slice(None)


_context = _Context()
_loose = _Loose()


def sample_context(seed: int, epoch: int, indices: Indices) -> AbstractContextManager[None]:
    """Key all draws inside by these samples: one index for an item, several for a batch."""
    return Samples(seed, epoch, indices).context()


@contextmanager
def loose_context() -> Iterator[None]:
    """Give a call by hand one context of its own, so that a picture and its mask agree.

    Inside a loader, where the samples are known, this changes nothing.
    """
    if _context.samples is not None:
        yield
        return
    with sample_context(_loose.seed, _loose.next(), 0):
        yield


def loose_place() -> tuple[int, int]:
    """Return the seed and the count of the draws by hand, for a checkpoint."""
    return _loose.seed, _loose.count


def set_loose_place(seed: int, count: int) -> None:
    """Let draws by hand go on from where `loose_place` saw them."""
    _loose.restart(seed)
    _loose.count = count


def draws(op: str, n: int = 1) -> Draws:
    """Return the draws of operation `op` for the current samples, or for `n` loose ones.

    Outside a loader (a call by hand in a notebook) each call takes fresh numbers, counted from
    the last `set_seed`. Inside, the samples come from the context; when their count is not the
    `n` that is asked for, as for a batch made of one repeated item, rows are counted on from the
    first sample.
    """
    samples = _context.samples
    if samples is None:
        return Draws(_loose.seed, _loose.next(), np.arange(n, dtype=np.int64), op)
    made = samples.draws(op, _context.rows)
    if made.n == n:
        return made
    first = samples.indices[_context.rows][0]
    indices = (np.int64(1) << 40) + first * 4096 + np.arange(n, dtype=np.int64)
    return Draws(samples.seed, samples.epoch, indices, op)


def shuffled(n: int, *, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return a permutation of 0..n-1 that depends on (seed, epoch) alone."""
    order = Draws(seed, epoch, np.arange(n, dtype=np.int64), "shuffle")
    keys = order.words().astype(np.uint64) << _SHIFT | order.words()
    return np.argsort(keys, kind="stable").astype(np.int64)


def set_seed(seed: int, *, deterministic: bool | None = None) -> None:
    """Seed presize, PyTorch, NumPy and `random`.

    The same seed gives the same batches on any machine and for any number of workers. With
    `deterministic=True` two runs on the same device and the same number of threads are equal to
    the bit.

    Args:
        seed: any integer.
        deterministic: True makes PyTorch use deterministic algorithms only: slower on a GPU, and
            an operation that has none there raises, with its name. False puts back what was set
            before. None leaves it as it is.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - users' own code draws from the global one
    torch.manual_seed(seed)
    _loose.restart(seed)
    if deterministic is not None:
        set_deterministic(deterministic)


def default_seed() -> int:
    """Return the seed that a loader takes when the user gave none: PyTorch's initial one."""
    return torch.initial_seed() & 0x7FFFFFFFFFFFFFFF
