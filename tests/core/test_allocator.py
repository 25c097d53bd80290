"""Memory that is kept is memory that the next step need not ask for."""

import resource
import subprocess
import sys
import textwrap

import pytest
import torch

from presize.core import allocator
from presize.core.allocator import memory_kept

CPU = torch.device("cpu")
needs_glibc = pytest.mark.skipif(allocator._glibc() is None, reason="the C library is not glibc")

FAULTS = """
import resource, torch
from presize.core.allocator import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(16 << 20)  # 64 MB, above what the C library ever keeps of itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
usual = faults()
with memory_kept(torch.device("cpu")):
    faults()
    kept = faults()
    inside = int(open("/proc/self/statm").read().split()[1])
after = int(open("/proc/self/statm").read().split()[1])
print(usual, kept, inside, after)
"""


@needs_glibc
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pages_are_not_asked_for_again_and_go_back_at_the_end():
    script = textwrap.dedent(FAULTS)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    usual, kept, inside, after = map(int, done.stdout.split())
    page = resource.getpagesize()
    assert kept < usual / 10
    assert (inside - after) * page > 32 << 20


class Library:
    def __init__(self):
        self.calls = []

    def mallopt(self, parameter, value):
        self.calls.append((parameter, value))

    def malloc_trim(self, pad):
        self.calls.append("trim")


def test_only_the_outermost_sets_and_gives_back(monkeypatch):
    library = Library()
    monkeypatch.setattr(allocator, "_glibc", lambda: library)
    with memory_kept(CPU):
        begun = list(library.calls)
        with memory_kept(CPU):
            pass
        assert library.calls == begun
    assert begun == list(allocator._KEEPING)
    assert library.calls == [*allocator._KEEPING, *allocator._USUAL, "trim"]


def test_an_error_gives_back_as_well(monkeypatch):
    library = Library()
    monkeypatch.setattr(allocator, "_glibc", lambda: library)
    with pytest.raises(KeyError), memory_kept(CPU):
        raise KeyError
    assert library.calls[-1] == "trim"


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_for_other_devices_nothing_is_set(monkeypatch, device):
    library = Library()
    monkeypatch.setattr(allocator, "_glibc", lambda: library)
    with memory_kept(torch.device(device)):
        pass
    assert library.calls == []
