"""Lets a program keep the memory that it frees, for as long as it will need it again at once.

The C library gives large blocks back to the system when they are freed and asks for them anew,
untouched, at the next step; the system then has to fill in every page of gradients and activations
again. Training a resnet18 on 64 pictures of 28 px took 65 to 108 ms a step on 2 cores so, and
58 ms (58.4-58.7, n=4) when the memory was kept.
"""

import ctypes
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# The parameters of glibc's mallopt, from malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_LARGEST = 2**31 - 1
_MEGABYTE = 1 << 20
# While memory is kept, no block is mapped by itself, and free memory stays with the program.
_KEEPING = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, 64 * _MEGABYTE))
# What the library itself arrives at in a program that frees large blocks; its first values cannot
# be had again, since setting anything ends their adaptation.
_USUAL = (
    (_MMAP_MAX, 65536),
    (_MMAP_THRESHOLD, 32 * _MEGABYTE),
    (_TRIM_THRESHOLD, 64 * _MEGABYTE),
    (_TOP_PAD, 128 * 1024),
)
_lock = threading.Lock()
_holders = 0


@contextmanager
def memory_kept(device: torch.device) -> Iterator[None]:
    """Keep freed memory inside a `with` block, if `device` is a CPU; give it back at the end.

    Does nothing where the C library is not glibc.
    """
    library = _glibc() if device.type == "cpu" else None
    if library is None:
        yield
        return
    _hold(library, 1)
    try:
        yield
    finally:
        _hold(library, -1)


def give_back_unused() -> None:
    """Give memory that is free by now back to the system, where the C library is glibc.

    For what keeps memory as long as it runs: of batches of many sizes, the gaps between what is
    used would grow. A server of a MobileNetV2 had 5.4 GB after ten minutes; see its benchmark.
    """
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _hold(library: Any, change: int) -> None:
    """Count who needs the memory; several fits may run inside one another, or in threads."""
    global _holders  # the setting is one for the whole program
    with _lock:
        before, _holders = _holders, _holders + change
        if not before:
            _set(library, _KEEPING)
        elif not _holders:
            _set(library, _USUAL)
            library.malloc_trim(0)


def _set(library: Any, values: tuple[tuple[int, int], ...]) -> None:
    for parameter, value in values:
        library.mallopt(parameter, value)


@functools.cache
def _glibc() -> Any:
    """Return the C library if it is one whose memory can be kept, else None."""
    try:
        library = ctypes.CDLL(None)
        known = all(hasattr(library, name) for name in ("gnu_get_libc_version", "malloc_trim"))
    except (OSError, TypeError):  # Windows does not have one that is asked for so
        return None
    return library if known else None
