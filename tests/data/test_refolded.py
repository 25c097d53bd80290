import pytest

from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.refolded import folded
from presize.data.resize import Resize

TRAIN, VALID, TEST = [*range(34, 4, -1), 5], [0, 2], [1, 3]
OPTIONS = {"bs": 4, "num_workers": 0, "device": "cpu"}


@pytest.fixture
def files(picture_folder):
    return sorted(get_image_files(picture_folder))


@pytest.fixture
def block():
    return DataBlock(
        (ImageBlock, CategoryBlock), get_y=parent_label, item_tfms=Resize(8),
        splitter=lambda items: (TRAIN, VALID, TEST),
    )  # fmt: skip


def test_of_a_block_the_training_and_validation_items_are_taken_in_their_order(block, files):
    whole = folded(block, files, OPTIONS)
    places = [0, 2, *range(5, 35)]
    assert list(whole.dsets.items) == [files[i] for i in places]
    assert list(whole.places) == places and whole.n_source == 36
    dls = whole.loaders([0, 3, 4, 8], [1, 31])
    assert list(dls.train_ds.items) == [files[i] for i in (0, 6, 7, 11)]
    assert list(dls.valid_ds.items) == [files[2], files[34]]
    assert len(dls) == 2 and dls.vocab == ["cat", "dog"] and dls.task == "classification"


def test_of_loaders_the_training_and_validation_items_are_taken(block, files):
    dls = block.dataloaders(files, **OPTIONS)
    assert len(dls) == 3
    whole = folded(dls, None, {})
    assert list(whole.dsets.items) == [files[i] for i in (*TRAIN, *VALID)]
    assert whole.places is None
