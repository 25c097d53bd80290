import sys

import pytest

from presize.data.caching import memory as module
from presize.data.caching.memory import available_memory


def test_there_is_some_memory():
    assert available_memory() > 10_000_000


def test_what_the_kernel_estimates(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:   3000 kB\n")
    assert module._meminfo(file) == 3000 * 1024
    file.write_text("MemTotal:  9000 kB\n")
    assert module._meminfo(file) is None
    assert module._meminfo(tmp_path / "none") is None


def group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")


@pytest.fixture
def listing(tmp_path):
    return tmp_path / "listing"


def test_the_tightest_control_group_decides(tmp_path, listing):
    root = tmp_path / "cgroup"
    listing.write_text("0::/job/step\n")
    group(root / "job", {"memory.max": 5000, "memory.current": 1000})
    group(root / "job/step", {"memory.max": "max", "memory.current": 900})
    assert module._left_by_groups(listing, root) == 4000
    group(root / "job/step", {"memory.max": 2000, "memory.stat": "anon 5\ninactive_file 300"})
    assert module._left_by_groups(listing, root) == 2000 - 900 + 300


def test_a_container_sees_its_group_as_the_root(tmp_path, listing):
    root = tmp_path / "cgroup"
    listing.write_text("0::/../elsewhere\n")
    group(root, {"memory.max": 5000, "memory.current": 6000})
    assert module._left_by_groups(listing, root) == 0


def test_groups_of_version_1(tmp_path, listing):
    root = tmp_path / "cgroup"
    listing.write_text("11:cpu,cpuacct:/a\n4:memory:/a\nnonsense\n")
    group(
        root / "memory/a",
        {
            "memory.limit_in_bytes": 5000,
            "memory.usage_in_bytes": 3000,
            "memory.stat": "inactive_file 7\ntotal_inactive_file 500",
        },
    )
    assert module._left_by_groups(listing, root) == 2500


def test_without_groups_nothing_is_known(tmp_path, listing):
    assert module._left_by_groups(listing, tmp_path) is None
    listing.write_text("0::/\n")
    assert module._left_by_groups(listing, tmp_path) is None


def test_the_less_of_both_is_taken(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "_meminfo", lambda file: 3000)
    monkeypatch.setattr(module, "_left_by_groups", lambda: 2000)
    assert available_memory() == 2000
    monkeypatch.setattr(module, "_left_by_groups", lambda: None)
    assert available_memory() == 3000


@pytest.mark.skipif(sys.platform == "win32", reason="it has no sysconf")
def test_elsewhere_pages_are_counted():
    assert module._unused_pages() > 10_000_000
