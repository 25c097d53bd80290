"""The buffer that shuffles, and reading ahead: all samples once, in an order of their own."""

import itertools
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.data.stream.arrivals import buffered, read_ahead, side_by_side


class Numbers:
    """A shard of numbers, that knows whether it is open."""

    count = None

    def __init__(self, name: str, n: int, *, remote: bool = False, fails_at: int = -1) -> None:
        self.name, self.n, self.remote, self.fails_at = name, n, remote, fails_at
        self.opened = self.closed = 0

    def samples(self) -> Generator[str]:
        self.opened += 1
        try:
            for i in range(self.n):
                if i == self.fails_at:
                    raise OSError("the line is dead")
                yield f"{self.name}{i}"
        finally:
            self.closed += 1


@given(st.integers(0, 300), st.integers(1, 150), st.integers(0, 2**62), st.integers(-5, 5))
def test_the_buffer_yields_each_once(n: int, size: int, seed: int, epoch: int) -> None:
    order = list(buffered(range(n), size, seed, epoch))
    assert sorted(order) == list(range(n))
    # A sample can be late by any number, but it cannot come before it has arrived.
    assert all(number <= 2 * place + size for place, number in enumerate(order))


def test_a_buffer_of_one_keeps_the_order() -> None:
    assert list(buffered(range(50), 1, 0, 0)) == list(range(50))


def test_the_order_is_that_of_seed_and_epoch() -> None:
    orders = [list(buffered(range(500), 100, s, e)) for s, e in [(1, 0), (1, 0), (1, 1), (2, 0)]]
    assert orders[0] == orders[1]
    assert len(set(map(tuple, orders))) == 3


def test_a_large_buffer_shuffles_well() -> None:
    order = list(buffered(range(4000), 1000, 3, 0))
    moved = [abs(place - number) for place, number in enumerate(order)]
    assert sum(moved) / len(moved) > 400
    # Each place in the batch is as good as any other: halves mix.
    assert 0.4 < sum(number < 1000 for number in order[200:1200]) / 1000 < 0.75


def test_the_first_sample_does_not_wait_for_a_full_buffer() -> None:
    taken = itertools.count()
    order = buffered(((next(taken), i)[1] for i in range(10_000)), 5000, 0, 0)
    next(order)
    assert next(taken) <= 102


def test_shards_take_turns() -> None:
    shards = [Numbers("a", 3), Numbers("b", 1), Numbers("c", 2)]
    assert list(side_by_side(shards)) == ["a0", "b0", "c0", "a1", "c1", "a2"]
    assert [shard.closed for shard in shards] == [1, 1, 1]


def test_threads_change_nothing_in_the_order() -> None:
    near = [Numbers("a", 30), Numbers("b", 11), Numbers("c", 22)]
    far = [Numbers("a", 30, remote=True), Numbers("b", 11), Numbers("c", 22, remote=True)]
    assert list(side_by_side(far)) == list(side_by_side(near))


def test_a_dropped_pass_leaves_no_thread_and_no_open_shard() -> None:
    before = threading.active_count()
    for _ in range(100):
        shards = [Numbers("a", 50, remote=True), Numbers("b", 50, remote=True)]
        samples = side_by_side(shards)
        next(samples)
        samples.close()
        assert all(shard.closed == shard.opened for shard in shards)
    assert threading.active_count() == before


def test_an_error_of_a_thread_comes_where_it_belongs() -> None:
    shards = [Numbers("a", 50, remote=True, fails_at=9), Numbers("b", 50)]
    arrived = []
    with pytest.raises(OSError, match="the line is dead"):
        arrived.extend(arrived_one for arrived_one in side_by_side(shards))
    assert shards[0].closed == shards[1].closed == 1


def test_reading_goes_on_while_a_sample_is_used() -> None:
    begun = threading.Event()

    def slow() -> Generator[int]:
        for i in range(20):
            if i == 4:
                begun.set()
            yield i

    with ThreadPoolExecutor(1) as pool:
        samples = read_ahead(slow(), pool)
        assert next(samples) == 0
        assert begun.wait(5), "the next few are not read yet"
        assert list(samples) == list(range(1, 20))
