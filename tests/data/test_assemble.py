import time

import pytest

from presize.core.errors import ImageError
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter


def block(item_tfms=None):
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=item_tfms or Resize(32),
    )


def unused(x):
    return x


def test_loaders_share_one_cache(picture_folder):
    dls = block().dataloaders(picture_folder, bs=8, num_workers=0)
    assert dls.train.cache is dls.valid.cache
    time.sleep(0.05)  # a file that has just been written might be written again unnoticed
    assert (dls.cache_info().kind, dls.cache_info().pictures) == ("ram", 0)
    for _ in range(2):
        list(dls.train), list(dls.valid)
    info = dls.cache_info()
    assert (info.pictures, info.hits, info.misses) == (36, 36, 36)
    assert dls.new(bs=4).train.cache is dls.train.cache
    assert dls.test_dl(list(dls.valid_ds.items)).cache is None
    assert "36 pictures in memory" in repr(info)


@pytest.mark.parametrize(
    ("options", "kind", "note"),
    [
        ({"cache": False}, "off", "The cache is off."),
        ({"cache": "disk"}, "disk", ""),
        ({"cache_dir": "kept"}, "disk", ""),
        ({"cache_gb": 1e-6}, "off", "36 pictures of about"),
        ({"cache_gb": 1}, "ram", ""),
    ],
)
def test_the_cache_is_as_asked_for(picture_folder, tmp_path, monkeypatch, options, kind, note):
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path / "home"))
    if "cache_dir" in options:
        options = {"cache_dir": tmp_path / "kept"}
    dls = block().dataloaders(picture_folder, bs=8, num_workers=0, **options)
    info = dls.cache_info()
    assert info.kind == kind and note in info.note
    if kind == "disk":
        assert info.folder == tmp_path / ("kept" if options.get("cache_dir") else "home/pictures")
    dls.train.cache and dls.train.cache.close()


def test_a_cache_that_would_not_be_used_is_refused_in_words(picture_folder):
    tfms = [Resize(32), unused]
    assert "only cut them" in block(tfms).dataloaders(picture_folder, bs=8).cache_info().note
    with pytest.warns(UserWarning, match="The cache is off: it keeps pictures as they") as told:
        block(tfms).dataloaders(picture_folder, bs=8, cache="ram")
    assert told[0].filename == __file__
    with pytest.raises(ValueError, match='cache is "auto", "ram", "disk" or False, but got'):
        block().dataloaders(picture_folder, bs=8, cache="memory")


def test_a_bad_picture_does_not_keep_the_cache_from_being_made(picture_folder):
    for file in (picture_folder / "train/cat").glob("*.jpg"):
        file.write_bytes(b"")
    dls = block().dataloaders(picture_folder, bs=8, num_workers=0)
    assert dls.cache_info().kind == "ram"


def test_loaders_share_one_quarantine(picture_folder):
    dls = block().dataloaders(picture_folder, path=picture_folder, bs=8)
    assert dls.quarantine is dls.train.quarantine is dls.valid.quarantine
    assert (dls.quarantine.n_items, dls.train.on_bad, dls.valid.on_bad) == (
        36,
        "replace",
        "replace",
    )
    assert dls.test_dl(list(dls.valid_ds.items)).quarantine is None
    strict = block().dataloaders(picture_folder, bs=8, on_bad="raise")
    assert strict.quarantine is None
    (picture_folder / "train/cat/0.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match="cat/0.jpg"):
        list(strict.train)
    with pytest.raises(ValueError, match="on_bad is"):
        block().dataloaders(picture_folder, bs=8, on_bad="replcae")


def test_the_factories_take_the_same_options(picture_folder):
    dls = ImageDataLoaders.from_folder(
        picture_folder,
        item_tfms=Resize(32),
        bs=4,
        weights="balanced",
        cache=False,
        on_bad="skip",
        num_workers=1,
    )
    assert (dls.train.weights, dls.train.on_bad, dls.cache_info().kind) == (
        "balanced",
        "skip",
        "off",
    )


def test_a_batch_size_that_is_too_large_points_at_the_call(picture_folder):
    with pytest.warns(UserWarning, match="larger than the data set of 24 items") as told:
        dls = block().dataloaders(picture_folder, bs=64)
    assert told[0].filename == __file__
    assert dls.bs == 24


@pytest.mark.parametrize("name", ["pin_memory", "persistent_workers", "worker_init_fn"])
def test_options_of_other_loaders_are_answered(picture_folder, name):
    with pytest.raises(TypeError, match=rf"dataloaders\(\) got an unexpected .*'{name}'\. [A-Z]"):
        block().dataloaders(picture_folder, bs=4, **{name: True})


def test_the_data_can_be_checked(picture_folder):
    (picture_folder / "train/cat/0.jpg").write_bytes(b"")
    report = block().dataloaders(picture_folder, bs=4).check(show=False)
    assert "train/cat/0.jpg" in str(report)


def test_loaders_without_a_cache_or_a_list_say_so():
    dls = DataLoaders(DataLoader([1, 2], 2))
    assert dls.cache_info().kind == "off" and dls.quarantine is None
    foreign = DataLoaders([1, 2])
    assert foreign.cache_info().kind == "off" and foreign.quarantine is None
