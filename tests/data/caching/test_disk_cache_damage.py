"""Killed processes, full disks, damaged files: a picture comes back as it was, or not at all."""

import errno
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from presize.data.caching import shards
from presize.data.caching.disk_cache import DiskCache
from presize.data.reading import Decoded

MB = 1_000_000

COMMON = """
import json, os, random, resource, signal, sys, time, traceback
import numpy as np
from presize.data.caching.disk_cache import DiskCache
from presize.data.reading import Decoded

folder = sys.argv[1]

def picture(i, side=60):
    pixels = np.random.default_rng(i).integers(0, 256, (side, side + i % 7, 3), np.uint8)
    return Decoded(pixels, (2 * side, i))

def counted(cache, n):
    '''Return how many of the first n pictures are there; stop at one that is wrong.'''
    there = 0
    for i in range(n):
        found, wanted = cache.get(str(i)), picture(i)
        if found is not None:
            assert found.full == wanted.full, i
            assert np.array_equal(found.pixels, wanted.pixels), i
            there += 1
    return there

def child(work):
    number = os.fork()
    if number == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return number
"""

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def run(script, *arguments):
    """Run a script in a process of its own; return what it printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def picture(i):
    pixels = np.random.default_rng(i).integers(0, 256, (50, 40 + i % 7, 3), np.uint8)
    return Decoded(pixels, (100, 80))


def same(found, i):
    return np.array_equal(found.pixels, picture(i).pixels)


def filled(folder, n=12, **options):
    cache = DiskCache(folder, 100 * MB, **options)
    for i in range(n):
        cache.put(str(i), picture(i))
    return cache


def files(folder, ending):
    return sorted(folder.glob(f"*{ending}"))


# ---- killed processes ------------------------------------------------------------------------


@forks
def test_a_process_killed_while_it_builds_leaves_no_wrong_picture(tmp_path):
    seen = run(
        """
        import threading
        seen, rng = [], random.Random(5)
        for turn in range(30):
            order = rng.sample(range(1500), 1500)
            def build():
                cache = DiskCache(folder, 10**9, shard_bytes=200_000)
                def work(k):
                    for i in order[k::3]:
                        cache.put(str(i), picture(i))
                for k in range(3):
                    threading.Thread(target=work, args=(k,)).start()
                time.sleep(60)
            builder = child(build)
            time.sleep(rng.uniform(0.005, 0.08))
            os.kill(builder, signal.SIGKILL)
            os.waitpid(builder, 0)
            cache = DiskCache(folder, 10**9)
            seen.append([counted(cache, 1500), cache.info().dropped])
            cache.close()
        print(json.dumps(seen))
        """,
        tmp_path,
    )
    there, dropped = zip(*seen, strict=True)
    assert len(seen) == 30
    assert list(there) == sorted(there)
    assert there[-1] > there[0]
    assert not any(dropped)


@forks
def test_two_processes_may_write_at_once(tmp_path):
    there, together = run(
        """
        def build(first):
            cache = DiskCache(folder, 10**9, shard_bytes=500_000)
            for i in range(first, first + 200):
                if cache.get(str(i)) is None:
                    cache.put(str(i), picture(i))
            assert counted(cache, 300) >= 200
            open(f"{folder}/done{first}", "w").close()

        builders = [child(lambda first=first: build(first)) for first in (0, 100)]
        for builder in builders:
            os.waitpid(builder, 0)
        cache = DiskCache(folder, 10**9)
        ended = sum(os.path.exists(f"{folder}/done{first}") for first in (0, 100))
        print(json.dumps([counted(cache, 300), ended]))
        """,
        tmp_path,
    )
    assert (there, together) == (300, 2)


@forks
def test_two_processes_that_push_each_other_out_stay_right(tmp_path):
    there = run(
        """
        def build(first):
            cache = DiskCache(folder, 1_000_000, shard_bytes=100_000)
            for turn in range(10):
                for i in range(first, first + 200):
                    found, wanted = cache.get(str(i)), picture(i)
                    if found is None:
                        cache.put(str(i), wanted)
                    else:
                        assert np.array_equal(found.pixels, wanted.pixels)
                cache.close()
            open(f"{folder}/done{first}", "w").close()

        builders = [child(lambda first=first: build(first)) for first in (0, 100)]
        for builder in builders:
            os.waitpid(builder, 0)
        counted(DiskCache(folder, 10**9), 300)
        print(sum(os.path.exists(f"{folder}/done{first}") for first in (0, 100)))
        """,
        tmp_path,
    )
    assert there == 2


@forks
def test_a_forked_process_writes_shards_of_its_own(tmp_path):
    there = run(
        """
        cache = DiskCache(folder, 10**9)
        for i in range(10):
            cache.put(str(i), picture(i))
        def work():
            for i in range(10, 20):
                cache.put(str(i), picture(i))
            assert counted(cache, 20) == 20
            cache.close()
            open(f"{folder}/done", "w").close()
        number = os.fork()
        if number == 0:
            work()
            sys.exit()  # what runs at the end of a process must not shorten its parent's shard
        for i in range(20, 40):
            cache.put(str(i), picture(i))
        os.waitpid(number, 0)
        for i in range(40, 50):
            cache.put(str(i), picture(i))
        assert os.path.exists(f"{folder}/done")
        cache.refresh()
        print(counted(cache, 50) + counted(DiskCache(folder, 10**9), 50))
        """,
        tmp_path,
    )
    assert there == 100


# ---- full disks ------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="needs os.pwrite")
@pytest.mark.parametrize("room", [0, 1, 4000, 6000, 6001, 20_000, 65_536])
def test_a_full_disk_stops_growth_without_an_error(tmp_path, monkeypatch, room):
    left, real = [room], os.pwrite

    def pwrite(file, data, offset):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(file, data[: min(left[0], 5000)], offset)  # in pieces, too
        left[0] -= written
        return written

    monkeypatch.setattr(shards.os, "pwrite", pwrite)
    cache = filled(tmp_path / "cache", 40)
    assert cache.info().note == (
        f"It takes no more: No space left on device ({tmp_path / 'cache'})."
    )
    monkeypatch.undo()
    for now in (cache, DiskCache(tmp_path / "cache", 100 * MB)):
        found = [now.get(str(i)) for i in range(40)]
        whole = [
            i for i in range(40) if sum(picture(k).pixels.nbytes for k in range(i + 1)) <= room
        ]
        assert [i for i, o in enumerate(found) if o is not None] == whole
        assert all(same(found[i], i) for i in whole)
        now.close()


@pytest.mark.parametrize("length", [0, 1, 51, None])
def test_a_record_written_in_part_is_none(tmp_path, length):
    class Half:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            if length is None:
                raise OSError(errno.EDQUOT, "Disk quota exceeded")
            return self.file.write(data[:length])

        def __getattr__(self, name):
            return getattr(self.file, name)

    cache = filled(tmp_path, 3)
    whole, cache._writer._index = cache._writer._index, Half(cache._writer._index)
    cache.put("3", picture(3))
    assert cache.get("3") is None
    assert "It takes no more: " in cache.info().note
    cache._writer._index = whole
    cache._note = ""
    cache.put("4", picture(4))
    later = DiskCache(tmp_path, 100 * MB)
    for now in (cache, later):
        assert [i for i in range(5) if now.get(str(i)) is not None] == [0, 1, 2, 4]
        assert same(now.get("4"), 4)
        now.close()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB, where this may be made."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "presize-test", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("only an administrator may mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    cache = filled(small_disk / "cache", 600, shard_bytes=8 * MB)
    assert "It takes no more" in cache.info().note
    there = [i for i in range(600) if (found := cache.get(str(i))) is not None and same(found, i)]
    assert 200 < len(there) < 600
    assert there == list(range(len(there)))
    cache.close()
    later = DiskCache(small_disk / "cache", 100 * MB)
    assert all(same(later.get(str(i)), i) for i in there)
    assert later.get("599") is None
    later.close()


@forks
def test_files_that_may_grow_no_more(tmp_path):
    first, there, notes = run(
        """
        cache = DiskCache(folder, 10**9, shard_bytes=10**6)
        for i in range(20):
            cache.put(str(i), picture(i))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        for i in range(20, 60):
            cache.put(str(i), picture(i))
        first = counted(cache, 60)
        notes = [cache.info().note]
        cache.close()
        cache = DiskCache(folder, 10**9, shard_bytes=10**6)
        for i in range(60, 90):
            cache.put(str(i), picture(i))
        there = counted(cache, 90)
        notes.append(cache.info().note)
        print(json.dumps([first, there, notes]))
        """,
        tmp_path,
    )
    assert 20 <= first < 30
    assert first == there
    assert all(note.startswith("It takes no more: File too large (") for note in notes)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="an administrator may write")
def test_a_folder_that_may_only_be_read_is_read(tmp_path):
    filled(tmp_path).close()
    tmp_path.chmod(0o500)
    cache = DiskCache(tmp_path, 100 * MB)
    assert same(cache.get("3"), 3)
    cache.put("99", picture(9))
    assert "It takes no more: Permission denied" in cache.info().note
    tmp_path.chmod(0o700)
    cache.close()


def test_a_file_where_the_folder_should_be_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = DiskCache(tmp_path / "file", 100 * MB)
    cache.put("1", picture(1))
    assert cache.get("1") is None
    assert cache.info().note.startswith("It takes no more: ")


# ---- damaged files ---------------------------------------------------------------------------


def test_a_flipped_byte_drops_that_picture_alone(tmp_path):
    filled(tmp_path, 12).close()
    (shard,) = files(tmp_path, ".bin")
    whole = shard.read_bytes()
    sizes = [picture(i).pixels.nbytes for i in range(12)]
    starts = [sum(-(-size // 64) * 64 for size in sizes[:i]) for i in range(12)]
    for i, byte in ((0, 0), (5, 1000), (11, sizes[11] - 1)):
        damaged = bytearray(whole)
        damaged[starts[i] + byte] ^= 0x10
        shard.write_bytes(damaged)
        cache = DiskCache(tmp_path, 100 * MB)
        found = {k: cache.get(str(k)) for k in range(12)}
        assert [k for k, o in found.items() if o is None] == [i]
        assert all(same(o, k) for k, o in found.items() if o is not None)
        assert cache.info().dropped == 1
        assert "1 were damaged and are not used." in str(cache.info())
        cache.close()


def test_a_dropped_picture_is_written_anew_and_found_by_later_processes(tmp_path):
    filled(tmp_path, 3).close()
    (shard,) = files(tmp_path, ".bin")
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    for expected in (True, False, False):
        cache = DiskCache(tmp_path, 100 * MB)
        assert (cache.get("0") is None) == expected
        cache.put("0", picture(0))
        assert same(cache.get("0"), 0)
        cache.close()


@pytest.mark.parametrize("length", [0, 1, 64, 6000, 6100, 30_000])
def test_a_shard_cut_short_loses_the_pictures_behind_the_cut(tmp_path, length):
    filled(tmp_path, 12).close()
    (shard,) = files(tmp_path, ".bin")
    os.truncate(shard, length)
    cache = DiskCache(tmp_path, 100 * MB)
    found = [cache.get(str(i)) for i in range(12)]
    there = [i for i in range(12) if found[i] is not None]
    sizes = [-(-picture(i).pixels.nbytes // 64) * 64 for i in range(12)]
    ends = [sum(sizes[:i]) + picture(i).pixels.nbytes for i in range(12)]
    assert there == [i for i in range(12) if ends[i] <= length]
    assert all(same(found[i], i) for i in there)
    cache.close()


def test_a_shard_of_zeros_is_not_believed(tmp_path):
    # What a file may hold after a loss of power.
    filled(tmp_path, 12).close()
    (shard,) = files(tmp_path, ".bin")
    shard.write_bytes(bytes(shard.stat().st_size))
    cache = DiskCache(tmp_path, 100 * MB)
    assert all(cache.get(str(i)) is None for i in range(12))
    cache.close()


def test_an_index_cut_short_at_any_byte_loses_the_last_pictures_alone(tmp_path):
    filled(tmp_path, 3).close()
    (index,) = files(tmp_path, ".idx")
    whole = index.read_bytes()
    record = (len(whole) - 16) // 3
    for length in range(len(whole) + 1):
        index.write_bytes(whole[:length])
        cache = DiskCache(tmp_path, 100 * MB)
        there = [i for i in range(3) if (found := cache.get(str(i))) is not None and same(found, i)]
        assert there == list(range(max(0, length - 16) // record))
        cache.close()


def test_an_index_that_belongs_to_another_shard_gives_no_wrong_picture(tmp_path):
    for first in (0, 6):
        cache = DiskCache(tmp_path, 100 * MB)
        for i in range(first, first + 6):
            cache.put(str(i), picture(i))
        cache.close()
    one, two = (index.read_bytes() for index in files(tmp_path, ".idx"))
    for index, other in zip(files(tmp_path, ".idx"), (two, one), strict=True):
        index.write_bytes(other)
    cache = DiskCache(tmp_path, 100 * MB)
    assert all(cache.get(str(i)) is None for i in range(12))
    cache.close()


def test_nonsense_in_the_files_is_none(tmp_path):
    filled(tmp_path, 3).close()
    rng = np.random.default_rng(3)
    for file in files(tmp_path, ".idx"):
        head = file.read_bytes()[:16]
        for before in (b"", head):
            file.write_bytes(before + rng.bytes(5000))
            cache = DiskCache(tmp_path, 100 * MB)
            assert all(cache.get(str(i)) is None for i in range(3))
            assert cache.info().pictures == 0
            cache.close()


def test_without_file_numbers_a_picture_is_missing_for_now(tmp_path, monkeypatch):
    filled(tmp_path, 3).close()
    cache = DiskCache(tmp_path, 100 * MB)
    cache.refresh()

    def none_left(folder, name):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("presize.data.caching.disk_cache.mapped", none_left)
    assert cache.get("1") is None
    monkeypatch.undo()
    assert same(cache.get("1"), 1)
    cache.close()


def test_where_pwrite_is_missing_threads_take_turns(tmp_path, monkeypatch):
    monkeypatch.delattr(shards.os, "pwrite", raising=False)
    cache = filled(tmp_path, 12)
    assert all(same(cache.get(str(i)), i) for i in range(12))
    cache.close()
