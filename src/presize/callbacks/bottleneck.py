"""The verdict after a fit: how much of the time the model waited for data, and what would help."""

import math
from typing import TYPE_CHECKING, Any

from presize.callbacks.progress import ProgressCallback
from presize.data.flow import Flow
from presize.data.loader import DataLoader
from presize.data.picturesource import PictureSource
from presize.data.workers import available_cpus

if TYPE_CHECKING:
    from presize.learner import Learner

# A fit that is over in a moment, or that waits now and then, is nothing to speak of.
_LEAST_SECONDS = 5.0
_MUCH = 0.25
# Where so many of the pictures were not in the cache, it was being filled.
_FILLING = 0.1
_SCALES = (8, 4, 2, 1)


class Waiting:
    """Adds up how long the training passes of a fit waited for data."""

    def __init__(self) -> None:
        self._passes: list[tuple[float, float, int]] = []
        self._filling: list[bool] = []
        self._flow: Flow | None = None
        self._misses = 0

    def begin(self, dl: Any) -> None:
        """Look at the cache before a pass."""
        self._misses = _misses(dl)

    def add(self, dl: Any) -> None:
        """Add the pass that has just ended; of loaders that are not ours nothing is known."""
        if not isinstance(dl, DataLoader) or not dl.flow.batches:
            return
        flow = self._flow = dl.flow
        # Threads and processes start only once, and take their time for it.
        start = 0.0 if self._passes else flow.first
        self._passes.append((flow.seconds - start, flow.waited - start, flow.samples))
        self._filling.append(_misses(dl) - self._misses > _FILLING * flow.samples)

    @property
    def share(self) -> float | None:
        """The part of the passes that went by waiting, 0..1; None where nothing is known."""
        seconds = sum(one[0] for one in self._passes)
        return sum(one[1] for one in self._passes) / seconds if seconds > 0 else None

    def verdict(self, dl: Any) -> str | None:
        """Return one line if the model waited for much of the fit; else None.

        Args:
            dl: the training loader.
        """
        if self._flow is None or not isinstance(dl, DataLoader):
            return None
        if dl.device is not None and dl.device.type not in ("cpu", "cuda"):
            return None  # the program waits while such a device still computes
        filled = not all(self._filling)
        counted = [
            one
            for one, filling in zip(self._passes, self._filling, strict=True)
            if not (filled and filling)
        ]
        seconds, waited, samples = map(sum, zip(*counted, strict=True))
        if seconds < _LEAST_SECONDS or waited < _MUCH * seconds:
            return None
        source = PictureSource.of(dl)
        return (
            f"The model waited {math.floor(100 * waited / seconds)} % of the time for data: "
            f"{_who(dl)} gave {_rate(samples / seconds)} "
            f"{'samples' if self._flow.size is None else 'pictures'}/s. "
            + ("" if filled else "Later epochs find pictures in the cache. ")
            + _tried(_ways(dl, source, self._flow))
        )


def tell(learn: "Learner", text: str) -> None:
    """Print a line where the table of the fit is printed; nothing where logging is off."""
    owner = getattr(learn.logger, "__self__", None)
    if learn.logger is print or isinstance(owner, ProgressCallback):
        print(text)
    else:
        learn.logger([text])


def _ways(dl: DataLoader, source: PictureSource | None, flow: Flow) -> list[str]:
    """Return what could help, the most helpful first: only what is not done already."""
    cores, ways = available_cpus(), []
    if source is not None and dl.cache is None:
        ways.append('cache="ram"')
    elif source is not None and dl.cache is not None and not dl.cache.on:
        ways.append("a cache (`dls.cache_info()` says why it is off)")
    presize = None if source is None else _too_large(dl, source, flow)
    if presize is not None:
        ways.append(f"a smaller presize than {presize}")
    if dl.num_workers == 0:
        ways.append(f"num_workers={cores}")
    elif dl.num_workers < cores:
        ways.append(f"more workers (this machine has {cores} cores)")
    if source is None and not dl.processes and dl.num_workers > 1:
        ways.append("processes=True if a transform is slow Python")
    return ways


def _tried(ways: list[str]) -> str:
    if not ways:
        return "All cores of this machine are at work on it."
    *others, last = ways
    return f"Try {', '.join(others)}{' or ' if others else ''}{last}."


def _too_large(dl: DataLoader, source: PictureSource, flow: Flow) -> int | None:
    """Return the presize if pictures would be made faster with a smaller one; else None."""
    presize = min(source.size)
    if flow.size is None or presize <= max(flow.size):
        return None
    if dl.device is not None and dl.device.type != "cpu":
        return presize  # all of its pixels are made, and cross to the device
    # On the CPU pixels are made at the final size at once; it is the decoder that may do less.
    try:
        finest = source.crops[0].finest(source.picture(0).full)
    except Exception:  # a picture that cannot be read, which is not the matter here
        return None
    less = finest * presize / max(flow.size)
    return presize if _scale(less) > _scale(finest) else None


def _scale(finest: float) -> int:
    return next(times for times in _SCALES if times <= finest or times == 1)


def _misses(dl: Any) -> int:
    cache = getattr(dl, "cache", None)
    return 0 if cache is None else int(cache.info().misses)


def _who(dl: DataLoader) -> str:
    if dl.num_workers == 0:
        return "the program itself, without workers,"
    kind = "process" if dl.processes else "thread"
    plural = "es" if dl.processes else "s"
    return f"{dl.num_workers} {kind}{plural if dl.num_workers > 1 else ''}"


def _rate(value: float) -> str:
    """Return a number a second with about two digits that mean something."""
    return f"{value:.1f}" if value < 10 else f"{float(f'{value:.3g}'):,.0f}"
