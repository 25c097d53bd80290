"""Headers of tar archives: Python's own `tarfile` is the oracle."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.data.stream.tarscan import Member, TarError, members

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
# Long names need the extensions of each format, and of a path each part is a name.
NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60),
    min_size=1,
    max_size=4,
).map("/".join)


def archive(files: dict[str, bytes], kind: int, **header: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=kind) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5  # a fraction, which PAX writes beside the header
            for key, value in header.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def found(data: bytes) -> list[Member]:
    return list(members(io.BytesIO(data), len(data)))


def oracle(data: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [Member(m.name, m.offset_data, m.size) for m in tar if m.isreg()]


@given(st.dictionaries(NAMES, st.binary(max_size=1500), max_size=5), st.sampled_from(FORMATS))
def test_finds_what_tarfile_finds(files: dict[str, bytes], kind: int) -> None:
    try:
        data = archive(files, kind)
    except (ValueError, UnicodeEncodeError):
        return  # a name that this format cannot hold
    assert found(data) == oracle(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_files_between_folders_and_links(kind: int) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=kind) as tar:
        for name, sort in [("a", tarfile.DIRTYPE), ("a/link", tarfile.SYMTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = sort, "x" * (80 if kind == tarfile.USTAR_FORMAT else 150)
            tar.addfile(info)
        info = tarfile.TarInfo("a/1.cls")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    data = made.getvalue()
    assert [m.name for m in found(data)] == ["a/1.cls"]
    assert found(data) == oracle(data)


def test_the_offset_is_that_of_the_bytes() -> None:
    data = archive({"a": b"first", "b" * 200: b"second"}, tarfile.PAX_FORMAT)
    assert [data[m.offset : m.offset + m.size] for m in found(data)] == [b"first", b"second"]


def test_a_very_large_file_by_its_header() -> None:
    info = tarfile.TarInfo("large.bin")
    info.size = 20 << 30  # more than eleven octal digits hold
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        header = info.tobuf(kind)
        one = next(iter(members(io.BytesIO(header), 21 << 30)))
        assert one == Member("large.bin", len(header), 20 << 30)


def test_the_empty_blocks_at_the_end_may_be_missing() -> None:
    data = archive({"a": b"x" * 512}, tarfile.USTAR_FORMAT)
    assert len(found(data[:1024])) == 1
    assert found(archive({}, tarfile.USTAR_FORMAT)) == []


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TarError, match="it is not a tar archive: there is no header at byte 0"):
        found(b"\xff\xd8\xff\xe0" + bytes(1000))
    with pytest.raises(TarError, match="ends in the middle of a header, at byte 5"):
        found(b"short")
    with pytest.raises(TarError, match="ends in the middle of a header, at byte 0"):
        found(b"")


@pytest.mark.parametrize("cut", [600, 1000, 1536 + 100])
def test_a_cut_archive_is_noticed(cut: int) -> None:
    data = archive({"a": b"x" * 600, "b": b"y" * 600}, tarfile.USTAR_FORMAT)
    with pytest.raises(TarError, match="cut short|middle of a header"):
        found(data[:cut])


def test_a_damaged_header_is_noticed() -> None:
    data = bytearray(archive({"a": b"x" * 512, "b": b"y"}, tarfile.USTAR_FORMAT))
    data[1024 + 3] ^= 1  # in the name of the second file
    with pytest.raises(TarError, match="it is damaged: there is no header at byte 1024"):
        found(bytes(data))
