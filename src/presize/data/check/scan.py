"""Reads all pictures once, in threads, with a bar."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from presize.core.errors import ImageError
from presize.core.progress import working
from presize.data.check.entries import Entry
from presize.data.check.facts import Facts, examined, reason
from presize.data.check.looks import CELLS, SIDE, Chromas, Grays, Look
from presize.data.workers import available_cpus

_AT_ONCE = 32  # pictures a task: a task costs 20 us to hand over, a picture takes 300 and more


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found out about each of n entries.

    Args:
        facts: None where the picture cannot be read.
        reasons: why it cannot, by position.
        grays: uint8 [n,32,32], the pictures in small.
        chromas: int8 [n,4,4,2].
    """

    facts: Sequence[Facts | None]
    reasons: dict[int, str]
    grays: Grays
    chromas: Chromas


def scan(entries: Sequence[Entry], *, threads: int | None = None, show: bool = True) -> Scan:
    """Read all pictures.

    Args:
        entries: what to read.
        threads: how many read at a time; by default one per core, 16 at most.
        show: draw a bar where there is a terminal or a notebook for it.
    """
    n = len(entries)
    facts: list[Facts | None] = [None] * n
    reasons: dict[int, str] = {}
    grays = np.zeros((n, SIDE, SIDE), np.uint8)
    chromas = np.zeros((n, CELLS, CELLS, 2), np.int8)
    workers = threads or min(16, available_cpus())
    with (
        working("reading", n, "img", show=None if show else False) as work,
        ThreadPoolExecutor(workers) as pool,
    ):
        starts = range(0, n, _AT_ONCE)
        chunks = (entries[start : start + _AT_ONCE] for start in starts)
        try:
            for start, results in zip(starts, pool.map(_examined, chunks), strict=True):
                for i, result in enumerate(results, start):
                    if isinstance(result, str):
                        reasons[i] = result
                    else:
                        facts[i], look = result
                        grays[i], chromas[i] = look.gray, look.chroma
                work.advance(len(results))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return Scan(facts, reasons, grays, chromas)


def _examined(entries: Sequence[Entry]) -> list[tuple[Facts, Look] | str]:
    """Return for each entry what is known of it, or why it cannot be read."""
    results: list[tuple[Facts, Look] | str] = []
    for entry in entries:
        try:
            results.append(examined(entry))
        except ImageError as error:
            results.append(reason(entry, error))
    return results
