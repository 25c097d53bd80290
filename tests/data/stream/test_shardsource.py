"""Shards as the source of a data block: what comes out is what comes out of the same files."""

import io
import json
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from presize.augment.presets import aug_transforms
from presize.core.errors import DataError, ImageError
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import ColReader, parent_label
from presize.data.resize import Resize
from presize.data.splits import FuncSplitter, RandomSplitter
from presize.data.stream.shardlist import shard_sizes
from presize.data.stream.shardsample import ShardSample
from presize.data.stream.shardsource import ShardItems, ShardLabel, Shards
from presize.learner import Learner

CLASSES = ["cat", "dog"]


def write(path: Path, files: Sequence[Path], *, label: str = "cls") -> None:
    with tarfile.open(path, "w") as tar:
        for number, file in enumerate(files):
            name = file.parent.name
            told = {
                "cls": str(CLASSES.index(name) if name in CLASSES else 0).encode(),
                "txt": name.encode(),
                "json": json.dumps({"animal": name}).encode(),
            }[label]
            for ending, data in (("jpg", file.read_bytes()), (label, told)):
                info = tarfile.TarInfo(f"{number:04d}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_all(folder: Path, pictures: Path, *, per: int = 5, label: str = "cls") -> list[Path]:
    """Write train-000.tar to train-004.tar and valid-000.tar to valid-002.tar."""
    folder.mkdir(exist_ok=True)
    made = []
    for part in ("train", "valid"):
        files = list(get_image_files(pictures / part))
        for number, first in enumerate(range(0, len(files), per)):
            made.append(folder / f"{part}-{number:03d}.tar")
            write(made[-1], files[first : first + per], label=label)
    return made


@pytest.fixture
def folder(tmp_path: Path, picture_folder: Path) -> Path:
    write_all(tmp_path / "shards", picture_folder)
    return tmp_path / "shards"


@pytest.fixture
def source(folder: Path) -> Shards:
    return Shards(folder / "train-{000..004}.tar", folder / "valid-*.tar", classes=CLASSES)


@pytest.fixture
def memory(folder: Path) -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    for path in folder.iterdir():
        files.pipe(f"/s/{path.name}", path.read_bytes())
    yield files
    files.rm("/", recursive=True)


def block(**options: Any) -> DataBlock:
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        item_tfms=Resize(48),
        batch_tfms=aug_transforms(size=32),
        **options,
    )


def loaders(source: Any, **options: Any) -> Any:
    return block().dataloaders(source, **({"bs": 4, "num_workers": 2, "seed": 3} | options))


def same(first: Any, second: Any) -> bool:
    batches, others = list(first), list(second)
    return len(batches) == len(others) and all(
        torch.equal(a, b)
        for x, y in zip(batches, others, strict=True)
        for a, b in zip(x, y, strict=True)
    )


# ---- the same as from files ----------------------------------------------------------------


def test_batches_are_those_of_the_files(source: Shards, picture_folder: Path) -> None:
    from_files = block(
        get_items=get_image_files,
        splitter=FuncSplitter(lambda path: path.parent.parent.name == "valid"),
        get_y=parent_label,
    )
    files = from_files.dataloaders(picture_folder, bs=4, num_workers=2, seed=3, shuffle=False)
    shards = loaders(source, shuffle=False)
    assert shards.vocab == files.vocab == CLASSES
    assert len(shards.train) == len(files.train)
    assert same(shards.train, files.train)
    assert same(shards.valid, files.valid)


@pytest.mark.parametrize("workers", [0, 1, 7])
def test_workers_change_nothing(source: Shards, workers: int) -> None:
    one, other = loaders(source), loaders(source, num_workers=workers)
    for _ in range(2):
        assert same(one.train, other.train)


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_workers_that_are_processes(source: Shards, memory: Any, where: str) -> None:
    if where == "memory":
        urls = "memory://s/train-{000..004}.tar", "memory://s/valid-{000..002}.tar"
        source = Shards(*urls, n=24, valid_n=12, classes=CLASSES)
    # More than cuts, which threads make without Python in between.
    gray = DataBlock((ImageBlock, CategoryBlock), item_tfms=[Resize(48), v2.Grayscale(3)])
    threads = gray.dataloaders(source, bs=4, num_workers=2, seed=3)
    dls = gray.dataloaders(source, bs=4, num_workers=2, seed=3, processes=True)
    try:
        assert same(dls.train, threads.train)
    finally:
        dls.train.close()


def test_from_afar_it_is_the_same(source: Shards, memory: Any) -> None:
    urls = "memory://s/train-{000..004}.tar", "memory://s/valid-{000..002}.tar"
    far = Shards(*urls, n=24, valid_n=12, classes=CLASSES)
    assert same(loaders(source).train, loaders(far).train)
    assert same(loaders(source).valid, loaders(far).valid)


def test_every_sample_comes_once_an_epoch(source: Shards) -> None:
    dls = loaders(source, drop_last=False)
    first, second = (torch.cat([y for _, y in dls.train]).tolist() for _ in range(2))
    assert sorted(first) == sorted(second) == [0] * 12 + [1] * 12
    assert first != second


def test_it_is_shown_decoded_and_summed_up(source: Shards, capsys: Any) -> None:
    dls = loaders(source)
    dls.show_batch(max_n=4)
    dls.train.show_batch(max_n=3, unique=True)
    assert [str(label) for _, label in dls.train.decode_batch(dls.one_batch(), max_n=2)]
    block().summary(source)
    assert "ShardSample(" in capsys.readouterr().out


def test_a_model_learns_from_it(source: Shards, picture_folder: Path, folder: Path) -> None:
    dls = loaders(source)
    net = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, 2))
    learn = Learner(dls, net, loss_func=nn.CrossEntropyLoss())
    with learn.no_bar(), learn.no_logging():
        learn.fit(2, 1e-3)
    preds, targets = learn.get_preds()
    assert preds.shape == (12, 2)
    assert targets.tolist() == [0] * 6 + [1] * 6
    one = get_image_files(picture_folder / "valid")[0]
    assert learn.predict(one)[0] in CLASSES
    assert torch.allclose(learn.predict(one)[2], preds[0].cpu(), atol=1e-5)
    test = dls.test_dl(ShardItems(folder / "valid-*.tar"))
    assert torch.equal(learn.get_preds(dl=test)[0], preds)


# ---- labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "get_y"),
    [("txt", ColReader("txt")), ("json", lambda sample: sample["json"]["animal"])],
)
def test_labels_of_other_kinds(
    tmp_path: Path, picture_folder: Path, label: str, get_y: Any
) -> None:
    write_all(tmp_path / "s", picture_folder, label=label)
    source = Shards(tmp_path / "s/train-*.tar", tmp_path / "s/valid-*.tar")
    assert block(get_y=get_y).dataloaders(source, bs=4).vocab == CLASSES
    with pytest.raises(
        DataError, match=f"has no label `cls`: its members are `jpg`, `{label}`.*get_y="
    ):
        block().dataloaders(source, bs=4)


def test_class_numbers_without_names(folder: Path) -> None:
    source = Shards(folder / "train-*.tar", folder / "valid-*.tar")
    assert block().dataloaders(source, bs=4).vocab == [0, 1]


def test_the_order_of_the_classes_is_kept(folder: Path) -> None:
    source = Shards(folder / "train-*.tar", folder / "valid-*.tar", classes=["zebra", "ape"])
    assert block().dataloaders(source, bs=4).vocab == ["zebra", "ape"]


def test_more_classes_than_names() -> None:
    sample = ShardSample("a.tar", "1", {"cls": b"2"})
    text = "The label `cls` of the sample `a.tar/1` is 2, but there are 2 classes, 0 to 1."
    with pytest.raises(DataError, match=text):
        ShardLabel(classes=CLASSES)(sample)
    assert ShardLabel()(sample) == 2


def test_classes_are_not_learned_from_afar(memory: Any) -> None:
    source = Shards("memory://s/train-{000..004}.tar", "memory://s/valid-000.tar", n=24, valid_n=5)
    with pytest.raises(
        DataError, match=r"would have to be fetched. Give them: CategoryBlock\(vocab"
    ):
        loaders(source)


# ---- which shards ----------------------------------------------------------------------------


def test_a_share_of_the_shards_is_for_validation(folder: Path) -> None:
    source = Shards(folder / "train-*.tar", valid_pct=0.4, seed=1)
    assert len(source.train) + len(source.valid) == 24
    assert {s.name for s in source.train.shards}.isdisjoint(s.name for s in source.valid.shards)
    again = Shards(folder / "train-*.tar", valid_pct=0.4, seed=1)
    assert [s.name for s in again.valid.shards] == [s.name for s in source.valid.shards]
    assert len(source.valid.shards) == 2
    assert repr(source).startswith("Shards: ")


def test_one_shard_cannot_be_divided(folder: Path) -> None:
    with pytest.raises(
        DataError, match="There is one shard, .*Name the others, valid=..., or write"
    ):
        Shards(folder / "train-000.tar")


def test_a_splitter_has_nothing_to_split(source: Shards) -> None:
    with pytest.raises(DataError, match="has its own training and validation sets .*leave out"):
        block(splitter=RandomSplitter()).datasets(source)


def test_numbers_below_one(folder: Path) -> None:
    with pytest.raises(ValueError, match="buffer is a number from 1 on, but got 0."):
        Shards(folder / "train-*.tar", buffer=0)


def test_two_ranks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    labels, counts = [], []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        source = Shards(folder / "train-*.tar", folder / "valid-*.tar", classes=CLASSES)
        dls = loaders(source, drop_last=False)
        counts.append(sum(len(y) for _, y in dls.train))
        labels += [y for _, y in dls.valid]
    assert counts == [12, 12]
    assert torch.cat(labels).bincount().tolist() == [6, 6]
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(DataError, match="There are 4 processes, but 3 shards to share"):
        Shards(folder / "train-*.tar", folder / "valid-*.tar")


# ---- errors ----------------------------------------------------------------------------------


def test_an_unreadable_picture_is_named(tmp_path: Path, folder: Path) -> None:
    broken = tmp_path / "cat/x.jpg"
    broken.parent.mkdir()
    broken.write_bytes(b"\xff\xd8\xff\xe0 and no more")
    write(folder / "train-001.tar", [broken])
    source = Shards(folder / "train-*.tar", folder / "valid-*.tar", classes=CLASSES)
    with pytest.raises(
        ImageError, match=r"^`.*/train-001.tar/0000.jpg` cannot be read: it is a JPEG"
    ):
        list(loaders(source, on_bad="raise").train)
    dls = block().dataloaders(source, tmp_path, bs=1)
    with pytest.warns(UserWarning, match="1 picture could not be read and was left out"):
        assert len(list(dls.train)) == 19
    assert "train-001.tar/0000" in (tmp_path / "quarantine.csv").read_text()


def test_a_broken_shard_is_named_where_it_is_read(source: Shards, folder: Path) -> None:
    dls = loaders(source)
    whole = (folder / "train-001.tar").read_bytes()
    (folder / "train-001.tar").write_bytes(whole[:1000])
    with pytest.raises(
        DataError, match="The shard `.*train-001.tar` cannot be read: it is cut short"
    ):
        list(dls.train)


def test_dropped_passes_leave_no_thread(memory: Any) -> None:
    urls = "memory://s/train-{000..004}.tar", "memory://s/valid-{000..002}.tar"
    dls = loaders(Shards(*urls, n=24, valid_n=12, classes=CLASSES))
    before = threading.active_count()
    for _ in range(20):
        next(iter(dls.train))
    assert threading.active_count() == before


@pytest.mark.parametrize("batches", [0, 3, 6])
def test_a_loader_goes_on_where_another_one_was(source: Shards, batches: int) -> None:
    first, second = loaders(source).train, loaders(source).train
    list(first)
    under_way = iter(first)
    before = [next(under_way) for _ in range(batches)]
    second.load_state_dict(first.state_dict())
    under_way.close()
    rest = list(second) if batches < 6 else []
    third = loaders(source).train
    third.set_epoch(1)
    assert same([*before, *rest], third)


# ---- a run that is killed --------------------------------------------------------------------

RUN = """
import sys
from presize.data.stream.shardsource import Shards
source = Shards(sys.argv[1], valid_pct=0.2, buffer=7, readers=2)
for key, sample in source.train.entries(shuffle=True, seed=5, epoch=2):
    print(key, sample.name, flush=True)
    if key == 8:
        sys.stdin.read()  # until it is killed
"""


def entries(folder: Path, start: int) -> list[str]:
    train = Shards(folder / "train-*.tar", valid_pct=0.2, buffer=7, readers=2).train
    found = train.entries(shuffle=True, seed=5, epoch=2, start=start)
    return [f"{key} {sample.name}" for key, sample in found]


def test_a_killed_run_goes_on_where_it_was(folder: Path) -> None:
    command = [sys.executable, "-c", RUN, str(folder / "train-*.tar")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        done = [process.stdout.readline().strip() for _ in range(9)]
        process.send_signal(signal.SIGKILL)
    shard_sizes(folder / "train-*.tar", write=True)  # known now, which changes nothing
    assert done + entries(folder, 9) == entries(folder, 0)
