import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from presize.core.errors import DataError
from presize.data.stream.shardlist import expanded, shard_sizes, shards_of


def write(path: Path, n: int) -> Path:
    with tarfile.open(path, "w") as tar:
        for i in range(n):
            info = tarfile.TarInfo(f"{i}.cls")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"1"))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        write(tmp_path / f"train-{i:03d}.tar", 4 + i)
    return tmp_path


@pytest.fixture
def memory(folder: Path) -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    for path in folder.iterdir():
        files.pipe(f"/birds/{path.name}", path.read_bytes())
    yield files
    files.rm("/", recursive=True)


def test_patterns(folder: Path) -> None:
    names = [f"train-{i:03d}.tar" for i in range(3)]
    assert expanded("train-{000..002}.tar") == names
    assert expanded(["train-{000,001}.tar", Path(names[2])]) == names
    assert expanded("s3://b/{a,b}/{0..1}.tar") == [
        f"s3://b/{x}/{i}.tar" for x in "ab" for i in "01"
    ]
    assert expanded(str(folder / "train-*.tar")) == [str(folder / name) for name in names]


def test_patterns_that_match_nothing(folder: Path) -> None:
    with pytest.raises(DataError, match=r"There are no shards `.*/valid-\*.tar`: nothing matches"):
        expanded(folder / "valid-*.tar")
    with pytest.raises(DataError, match="There are no shards: the list is empty"):
        expanded([])
    with pytest.raises(TypeError, match=r"paths or URLs, but one is 3 \(int\)"):
        expanded([3])  # type: ignore[list-item]


def counts(urls: Any, *, count: bool = True) -> Any:
    shards, total = shards_of(urls, count=count)
    return [shard.count for shard in shards], total


def test_shards_on_a_disk_are_counted(folder: Path) -> None:
    assert counts(folder / "train-*.tar") == ([4, 5, 6], None)
    assert counts(folder / "train-*.tar", count=False) == ([None] * 3, None)


def test_numbers_beside_the_shards(memory: Any) -> None:
    urls = "memory://birds/train-{000..002}.tar"
    assert counts(urls) == ([None] * 3, None)
    memory.pipe("/birds/__len__", b"15")
    assert counts(urls) == ([None] * 3, 15)
    memory.pipe(
        "/birds/sizes.json", b'{"train-000.tar": 4, "train-001.tar": 5, "train-002.tar": 6}'
    )
    assert counts(urls) == ([4, 5, 6], None)


def test_numbers_of_some_shards_only(folder: Path) -> None:
    (folder / "sizes.json").write_text('{"train-000.tar": 40}')
    assert counts(folder / "train-*.tar") == ([40, 5, 6], None)


@pytest.mark.parametrize("text", ['{"train-000.tar": "many"}', "[1]"])
def test_a_file_of_sizes_that_holds_something_else(folder: Path, text: str) -> None:
    (folder / "sizes.json").write_text(text)
    with pytest.raises(
        DataError, match=r"sizes.json` should hold the number .*train-000.tar.*1000"
    ):
        counts(folder / "train-*.tar")


def test_a_file_of_sizes_that_is_damaged(folder: Path) -> None:
    (folder / "sizes.json").write_text("{")
    with pytest.raises(DataError, match="sizes.json` is not JSON: .*Correct or remove it"):
        counts(folder / "train-*.tar")
    (folder / "sizes.json").unlink()
    (folder / "__len__").write_text('"15"')
    with pytest.raises(DataError, match="__len__` should be a number, but is '15'"):
        counts(folder / "train-*.tar")


def test_counting(folder: Path, memory: Any) -> None:
    sizes = {"train-000.tar": 4, "train-001.tar": 5, "train-002.tar": 6}
    assert shard_sizes(folder / "train-*.tar") == sizes
    assert shard_sizes("memory://birds/train-{000..002}.tar") == sizes
    assert not (folder / "sizes.json").exists()


def test_what_was_counted_is_found_again(folder: Path) -> None:
    (folder / "sizes.json").write_text('{"other.tar": 7, "train-001.tar": 9}')
    shard_sizes(folder / "train-*.tar", write=True)
    told = json.loads((folder / "sizes.json").read_text())
    assert told == {"other.tar": 7, "train-000.tar": 4, "train-001.tar": 5, "train-002.tar": 6}
    assert counts(folder / "train-*.tar", count=False) == ([4, 5, 6], None)
    assert sorted(p.suffix for p in folder.iterdir()) == [".json", ".tar", ".tar", ".tar"]


def test_several_folders(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = write(tmp_path_factory.mktemp("other") / "train-000.tar", 2)
    urls = [folder / "train-000.tar", other]
    with pytest.raises(DataError, match="same name in several folders"):
        shard_sizes(urls)
    shard_sizes(urls, write=True)
    assert counts(urls, count=False) == ([4, 2], None)


def test_sizes_cannot_be_written_elsewhere(memory: Any) -> None:
    text = (
        "`memory://birds/train-000.tar` is not on a disk.*Write what.*`memory://birds/sizes.json`"
    )
    with pytest.raises(DataError, match=text):
        shard_sizes("memory://birds/train-000.tar", write=True)


def test_one_shard_twice(folder: Path) -> None:
    with pytest.raises(DataError, match="train-000.tar` is listed twice"):
        shard_sizes([folder / "train-000.tar"] * 2)
