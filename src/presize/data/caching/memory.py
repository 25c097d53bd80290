"""How much memory a program may still take."""

import os
import sys
from pathlib import Path


def available_memory() -> int | None:
    """Return how many bytes this process can still take without others being pushed out.

    On Linux what the kernel estimates (`MemAvailable`) or, if that is less, what the control groups
    of the process, such as those of a container, leave it. None if the system does not say.
    """
    if sys.platform == "win32":
        return _windows()
    found = [_meminfo(Path("/proc/meminfo")), _left_by_groups()]
    known = [n for n in found if n is not None]
    return min(known) if known else _unused_pages()


def _meminfo(file: Path) -> int | None:
    """Return the bytes that a /proc/meminfo gives as available."""
    try:
        for line in file.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _left_by_groups(
    listing: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the bytes that the tightest control group of this process leaves; None without one.

    Args:
        listing: the groups of the process, a line for each hierarchy: `number:names:path`.
        root: where hierarchies are mounted.
    """
    try:
        lines = [line.split(":", 2) for line in listing.read_text().splitlines()]
    except OSError:
        return None
    left: list[int] = []
    for parts in lines:
        if len(parts) != 3:
            continue
        _, names, path = parts
        if names == "":  # version 2: one hierarchy
            left += _left(root, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in names.split(","):
            left += _left(
                root / "memory",
                path,
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
    return min(left) if left else None


def _left(root: Path, path: str, limit: str, usage: str, reclaimable: str) -> list[int]:
    """Return what a group and those around it leave.

    In a container, whose view begins at its own group, the path may name folders that are not
    there; the group is then the root itself.
    """
    found: list[int] = []
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        try:
            most, used = int((group / limit).read_text()), int((group / usage).read_text())
        except (OSError, ValueError):  # no limit at this level: "max"
            pass
        else:
            # Files that were read and not lately used count as used, but are given up first.
            found.append(max(0, most - used + _statistic(group / "memory.stat", reclaimable)))
        if group == root:
            break
    return found


def _statistic(file: Path, name: str) -> int:
    try:
        pairs = (line.split() for line in file.read_text().splitlines())
        return next(int(pair[1]) for pair in pairs if pair[0] == name)
    except (OSError, ValueError, IndexError, StopIteration):
        return 0


def _unused_pages() -> int | None:
    """Return the bytes in pages that nobody uses; macOS tells only how many there are."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        if "SC_AVPHYS_PAGES" in os.sysconf_names:
            return page * os.sysconf("SC_AVPHYS_PAGES")
        return page * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError):
        return None


def _windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "a", "b", "c", "d", "e")),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009  # unknown to mypy elsewhere
    known = kernel.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.available) if known else None
