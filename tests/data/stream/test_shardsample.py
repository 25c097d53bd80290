import pickle
from pathlib import Path

import pytest

from presize.core.errors import DataError
from presize.data.labels import ColReader
from presize.data.stream.shardsample import ShardSample, Span, local_path, split_name


@pytest.fixture
def sample(tmp_path: Path) -> ShardSample:
    (tmp_path / "a.tar").write_bytes(b"----the picture----")
    return ShardSample(
        "a.tar",
        "dir/007",
        {
            "jpg": Span(str(tmp_path / "a.tar"), 4, 11),
            "cls": b"3\n",
            "json": b'{"label": "cat"}',
            "txt": "Käfer".encode(),
            "seg.png": b"mask",
            "npy": b"array",
        },
    )


def test_members_are_what_their_endings_say(sample: ShardSample) -> None:
    assert sample["cls"] == 3
    assert sample["json"] == {"label": "cat"}
    assert sample["txt"] == "Käfer"
    assert sample["npy"] == b"array"
    assert (sample["__key__"], sample["__url__"]) == ("dir/007", "a.tar")
    assert list(sample) == ["jpg", "cls", "json", "txt", "seg.png", "npy"]
    assert len(sample) == 6


def test_pictures_know_their_name(sample: ShardSample) -> None:
    assert sample.picture() == sample["jpg"] == b"the picture"
    assert sample.picture().name == "a.tar/dir/007.jpg"
    assert sample["seg.png"].name == "a.tar/dir/007.seg.png"


def test_what_is_there_and_what_is_not(sample: ShardSample) -> None:
    assert "jpg" in sample
    assert "__key__" in sample
    assert "jpeg" not in sample
    assert sample.get("cls") == 3
    assert sample.get("jpeg", 1) == 1
    text = (
        r"`a.tar/dir/007` has no member `jpeg`. Did you mean `jpg`.*members are: `jpg`, `cls`, `js"
    )
    with pytest.raises(DataError, match=text):
        sample["jpeg"]


def test_a_column_reader_takes_members(sample: ShardSample) -> None:
    assert ColReader("cls")(sample) == 3
    with pytest.raises(DataError, match="There is no column `clss`"):
        ColReader("clss")(sample)


@pytest.mark.parametrize(
    ("member", "data", "text"),
    [
        ("cls", b"three", "`cls` of the sample `a.tar/1` should be a number, but is b'three'"),
        ("json", b"{", r"`json` of the sample `a.tar/1` should be a JSON, but is b'{'"),
        ("txt", b"\xff", "`txt` of the sample `a.tar/1` should be a text"),
    ],
)
def test_members_that_are_not_what_they_should_be(member: str, data: bytes, text: str) -> None:
    with pytest.raises(DataError, match=text):
        ShardSample("a.tar", "1", {member: data})[member]


def test_a_sample_without_a_picture() -> None:
    text = "`a.tar/1` has no picture: its members are `cls`, `raw`..*get_x=ColReader"
    with pytest.raises(DataError, match=text):
        ShardSample("a.tar", "1", {"cls": b"1", "raw": b""}).picture()


def test_a_shard_that_goes_away_meanwhile(sample: ShardSample, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"----the")
    with pytest.raises(DataError, match="`a.tar` has been cut short while it is read"):
        sample.picture()
    (tmp_path / "a.tar").unlink()
    with pytest.raises(DataError, match="`a.tar` cannot be read: .*No such file"):
        sample.picture()


def test_it_goes_to_other_processes(sample: ShardSample) -> None:
    sent = pickle.loads(pickle.dumps(sample))
    assert sent == sample
    assert sent.picture() == b"the picture"
    assert hash(sent) == hash(sample)
    assert sent != "a.tar/dir/007"


def test_its_text_is_short(sample: ShardSample) -> None:
    assert repr(sample) == "ShardSample(a.tar/dir/007: jpg, cls, json, txt, seg.png, npy)"


@pytest.mark.parametrize(
    "name",
    ["1.jpg", "a/b.c/1.left.PNG", "./1.cls", "README", ".hidden", "1.", "a.b/c", "a.b/c.d"],
)
def test_names_are_divided_as_webdataset_does(name: str) -> None:
    from webdataset.tariterators import base_plus_ext

    key, ending = base_plus_ext(name)
    ours = split_name(name)
    assert ours == (key, ending.lower()) if ending else not ours[1]


def test_hidden_files_are_no_part_of_a_sample() -> None:
    assert split_name("a/._1.jpg")[1] == ""  # beside each file that was copied from a Mac


def test_where_a_shard_lies() -> None:
    assert local_path("a/b.tar") == Path("a/b.tar")
    assert local_path("file:///a/b.tar") == Path("/a/b.tar")
    assert local_path("s3://a/b.tar") is None
    assert local_path("simplecache::s3://a/b.tar") is None
