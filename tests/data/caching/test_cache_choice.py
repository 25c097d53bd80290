import os
import shutil
import warnings
from types import SimpleNamespace

import pytest

from presize.core.paths import cache_dir
from presize.data.caching import cache_choice as module
from presize.data.caching.cache_choice import cache_for
from presize.data.caching.disk_cache import DiskCache
from presize.data.caching.ram_cache import RamCache

GB = 10**9


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with 16 GB of memory and a disk of 100 GB, half of it free."""
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "available_memory", lambda: 16 * GB)
    usage = SimpleNamespace(total=100 * GB, used=50 * GB, free=50 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    return usage


def chosen(mode, pictures=1000, each=600_000, **options):
    asked = []

    def bytes_each():
        asked.append(True)
        return each

    made = cache_for(mode, pictures=pictures, bytes_each=bytes_each, **options)
    assert len(asked) <= 1
    return made


def off(mode, **options):
    """Return the line of a cache that is off, which was also a warning if `mode` asked for it."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        cache = chosen(mode, **options)
    assert not cache.on
    line = str(cache.info())
    assert [str(o.message) for o in told] == ([] if mode == "auto" else [line])
    assert "\n" not in line
    return line


def test_no_cache_is_none_and_asks_nothing():
    assert cache_for(False, pictures=10, bytes_each=lambda: 1 / 0) is None


def test_auto_keeps_pictures_in_memory():
    for mode in ("auto", "ram"):
        cache = chosen(mode)
        assert isinstance(cache, RamCache)
        assert cache.limit == 4 * GB


def test_auto_keeps_them_in_a_folder_if_one_is_named(tmp_path):
    cache = chosen("auto", folder=tmp_path / "kept")
    assert isinstance(cache, DiskCache)
    assert cache.folder == tmp_path / "kept"
    assert chosen("auto", folder=str(tmp_path / "kept")).folder == tmp_path / "kept"


def test_a_disk_cache_is_in_the_folder_for_what_presize_keeps():
    cache = chosen("disk")
    assert isinstance(cache, DiskCache)
    assert cache.folder == cache_dir() / "pictures"
    assert (cache.limit, cache.spare) == (20 * GB, 10 * GB)


def test_no_pictures_fit_everywhere_and_are_not_looked_at():
    assert cache_for("ram", pictures=0, bytes_each=lambda: 1 / 0).on


def test_too_many_pictures_for_the_bound_that_was_set():
    line = off("ram", pictures=100_000, gigabytes=4)
    assert line == (
        "The cache is off: 100,000 pictures of about 600 kB need 60 GB, and cache_gb is 4. Use "
        'cache_gb=63 if there is room, a disk, cache="disk", or a smaller presize.'
    )
    assert off("auto", pictures=100_000, gigabytes=4) == line


def test_too_many_pictures_for_the_memory(monkeypatch):
    assert "and a quarter of the memory available is 4 GB." in off("ram", pictures=100_000)
    assert "and only 16 GB of memory are available." in off("ram", pictures=10**5, gigabytes=99)
    monkeypatch.setattr(module, "available_memory", lambda: 99 * GB)
    assert "and by itself it takes at most 8 GB of memory." in off("ram", pictures=100_000)
    monkeypatch.setattr(module, "available_memory", lambda: None)
    assert "and by itself it takes at most 2 GB." in off("ram", pictures=100_000)
    assert chosen("ram", pictures=100_000, gigabytes=99).limit == 99 * GB


def test_too_many_pictures_for_the_disk(machine):
    line = off("disk", pictures=100_000)
    assert line == (
        "The cache is off: 100,000 pictures of about 600 kB need 60 GB, and by itself it takes at "
        "most 20 GB of disk. Use cache_gb=63 if there is room, another disk, cache_dir=, or a "
        "smaller presize."
    )
    assert "and cache_gb is 5." in off("disk", pictures=10_000, gigabytes=5)
    assert "has only 49 GB to spare." in off("disk", pictures=100_000, gigabytes=70)
    machine.free = 12 * GB
    assert "stays free, which leaves 2 GB." in off("disk", pictures=10_000)
    assert chosen("disk", pictures=10_000, gigabytes=8).limit == 8 * GB
    machine.free = 5 * GB
    assert "stays free, which leaves 0 bytes." in off("disk")


def test_what_the_folder_holds_makes_room(machine, tmp_path, monkeypatch):
    found = SimpleNamespace(name="a", size=30 * GB, used=0.0, whole=True)
    monkeypatch.setattr(module, "shards_in", lambda folder: [found])
    machine.free = 0
    assert chosen("disk", pictures=10_000).limit == 20 * GB


def test_a_folder_that_cannot_be_made_turns_it_off(tmp_path):
    (tmp_path / "file").write_text("")
    line = off("disk", folder=tmp_path / "file" / "below")
    assert line.startswith(f"The cache is off: the folder {tmp_path / 'file' / 'below'} cannot be")
    assert line.endswith("Name another: cache_dir=.")


def test_a_folder_for_memory_is_not_used_and_that_is_said(tmp_path):
    with pytest.warns(UserWarning, match='cache_dir is not used by cache="ram"'):
        assert isinstance(chosen("ram", folder=tmp_path), RamCache)


@pytest.mark.parametrize("mode", [True, None, 1, 0, "memory", ""])
def test_an_unknown_mode_is_refused(mode):
    with pytest.raises(ValueError, match='cache is "auto", "ram", "disk" or False, but got'):
        chosen(mode)


@pytest.mark.parametrize("gigabytes", [0, -1, float("nan"), float("inf")])
def test_a_bound_that_is_none_is_refused(gigabytes):
    with pytest.raises(ValueError, match="cache_gb is the most that the cache may take, in GB"):
        chosen("ram", gigabytes=gigabytes)


def test_a_bound_may_be_a_part_of_a_gigabyte():
    assert chosen("ram", pictures=10, gigabytes=0.5).limit == GB // 2
    assert "Use cache_gb=0.7 if" in off("ram", pictures=1000, gigabytes=0.5)


def test_the_home_of_the_user_may_be_written_short(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME" if os.name != "nt" else "USERPROFILE", str(tmp_path))
    assert chosen("disk", folder="~/kept").folder == tmp_path / "kept"
