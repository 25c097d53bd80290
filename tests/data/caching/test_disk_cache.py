import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presize.data.caching import disk_cache as module
from presize.data.caching import shards
from presize.data.caching.disk_cache import DiskCache
from presize.data.reading import Decoded

MB = 1_000_000


def picture(i):
    """Return the picture that belongs to a number: of some size, gray or in colour."""
    rng = np.random.default_rng(i)
    height, width, channels = (int(rng.integers(1, n)) for n in (40, 40, 4))
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    return Decoded(pixels, (height * 2, width * 2 - 1))


def same(found, i):
    wanted = picture(i)
    return found.full == wanted.full and np.array_equal(found.pixels, wanted.pixels)


@pytest.fixture
def caches(tmp_path):
    """Return caches on one folder that does not exist yet; they are closed at the end."""
    made = []

    def new(limit=100 * MB, **options):
        made.append(DiskCache(tmp_path / "deep/cache", limit, **options))
        return made[-1]

    yield new
    for cache in made:
        cache.close()


def names(cache):
    return sorted(file.name for file in cache.folder.iterdir())


def test_a_picture_comes_back_as_a_read_only_view(caches):
    cache = caches()
    assert cache.get("1") is None
    cache.put("1", picture(1))
    found = cache.get("1")
    assert same(found, 1)
    assert not found.pixels.flags.writeable
    assert not found.pixels.flags.owndata
    assert np.shares_memory(found.pixels, cache.get("1").pixels)
    assert found.pixels.ctypes.data % 64 == 0


def test_the_folder_is_made_when_a_picture_comes(caches):
    cache = caches()
    assert cache.get("1") is None
    assert cache.info().pictures == 0
    assert not cache.folder.exists()
    cache.put("1", picture(1))
    assert len(names(cache)) == 2


def test_pictures_are_there_for_a_later_process(caches):
    cache = caches()
    for i in range(20):
        cache.put(str(i), picture(i))
    cache.close()
    later = caches()
    assert all(same(later.get(str(i)), i) for i in range(20))
    info = later.info()
    assert (info.kind, info.pictures, info.hits, info.misses) == ("disk", 20, 20, 0)
    assert info.folder == cache.folder
    later.put("3", picture(4))
    assert same(later.get("3"), 3)


def test_a_cache_may_be_used_again_after_it_was_closed(caches):
    cache = caches()
    cache.put("1", picture(1))
    kept = cache.get("1")
    cache.close()
    cache.close()
    assert same(kept, 1)
    assert same(cache.get("1"), 1)
    cache.put("2", picture(2))
    assert same(cache.get("2"), 2)


def test_closing_gives_back_the_room_that_was_not_needed(caches):
    cache = caches()
    cache.put("1", picture(1))
    pixels, _ = (cache.folder / name for name in names(cache))
    assert pixels.stat().st_size == cache.shard_bytes
    cache.close()
    assert pixels.stat().st_size == picture(1).pixels.nbytes
    assert same(caches().get("1"), 1)


def test_a_part_of_an_array_is_written_as_it_looks(caches):
    cache, whole = caches(), np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    cache.put("a", Decoded(whole[::-2, 1:4], (2, 3)))
    assert np.array_equal(cache.get("a").pixels, whole[::-2, 1:4])


def test_pictures_larger_than_a_shard_have_one_of_their_own(caches):
    cache = caches(shard_bytes=100)
    for i in range(10):
        cache.put(str(i), picture(i))
    assert all(same(cache.get(str(i)), i) for i in range(10))
    assert len(names(cache)) > 10


def test_what_another_process_wrote_is_found_when_looked_for(caches, monkeypatch):
    monkeypatch.setattr(module, "_REFRESH_EVERY", 0.0)
    one, two = caches(), caches()
    for i in range(6):
        (one, two)[i % 2].put(str(i), picture(i))
    for cache in (one, two):
        cache.refresh()
        assert all(same(cache.get(str(i)), i) for i in range(6))


def test_another_process_gets_a_cache_on_the_same_folder(caches):
    cache = caches(spare=3, shard_bytes=5 * MB)
    cache.put("1", picture(1))
    other = pickle.loads(pickle.dumps(cache))
    assert (other.limit, other.spare, other.shard_bytes) == (100 * MB, 3, 5 * MB)
    assert same(other.get("1"), 1)
    other.close()


# ---- bounds ----------------------------------------------------------------------------------


def square(i, side=100):
    return Decoded(np.full((side, side, 3), i, np.uint8), (side, side))


def taken(cache):
    return sum(min(o.stat().st_size, o.stat().st_blocks * 512) for o in cache.folder.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="it does not tell how much is taken")
def test_it_takes_no_more_than_its_limit_and_says_so(caches):
    cache = caches(limit=MB, shard_bytes=200_000)
    for i in range(60):
        cache.put(str(i), square(i))
        if i < 10:
            assert taken(cache) <= MB
    cache.close()
    assert taken(cache) <= MB
    found = [cache.get(str(i)) for i in range(60)]
    assert sum(o is not None for o in found) >= 28
    assert all(o is None or (o.pixels == i).all() for i, o in enumerate(found))


def test_a_full_cache_says_so(caches):
    cache = caches(limit=MB)
    for i in range(60):
        cache.put(str(i), square(i))
    info = cache.info()
    assert info.note == "It is full and takes no more."
    assert info.bytes <= MB
    assert str(info).endswith("of 0 found when asked for. It is full and takes no more.")


def aged(cache, age):
    for file in cache.folder.iterdir():
        if file.stat().st_mtime > 1e9:
            os.utime(file, (age, age))


def test_the_oldest_used_shards_make_room(caches, monkeypatch):
    for i in range(4):  # four processes, one after the other, at the times 100, 200, 300, 400
        cache = caches(limit=400_000)
        for k in range(3):
            cache.put(f"{i} {k}", square(i))
        cache.close()
        aged(cache, 100 * (i + 1))
    reader = caches(limit=400_000)
    assert reader.get("0 0") is not None  # used now
    reader.close()
    cache = caches(limit=400_000)
    for k in range(6):
        cache.put(f"new {k}", square(9))
    left = {i for i in range(4) if cache.get(f"{i} 0") is not None}
    assert left == {0, 3}
    assert all((cache.get(f"new {k}").pixels == 9).all() for k in range(6))
    assert cache.info().note == ""


def test_a_picture_that_made_room_can_be_put_anew(caches):
    old = caches(limit=400_000)
    for k in range(10):
        old.put(str(k), square(k))
    old.close()
    cache = caches(limit=400_000)
    assert cache.get("none") is None
    cache.put("new", square(99))  # for which the only shard goes
    cache.put("new too", square(98))
    cache.put("new as well", square(97))
    cache.put("new again", square(96))
    cache.put("3", square(3))
    assert (cache.get("3").pixels == 3).all()


def test_a_shard_that_this_process_uses_is_not_deleted(caches):
    old = caches(limit=400_000)
    for k in range(10):
        old.put(str(k), square(k))
    old.close()
    cache = caches(limit=400_000)
    kept = cache.get("0")
    for k in range(10, 20):
        cache.put(str(k), square(k))
    assert cache.info().note == "It is full and takes no more."
    assert (kept.pixels == 0).all()
    assert all((cache.get(str(k)).pixels == k).all() for k in range(10))


@pytest.mark.skipif(os.name == "nt", reason="files in use cannot be deleted there")
def test_deleting_under_a_running_process_is_safe(caches, monkeypatch):
    monkeypatch.setattr(module, "_REFRESH_EVERY", 0.0)
    old = caches()
    for k in range(3):
        old.put(str(k), square(k))
    reader, late = caches(), caches()
    kept = reader.get("0")
    late.refresh()
    for shard in shards.shards_in(old.folder):
        assert shards.delete_shard(old.folder, shard.name)
    assert (kept.pixels == 0).all()
    assert (reader.get("1").pixels == 1).all()
    assert late.get("1") is None
    assert late.info().dropped == 0
    late.put("1", square(1))
    assert (late.get("1").pixels == 1).all()
    # The writer begins a new shard as soon as it looks.
    old._allowance = 0
    old.put("7", square(7))
    assert (caches().get("7").pixels == 7).all()


def test_many_small_shards_are_tidied_up(caches, monkeypatch):
    monkeypatch.setattr(module, "_MOST_SHARDS", 5)
    for i in range(12):
        cache = caches()
        cache.put(str(i), picture(i))
        cache.close()
    assert len(shards.shards_in(cache.folder)) == 5
    assert same(caches().get("11"), 11)


def test_other_files_in_the_folder_are_left_alone(caches, monkeypatch):
    cache = caches(limit=40_000)
    cache.folder.mkdir(parents=True)
    others = [
        "photo.bin",
        "photo.idx",
        "pictures-1.bin",
        "x-pictures-0123456789abcdef-012345678901.bin",
    ]
    for name in others:
        (cache.folder / name).write_bytes(bytes(100_000))
    monkeypatch.setattr(module, "_MOST_SHARDS", 1)
    for i in range(5):
        one = caches(limit=40_000)
        one.put(str(i), square(i))
        one.close()
    assert set(others) <= set(names(cache))
    assert cache.info().bytes < 40_000


def test_half_a_shard_is_not_read_and_makes_room(caches):
    cache = caches()
    cache.put("1", picture(1))
    cache.close()
    for i, ending in ((2, ".bin"), (3, ".idx")):
        orphan = cache.folder / f"pictures-0000000000000000-0123456789ab{ending}"
        orphan.write_bytes(bytes(200_000))
        later = caches(limit=150_000)
        assert same(later.get("1"), 1)
        later.put(str(i), picture(i))
        assert not orphan.exists()
        assert same(later.get(str(i)), i)
        later.close()


def test_a_part_of_the_disk_stays_free(caches):
    cache = caches(spare=10**18)
    cache.put("1", picture(1))
    assert cache.get("1") is None
    assert cache.info().note == f"It takes no more: the disk of {cache.folder} is nearly full."


# ---- any order, any thread, any process -------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "close", "reopen", "refresh", "delete"]),
        st.integers(0, 1),
        st.integers(0, 12),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps, st.sampled_from([2_000, 9_000, MB]), st.sampled_from([500, 5_000, None]))
def test_it_equals_a_dict_or_has_nothing(tmp_path_factory, order, limit, shard_bytes):
    folder = tmp_path_factory.mktemp("cache")

    def opened():
        return DiskCache(folder, limit, shard_bytes=shard_bytes)

    two, put, deleted = [opened(), opened()], set(), False
    for what, who, i in order:
        cache = two[who]
        if what == "put":
            cache.put(str(i), picture(i))
            put.add(i)
        elif what == "get":
            found = cache.get(str(i))
            assert found is None or (i in put and same(found, i))
        elif what == "reopen":
            cache.close()
            two[who] = opened()
        elif what == "delete":
            deleted = True
            for shard in shards.shards_in(folder)[:1]:
                shards.delete_shard(folder, shard.name)
        else:
            getattr(cache, what)()
    for cache in two:
        cache.close()
    last = opened()
    found = {i: last.get(str(i)) for i in range(13)}
    assert all(o is None or (i in put and same(o, i)) for i, o in found.items())
    if limit == MB and not deleted:
        assert {i for i, o in found.items() if o is not None} == put
    last.close()


@pytest.mark.parametrize("limit", [150_000, 100 * MB])
def test_many_threads_may_use_it(caches, limit):
    two = [caches(limit=limit, shard_bytes=50_000), caches(limit=limit, shard_bytes=50_000)]
    wrong = []

    def work(seed):
        try:
            for i in np.random.default_rng(seed).integers(0, 120, 600):
                cache = two[seed % 2]
                found = cache.get(str(i))
                if found is None:
                    cache.put(str(i), picture(i))
                elif not same(found, i):
                    wrong.append(i)
                if i == 0 and seed == 3:
                    cache.close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_dropped_caches_leave_no_open_file(caches, tmp_path):
    listing = Path("/proc/self/fd")
    if not listing.exists():
        pytest.skip("no list of open files here")

    def of_ours():
        there = [Path(os.path.realpath(o)) for o in listing.iterdir()]
        return [o for o in there if o.is_relative_to(tmp_path)]

    cache = DiskCache(tmp_path, 100 * MB, shard_bytes=10_000)
    for i in range(30):
        cache.put(str(i), picture(i))
        cache.get(str(i))
    shards_used = len(shards.shards_in(tmp_path))
    assert 0 < len(of_ours()) <= shards_used + 2
    del cache
    assert not of_ours()
