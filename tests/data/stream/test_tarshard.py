"""Reading shards: webdataset itself is the oracle, on a disk, in fsspec's memory, over HTTP."""

import gzip
import io
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from presize.core.errors import DataError
from presize.data.stream import tarshard
from presize.data.stream.shardsample import ShardSample, Span
from presize.data.stream.tarshard import TarShard


def archive(files: dict[str, bytes], **options: Any) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", **options) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


PICTURE = bytes(range(256)) * 40  # larger than what is read along with the headers
FILES = {
    "__meta__": b"ignored",
    "a/1.jpg": PICTURE,
    "a/1.cls": b"1",
    "a/2.cls": b"2",
    "a/2.JPG": PICTURE[::-1],
    "b/2.cls": b"3",
    "README": b"no sample",
    "b/2.seg.png": PICTURE[:100],
}


def plain(samples: Any) -> list[tuple[str, dict[str, bytes]]]:
    return [(s.key, {member: s.raw(member) for member in s}) for s in samples]


def oracle(path: Path) -> list[tuple[str, dict[str, bytes]]]:
    from webdataset.tariterators import group_by_keys, tar_file_expander

    with path.open("rb") as file:
        samples = list(group_by_keys(tar_file_expander([{"url": "x", "stream": file}])))
    return [(s["__key__"], {k: v for k, v in s.items() if k[0] != "_"}) for s in samples]


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarshard, "_PAUSES", (0.0, 0.0))


def test_samples_are_those_of_webdataset(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(archive(FILES))
    found = plain(TarShard(str(path)).samples())
    assert found == oracle(path)
    assert [key for key, _ in found] == ["a/1", "a/2", "b/2"]


def test_what_webdataset_writes(tmp_path: Path) -> None:
    import webdataset

    path = tmp_path / "x.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for i in range(5):
            writer.write({"__key__": f"{i:04d}", "jpg": PICTURE, "cls": i, "json": {"i": i}})
    samples = list(TarShard(str(path)).samples())
    assert plain(samples) == oracle(path)
    assert [(s["cls"], s["json"]) for s in samples] == [(i, {"i": i}) for i in range(5)]


def test_pictures_on_a_disk_are_read_when_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(archive(FILES))
    shard = TarShard(str(path))
    sample = next(shard.samples())
    assert isinstance(sample.members["jpg"], Span)
    assert sample.members["cls"] == b"1"
    assert not shard.remote


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "wrong.tar"])
def test_compressed_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = archive(FILES)
    path.write_bytes(data if name == "x.tar" else gzip.compress(data))
    assert len(plain(TarShard(str(path)).samples())) == 3


def test_from_afar_it_is_the_same(tmp_path: Path, memory: Any) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(archive(FILES))
    memory.pipe("/x.tar", path.read_bytes())
    memory.pipe("/x.tgz", gzip.compress(path.read_bytes()))
    here = plain(TarShard(str(path)).samples())
    for url in (f"file://{path}", "memory://x.tar", "memory://x.tgz"):
        assert plain(TarShard(url).samples()) == here
    assert TarShard("memory://x.tar").remote
    assert next(TarShard("memory://x.tar").samples()).name == "memory://x.tar/a/1"


def http(web: Any, files: dict[str, bytes]) -> list[ShardSample]:
    web.files["x.tar"] = archive(files)
    with warnings.catch_warnings():
        # Sessions of aiohttp are closed when fsspec's thread comes to it.
        warnings.simplefilter("ignore", ResourceWarning)
        return list(TarShard(web.url("x.tar")).samples())


def test_over_http(web: Any) -> None:
    samples = http(web, FILES)
    assert [s.key for s in samples] == ["a/1", "a/2", "b/2"]
    assert samples[0].picture() == PICTURE


def test_a_broken_connection_is_taken_up_again(web: Any) -> None:
    many = {f"{i:03d}.jpg": PICTURE for i in range(20)}
    web.break_after = [100_000, 20_000]
    samples = http(web, many)
    assert [s.key for s in samples] == [f"{i:03d}" for i in range(20)]
    assert all(s.picture() == PICTURE for s in samples)


def test_a_server_that_stays_away(web: Any) -> None:
    web.answers = [503] * 20
    with pytest.raises(
        DataError, match=r"The shard `http://127.0.0.1:\d+/x.tar` cannot be read: .*503"
    ):
        http(web, FILES)


def test_a_missing_shard_is_named(tmp_path: Path, web: Any, memory: Any) -> None:
    (tmp_path / "train-001.tar").write_bytes(archive(FILES))
    text = "There is no shard `.*train-01.tar`. Did you mean `train-001.tar`?"
    with pytest.raises(DataError, match=text):
        list(TarShard(str(tmp_path / "train-01.tar")).samples())
    with pytest.raises(DataError, match="There is no shard `memory://no.tar`."):
        list(TarShard("memory://no.tar").samples())
    with pytest.raises(DataError, match="The shard `http.*no.tar` cannot be read: 404"):
        list(TarShard(web.url("no.tar")).samples())


def test_an_unknown_kind_of_url() -> None:
    with pytest.raises(
        DataError, match="`gopher://x.tar` cannot be read: Protocol not known: gopher"
    ):
        list(TarShard("gopher://x.tar").samples())


@pytest.mark.parametrize("where", ["disk", "memory"])
@pytest.mark.parametrize("what", ["cut", "no tar", "compressed and cut"])
def test_broken_archives_are_named(tmp_path: Path, memory: Any, where: str, what: str) -> None:
    data = archive(FILES)
    data = {
        "cut": data[: len(data) // 3],
        "no tar": b"<html>" * 500,
        "compressed and cut": gzip.compress(data)[:300],
    }[what]
    (tmp_path / "x.tar").write_bytes(data)
    memory.pipe("/x.tar", data)
    url = str(tmp_path / "x.tar") if where == "disk" else "memory://x.tar"
    with pytest.raises(DataError, match=f"The shard `{url}` cannot be read: it is "):
        list(TarShard(url).samples())


def test_two_files_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(archive({"1.jpg": b"1", "1.JPG": b"2"}))
    with pytest.raises(DataError, match="x.tar` has two files `1.jpg` in one sample. Samples need"):
        list(TarShard(str(path)).samples())


def test_another_number_than_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(archive(FILES))
    with pytest.raises(DataError, match="x.tar` holds 3 samples, not 4: it has been"):
        list(TarShard(str(path), count=4).samples())
    assert len(list(TarShard(str(path), count=3).samples())) == 3
