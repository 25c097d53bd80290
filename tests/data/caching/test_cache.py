import os
import pickle
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from presize.data.caching import cache as module
from presize.data.caching.cache import CacheInfo, NoCache, picture_key
from presize.data.caching.disk_cache import DiskCache
from presize.data.caching.ram_cache import RamCache
from presize.data.reading import Decoded, read_pixels


def picture(value=7, size=(4, 6, 3)):
    return Decoded(np.full(size, value, np.uint8), size[:2])


def key_of(path, parameters="460"):
    """Return the key of a file once the clock has ticked after its last change."""
    while (key := picture_key(path, parameters)) is None:
        time.sleep(0.005)
    return key


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"pixels")
    return path


def test_the_key_of_an_unchanged_file_stays(file):
    key = key_of(file)
    assert len(key) == 32
    assert key == key_of(file) == key_of(str(file))
    assert file.read_bytes()
    assert key == key_of(file)


def test_a_relative_path_has_the_key_of_the_absolute_one(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert key_of("cat.jpg") == key_of(Path("cat.jpg")) == key_of(file)


def test_another_size_has_another_key(file):
    assert key_of(file, "460") != key_of(file, "224")


def test_the_same_file_under_another_name_has_another_key(file):
    other = file.with_name("dog.jpg")
    os.link(file, other)
    assert key_of(other) != key_of(file)


def test_a_touched_file_has_another_key(file):
    before = key_of(file)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert key_of(file) != before


def test_a_file_replaced_by_one_of_the_same_length_and_time_has_another_key(file):
    before, stat = key_of(file), file.stat()
    other = file.with_name("new")
    other.write_bytes(b"PIXELS")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    assert file.stat().st_size == stat.st_size
    assert key_of(file) != before


@pytest.mark.skipif(os.name == "nt", reason="an inode has no time of its own there")
def test_a_file_changed_in_place_whose_time_is_set_back_has_another_key(file):
    before, stat = key_of(file), file.stat()
    with file.open("r+b") as opened:
        opened.write(b"PIXELS")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = file.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        stat.st_ino, stat.st_size, stat.st_mtime_ns
    )  # fmt: skip
    assert key_of(file) != before


@pytest.mark.parametrize("what", [0, None, 3.5, object()])
def test_what_is_no_path_has_no_key(what):
    assert picture_key(what, "") is None


def test_a_missing_file_has_no_key(tmp_path):
    assert picture_key(tmp_path / "none.jpg", "") is None
    assert picture_key("no\0path", "") is None


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_text_has_a_key(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff.jpg")  # noqa: PTH118
    with open(path, "wb") as opened:  # noqa: PTH123
        opened.write(b"pixels")
    assert key_of(os.fsdecode(path))


@pytest.mark.parametrize(
    ("changed", "age", "has_key"),
    [
        (1_000_000_000_000_000_001, 19_000_000, False),
        (1_000_000_000_000_000_001, 21_000_000, True),
        (1_000_000_000_000_000_001, -19_000_000, False),
        (1_000_000_000_000_000_001, -3600 * 10**9, True),
        (1_000_000_000_000_000_000, 2_400_000_000, False),
        (1_000_000_000_000_000_000, 2_600_000_000, True),
    ],
)
def test_a_file_changed_within_the_tick_of_the_clock_has_no_key(changed, age, has_key, monkeypatch):
    stat = SimpleNamespace(st_size=1, st_ino=1, st_mtime_ns=changed, st_ctime_ns=changed)
    monkeypatch.setattr(module.os, "stat", lambda path: stat)
    monkeypatch.setattr(module.time, "time_ns", lambda: changed + age)
    assert (picture_key("/cat.jpg", "") is not None) == has_key


def test_each_part_of_the_identity_counts(monkeypatch):
    parts = {"st_size": 1, "st_ino": 2, "st_mtime_ns": 3, "st_ctime_ns": 3}
    others = [{}, {"st_size": 9}, {"st_ino": 9}, {"st_mtime_ns": 9, "st_ctime_ns": 9}]
    keys = set()
    for other in others:
        stat = SimpleNamespace(**(parts | other))
        monkeypatch.setattr(module.os, "stat", lambda path, stat=stat: stat)
        keys |= {picture_key("/cat.jpg", "460"), picture_key("/cat.jpg", "224")}
    assert len(keys) == 8


def test_reading_through_a_cache_makes_a_picture_once(file):
    cache, made = RamCache(10_000), []
    key_of(file)

    def make():
        made.append(file)
        return picture()

    for _ in range(3):
        assert (cache.read(file, "460", make).pixels == 7).all()
    assert len(made) == 1
    cache.read(file, "224", make)
    assert len(made) == 2


def test_reading_through_a_cache_does_not_keep_a_file_that_changed_meanwhile(file):
    cache = RamCache(10_000)
    key = key_of(file)

    def make():
        file.write_bytes(b"another")
        return picture()

    assert (cache.read(file, "460", make).pixels == 7).all()
    assert cache.get(key) is None
    assert cache.info().pictures == 0


@pytest.mark.parametrize("where", ["ram", "disk"])
def test_real_pictures_come_back_as_they_were_read(where, imagenette_path, tmp_path):
    cache = RamCache(10**9) if where == "ram" else DiskCache(tmp_path, 10**9)
    paths = sorted(imagenette_path.glob("val/*/*"))[:30]
    plain = [read_pixels(path) for path in paths]
    for _ in range(2):
        kept = [cache.read(o, "RGB", lambda o=o: read_pixels(o)) for o in paths]
        for one, other in zip(plain, kept, strict=True):
            assert np.array_equal(one.pixels, other.pixels)
            assert one.full == other.full
    assert (cache.info().hits, cache.info().misses) == (30, 30)
    cache.close()


def test_bytes_are_known_by_what_they_hold():
    cache = RamCache(10_000)
    made = []

    def read(data, value):
        return cache.read(data, "", lambda: made.append(data) or picture(value)).pixels

    assert (read(b"one", 1) == 1).all()
    assert (read(b"two", 2) == 2).all()
    assert (read(bytes(bytearray(b"one")), 9) == 1).all()
    assert made == [b"one", b"two"]
    assert picture_key(b"one", "a") != picture_key(b"one", "b")


def test_a_cache_that_is_off_keeps_nothing_and_says_why():
    cache = NoCache("The cache is off: there is no room.")
    cache.put("a", picture())
    assert cache.get("a") is None
    assert not cache.on
    assert str(cache.info()) == "The cache is off: there is no room."
    assert cache.read(__file__, "", picture).full == (4, 6)
    assert pickle.loads(pickle.dumps(cache)).info() == cache.info()


def test_info_prints_as_one_line():
    info = CacheInfo("ram", 1200, 670_000_000, 4_000_000_000, hits=2400, misses=1200)
    line = "1,200 pictures in memory, 0.67 of 4 GB; 2,400 of 3,600 found when asked for."
    assert str(info) == repr(info) == line
    full = CacheInfo(
        "disk", 2, 10**9, 2 * 10**9, 1, 1, 3, Path("/tmp/c"), "It is full and takes no more."
    )
    assert str(full) == (
        f"2 pictures in {Path('/tmp/c')}, 1.00 of 2 GB; 1 of 2 found when asked for. "
        "3 were damaged and are not used. It is full and takes no more."
    )
