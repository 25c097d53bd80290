import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.data.caching import ram_cache as module
from presize.data.caching.ram_cache import RamCache
from presize.data.reading import Decoded


def picture(value=7, size=(4, 6, 3)):
    return Decoded(np.full(size, value, np.uint8), (40, 60))


def test_a_picture_comes_back_without_a_copy():
    cache, put = RamCache(1000), picture()
    cache.put("a", put)
    assert cache.get("a") is put
    assert cache.get("b") is None
    info = cache.info()
    assert (info.kind, info.pictures, info.bytes, info.hits, info.misses) == ("ram", 1, 72, 1, 1)
    assert info.note == ""


def test_pictures_may_no_longer_be_written_to():
    cache, put = RamCache(1000), picture()
    cache.put("a", put)
    with pytest.raises(ValueError, match="read-only"):
        put.pixels[0] = 0


@pytest.mark.parametrize("view", [lambda a: a[:, ::2], lambda a: a[1:], lambda a: a[None][0]])
def test_a_part_of_another_array_is_copied(view):
    whole = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3).copy()
    wanted = view(whole).copy()
    cache = RamCache(1000)
    cache.put("a", Decoded(view(whole), (40, 60)))
    whole[:] = 0
    found = cache.get("a")
    assert (found.pixels == wanted).all()
    assert found.full == (40, 60)
    assert found.pixels.flags.owndata
    assert not found.pixels.flags.writeable


def test_it_takes_no_more_than_its_limit_and_says_so():
    cache = RamCache(3 * 72 + 71)
    for i in range(5):
        cache.put(str(i), picture(i))
    assert [cache.get(str(i)) is not None for i in range(5)] == [True, True, True, False, False]
    assert cache.info().bytes == 3 * 72
    assert cache.info().note == "It is full and takes no more."


def test_it_takes_no_more_when_memory_runs_short(monkeypatch):
    free = [8_000_000_000]
    monkeypatch.setattr(module, "available_memory", lambda: free[0])
    monkeypatch.setattr(module, "_LOOK_EVERY", 100)
    cache = RamCache(10_000)
    cache.put("a", picture())
    cache.put("b", picture())
    free[0] = 300_000_000
    cache.put("c", picture())
    assert cache.get("b") is not None
    assert cache.get("c") is None
    assert cache.info().note == "It takes no more: only 0.3 GB of memory are available."


def test_no_memory_for_a_copy_is_no_error(monkeypatch):
    def nothing(*args, **options):
        raise MemoryError

    cache = RamCache(10_000)
    part = Decoded(np.zeros((8, 8, 3), np.uint8)[::2], (8, 8))
    monkeypatch.setattr(module.np, "array", nothing)
    cache.put("a", part)
    assert cache.get("a") is None
    assert cache.info().note == "It takes no more, because there is no memory left."


def test_another_process_gets_none_of_it():
    cache = RamCache(1000)
    cache.put("a", picture())
    other = pickle.loads(pickle.dumps(cache))
    assert not other.on
    assert 'cache="disk"' in str(other.info())


@given(st.lists(st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 5))), st.integers(0, 400))
def test_it_equals_a_dict_or_has_nothing(steps, limit):
    cache, model = RamCache(limit), {}
    for what, i in steps:
        if what == "put":
            cache.put(str(i), picture(i))
            model[i] = i
        else:
            found = cache.get(str(i))
            assert found is None or (found.pixels == model[i]).all()
        assert cache.info().bytes <= limit
        if limit >= 6 * 72:
            assert {i for i in range(6) if cache.get(str(i)) is not None} == model.keys()


def test_many_threads_may_use_it():
    cache, wrong = RamCache(72 * 500), []

    def work(seed):
        for i in np.random.default_rng(seed).integers(0, 200, 2000):
            found = cache.get(str(i))
            if found is None:
                cache.put(str(i), picture(i))
            elif (found.pixels != i).any():
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    info = cache.info()
    assert info.bytes == 72 * info.pictures
    assert info.pictures == 200
    assert info.hits + info.misses == 8 * 2000
