"""Streams of samples out of shards: order, resumed position, ranks."""

import pickle
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.core.errors import DataError
from presize.data.stream.itemstream import ItemStream, stream_of
from presize.data.stream.ranks import Rank


class Sample(str):
    """Something that is no number."""


class Numbers:
    """A shard of samples named as it is, which counts how often it is opened."""

    def __init__(self, name: str, n: int, *, told: bool = True, remote: bool = False) -> None:
        self.name, self.n, self.remote = name, n, remote
        self.count = n if told else None
        self.opened = 0

    def samples(self) -> Generator[Sample]:
        self.opened += 1
        for i in range(self.n):
            yield Sample(f"{self.name}{i}")


def shards(*sizes: int, **options: Any) -> list[Numbers]:
    return [Numbers(name, n, **options) for name, n in zip("abcdefghij", sizes, strict=False)]


def order(stream: ItemStream, *, shuffle: bool = True, epoch: int = 0, start: int = 0) -> list[Any]:
    entries = stream.entries(shuffle=shuffle, seed=1, epoch=epoch, start=start)
    return list(entries)


def test_in_order_it_yields_what_is_stored() -> None:
    stream = ItemStream(shards(2, 0, 3))
    stored = ["a0", "a1", "c0", "c1", "c2"]
    assert len(stream) == 5
    assert list(stream) == stored
    assert order(stream, shuffle=False) == list(enumerate(stored))
    assert [stream[i] for i in range(5)] == stored


def test_shuffled_every_sample_comes_once() -> None:
    stream = ItemStream(shards(20, 3, 11, 40, 7), even=True, buffer=16, readers=2)
    epochs = [[sample for _, sample in order(stream, epoch=e)] for e in (0, 1, 0)]
    assert all(sorted(epoch) == sorted(stream) for epoch in epochs)
    assert epochs[0] == epochs[2] != epochs[1]
    assert [key for key, _ in order(stream)] == list(range(81))


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(any),
    st.integers(1, 40),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.floats(0, 1),
)
def test_it_goes_on_where_it_was(
    sizes: list[int], buffer: int, readers: int, told: bool, shuffle: bool, share: float
) -> None:
    parts = shards(*sizes, told=told)
    stream = ItemStream(parts, n=sum(sizes), even=True, buffer=buffer, readers=readers)
    whole = order(stream, shuffle=shuffle)
    start = int(share * len(whole))
    assert order(stream, shuffle=shuffle, start=start) == whole[start:]


def test_shards_that_are_done_are_not_opened_again() -> None:
    parts = shards(*[50] * 10)
    stream = ItemStream(parts, even=True, buffer=20, readers=2)
    whole = order(stream)
    for part in parts:
        part.opened = 0
    assert order(stream, start=400) == whole[400:]
    assert sum(part.opened for part in parts) <= 4
    assert len(order(stream, shuffle=False, start=450)) == 50


def test_fewer_samples_than_there_are() -> None:
    stream = ItemStream(shards(10, 10), n=5, even=True)
    assert len(set(order(stream))) == len(order(stream)) == 5
    assert list(stream) == ["a0", "a1", "a2", "a3", "a4"]


def test_more_samples_than_there_are_come_again_in_training() -> None:
    stream = ItemStream(shards(4, 3, told=False), n=10, even=True, buffer=2)
    assert {sample for _, sample in order(stream)} == {"a0", "a1", "a2", "a3", "b0", "b1", "b2"}
    assert len(order(stream)) == 10


def test_in_order_a_wrong_number_is_told() -> None:
    stream = ItemStream(shards(4, 3, told=False), n=10)
    with pytest.warns(UserWarning, match=r"\(`a`, `b`\) hold 7 samples, not n=10: correct n="):
        assert len(order(stream, shuffle=False)) == 7


def test_without_a_number_it_says_where_to_put_it() -> None:
    with pytest.raises(
        DataError, match=r"not known \(`a`, `b`, ...\). Give the number, n=.*sizes.js"
    ):
        ItemStream(shards(4, 3, 2, told=False))


def test_empty_shards() -> None:
    with pytest.raises(DataError, match="2 shards with 0 samples in all are too few for 1 process"):
        ItemStream(shards(0, 0))
    with pytest.raises(DataError, match="There are no samples in the shards"):
        order(ItemStream(shards(0, 0, told=False), n=5, even=True))


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_shards(world: int) -> None:
    streams = [
        ItemStream(shards(*[12] * 6), even=True, buffer=5, rank=Rank(i, world))
        for i in range(world)
    ]
    entries = [entry for stream in streams for entry in order(stream)]
    assert len({sample for _, sample in entries}) == len(entries) == 72
    assert len({key for key, _ in entries}) == 72, "two ranks would draw the same"
    first, second = (sorted(s for _, s in order(streams[0], epoch=e)) for e in (0, 1))
    assert first != second, "a rank sees other shards in the next epoch"


def test_every_rank_has_the_same_number_in_training() -> None:
    streams = [ItemStream(shards(20, 4, 9), even=True, rank=Rank(i, 2)) for i in range(2)]
    assert [len(stream) for stream in streams] == [16, 16]
    for stream in streams:
        assert len(order(stream)) == len(order(stream, shuffle=False)) == 16
    assert list(streams[1]) == [f"b{i % 4}" for i in range(16)]
    assert streams[1][15] == "b3"


def test_in_validation_every_sample_counts_once() -> None:
    streams = [ItemStream(shards(20, 4, 9), rank=Rank(i, 2)) for i in range(2)]
    assert [len(stream) for stream in streams] == [29, 4]
    seen = [sample for stream in streams for _, sample in order(stream, shuffle=False)]
    assert sorted(seen) == sorted(ItemStream(shards(20, 4, 9)))
    with pytest.raises(DataError, match="With 2 processes it has to be known how many.*sizes.json"):
        ItemStream(shards(20, 4, 9, told=False), n=33, rank=Rank(0, 2))


def test_too_few_shards_for_the_ranks() -> None:
    text = r"There are 8 processes, but 3 shards to share \(`a`, `b`, ...\).*smaller shards"
    with pytest.raises(DataError, match=text):
        ItemStream(shards(5, 5, 5), rank=Rank(7, 8))


def test_the_environment_says_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert list(ItemStream(shards(2, 2))) == ["b0", "b1"]


def test_a_sample_is_its_own_index() -> None:
    stream = ItemStream(shards(3))
    sample = stream[2]
    assert stream[sample] is sample
    with pytest.raises(IndexError):
        stream[3]


def test_looking_at_the_first_samples_reads_once() -> None:
    (part,) = parts = shards(100)
    stream = ItemStream(parts)
    assert [stream[i] for i in (0, 3, 15, 0)] == ["a0", "a3", "a15", "a0"]
    assert part.opened == 1
    assert stream[60] == "a60"
    assert stream[-1] == "a99"


def test_it_can_be_sent_to_another_process() -> None:
    stream = ItemStream(shards(3))
    assert stream[0] == "a0"
    sent = pickle.loads(pickle.dumps(stream))
    assert list(sent) == list(stream)
    assert sent[1] == "a1"


def test_what_is_a_stream() -> None:
    stream = ItemStream(shards(3))
    assert stream_of(stream) is stream
    assert stream_of([1]) is None
    assert not ItemStream(shards(3, remote=True)).walkable
    assert repr(stream) == "ItemStream of 3 samples in 1 shard"
