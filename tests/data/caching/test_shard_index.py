import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.data.caching.shard_index import HEADER, Place, digest, packed, read_records

number = st.integers(0, 2**32 - 1)
places = st.builds(
    Place,
    st.just("shard"),
    st.integers(0, 2**64 - 1),
    st.tuples(number, number, number),
    st.tuples(number, number),
    number,
)
A = Place("shard", 64, (4, 6, 3), (40, 60), 12345)
B = Place("shard", 192, (1, 1, 1), (1, 1), 0)
RECORD = len(packed(digest("a"), A))


@pytest.fixture
def index(tmp_path):
    file = tmp_path / "shard.idx"
    file.write_bytes(HEADER + packed(digest("a"), A) + packed(digest("b"), B))
    return file


@given(st.dictionaries(st.text(), places, max_size=5))
def test_records_come_back(tmp_path_factory, expected):
    file = tmp_path_factory.mktemp("index") / "shard.idx"
    file.write_bytes(HEADER + b"".join(packed(digest(k), p) for k, p in expected.items()))
    found, end = read_records(file, "shard", 0)
    assert found == {digest(k): p for k, p in expected.items()}
    assert end == file.stat().st_size


def test_reading_goes_on_where_it_stopped(index):
    _, end = read_records(index, "shard", 0)
    assert read_records(index, "shard", end) == ({}, end)
    with index.open("ab") as file:
        file.write(packed(digest("c"), B))
    found, later = read_records(index, "shard", end)
    assert found == {digest("c"): B}
    assert later == end + RECORD


def test_every_cut_leaves_the_whole_records_before_it(index):
    whole = index.read_bytes()
    for length in range(len(whole)):
        index.write_bytes(whole[:length])
        found, end = read_records(index, "shard", 0)
        n = max(0, length - len(HEADER)) // RECORD
        assert list(found) == [digest("a"), digest("b")][:n]
        assert end == (len(HEADER) + n * RECORD if length >= len(HEADER) else 0)


def test_a_record_with_a_flipped_bit_is_passed_over(index):
    whole = index.read_bytes()
    for place in range(len(HEADER), len(HEADER) + RECORD):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            index.write_bytes(damaged)
            assert read_records(index, "shard", 0)[0] == {digest("b"): B}


def test_an_index_of_another_format_is_not_read(index):
    index.write_bytes(index.read_bytes().replace(b"cache-1", b"cache-2"))
    assert read_records(index, "shard", 0) == ({}, 0)


def test_any_text_has_a_digest():
    assert len({digest(k) for k in ("", "a", "\udcff", "é" * 1000)}) == 4
