import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
import torch.utils.data as tud

from presize.core.errors import DataError
from presize.core.paths import Path
from presize.core.transform import Transform
from presize.data.blocks import (
    CategoryBlock,
    ImageBlock,
    MultiCategoryBlock,
    RegressionBlock,
    TransformBlock,
)
from presize.data.datablock import DataBlock
from presize.data.datasets import Datasets
from presize.data.images import PILImage
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders, TfmdDL, get_c
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.data.vocab import Categorize
from presize.tensors import TensorCategory, TensorImage


class Batches:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


@pytest.fixture
def block():
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=Resize(32),
    )


@pytest.fixture
def dls(block, picture_folder):
    return block.dataloaders(picture_folder, path=picture_folder, bs=8, num_workers=0)


# ---- any loaders -------------------------------------------------------------------------------


def test_the_parts_are_found_by_name_number_and_order():
    train, valid = DataLoader(range(10), 5), DataLoader(range(4), 2)
    dls = DataLoaders(train, valid)
    assert dls.train is dls[0] is train and dls.valid is dls[1] is valid
    assert dls[-1] is valid and list(dls) == [train, valid] and len(dls) == 2
    assert dls.one_batch().tolist() == [0, 1, 2, 3, 4]
    assert dls.path == Path(".") and dls.bs == 5
    assert DataLoaders(train).valid is None
    with pytest.raises(IndexError, match="no loader 2: these are 2, 0 for training"):
        dls[2]


def test_any_iterable_of_batches_is_used_as_it_is():
    batches = [(torch.zeros(2), torch.ones(2))]
    for train in (Batches(batches), batches):
        dls = DataLoaders(train, train)
        assert dls.train is train
        assert dls.one_batch() is batches[0]
        assert (dls.n_inp, dls.task, dls.device) == (None, None, None)
        assert dls.to("meta").device == torch.device("meta")
        with pytest.raises(AttributeError, match="have no `vocab`, nor has their training loader"):
            dls.vocab
    with pytest.raises(DataError, match="the training loader yields none"):
        DataLoaders([]).one_batch()


def test_pytorchs_own_loaders_are_used_as_they_are():
    data = tud.TensorDataset(torch.zeros(4, 2), torch.ones(4))
    train = tud.DataLoader(data, batch_size=2)
    dls = DataLoaders(train, train)
    assert dls.train is train and dls.train_ds is data
    assert dls.one_batch()[0].shape == (2, 2)
    with pytest.raises(TypeError, match="`show_batch` needs a loader that knows its transforms"):
        dls.show_batch()
    with pytest.raises(TypeError, match="test_dl needs loaders that presize made"):
        dls.test_dl([1])


def test_the_device_is_that_of_the_loaders_until_they_are_moved():
    dls = DataLoaders(DataLoader(range(4), 2), DataLoader(range(4), 2))
    assert dls.device is None
    assert dls.to("meta") is dls
    assert dls.device == torch.device("meta") and dls.valid.device == torch.device("meta")
    assert dls.cpu().device == torch.device("cpu")
    assert DataLoaders(DataLoader(range(4), 2), device="meta").one_batch().device.type == "meta"


# ---- made from data sets -----------------------------------------------------------------------


def test_data_sets_make_loaders():
    dsets = Datasets(["b", "a", "c", "b"], [None, Categorize], splits=[[0, 1, 2], [3]])
    dls = dsets.dataloaders(bs=2, num_workers=0, shuffle=False, device="cpu")
    assert [len(b[0]) for b in dls.train] == [2, 1] and len(dls.valid) == 1
    assert dls.vocab == ["a", "b", "c"]
    assert dls.one_batch()[0] == ("b", "a")
    assert isinstance(dls.train.after_item[0], ToTensor)
    with pytest.raises(TypeError, match="unexpected keyword argument 'shufle'. Did you mean"):
        dsets.dataloaders(shufle=True)
    with pytest.raises(TypeError, match="Did you mean `bs`"):
        dsets.dataloaders(batch_size=3)


def test_shuffled_training_drops_a_short_last_batch_unless_told_not_to(block, picture_folder):
    dls = block.dataloaders(picture_folder, bs=10, val_bs=5, num_workers=0)
    assert (len(dls.train), len(dls.valid)) == (2, 3)
    assert [len(y) for _, y in dls.train] == [10, 10]
    assert [len(y) for _, y in dls.valid] == [5, 5, 2]
    whole = block.dataloaders(picture_folder, bs=10, drop_last=False, num_workers=0)
    assert len(whole.train) == 3


def test_small_data_is_one_batch_and_too_large_a_batch_is_warned_about(block, picture_folder):
    assert block.dataloaders(picture_folder, num_workers=0).train.bs == 24
    with pytest.warns(UserWarning, match="batch size 100 is larger than the data set of 24"):
        dls = block.dataloaders(picture_folder, bs=100, num_workers=0)
    assert len(dls.train) == 1 and len(dls.one_batch()[0]) == 24


def test_workers_and_device_have_defaults(block, picture_folder):
    dls = block.dataloaders(picture_folder)
    assert 1 <= dls.train.num_workers <= 16
    assert dls.device is not None
    assert [len(y) for _, y in dls.train] == [24]


def test_training_and_validation_share_what_transforms_learn(block, picture_folder):
    class Centre(Transform):
        order = 20

        def setups(self, items):
            self.mean = items[0][0].mean().item()

        def encodes(self, x: TensorImage):
            return x - self.mean

    dls = block.new(Resize(16), [Centre]).dataloaders(picture_folder, bs=8, num_workers=0)
    assert dls.valid.mean == dls.train.mean == dls.mean
    assert abs(dls.valid.one_batch()[0].mean().item()) < 0.2


def test_three_subsets_make_three_loaders():
    dsets = Datasets(range(9), [None], splits=[[0, 1, 2, 3], [4, 5], [6, 7, 8]])
    dls = dsets.dataloaders(bs=2, num_workers=0)
    assert [len(dl) for dl in dls] == [2, 1, 2]


def test_a_class_of_loaders_of_ones_own():
    class Mine(TfmdDL):
        pass

    dsets = Datasets(range(9), [None], splits=[[0, 1, 2, 3], [4, 5]], dl_type=Mine)
    assert type(dsets.dataloaders(num_workers=0).valid) is Mine
    assert type(dsets.dataloaders(num_workers=0, dl_type=TfmdDL).valid) is TfmdDL


# ---- what the data is --------------------------------------------------------------------------


def test_attributes_of_the_data_are_found(dls, picture_folder):
    assert dls.vocab == ["cat", "dog"]
    assert (dls.c, dls.n_inp, dls.task) == (2, 1, "classification")
    assert dls.path == picture_folder
    assert isinstance(dls.after_batch[0], IntToFloatTensor)
    assert len(dls.train_ds) == 24 and len(dls.valid_ds) == 12
    x, y = dls.one_batch()
    assert type(x) is TensorImage and type(y) is TensorCategory


def test_how_many_outputs_the_data_needs(dls):
    assert get_c(dls) == 2
    items = [(0, ["a"]), (1, ["a", "b"]), (2, ["c"]), (3, [])] * 2
    for kind, read, c in (
        (MultiCategoryBlock, lambda o: o[1], 3),
        (RegressionBlock, lambda o: [1.0, 2.0], 2),
    ):
        several = DataBlock((TransformBlock, kind), get_x=lambda o: o[0], get_y=read)
        made = several.dataloaders(items, num_workers=0, bs=2)
        assert get_c(made) == c
    three = DataBlock(
        (TransformBlock, CategoryBlock, CategoryBlock(vocab="xyz")),
        n_inp=1,
        get_x=lambda o: o,
        get_y=[lambda o: "ab"[o % 2], lambda o: "xyz"[o % 3]],
        splitter=lambda items: (items[:6], items[6:]),
    )
    assert get_c(three.dataloaders(list(range(9)), num_workers=0, bs=2)) == 3
    with pytest.raises(DataError, match="Pass n_out="):
        get_c(DataLoaders([1]))


# ---- others like them --------------------------------------------------------------------------


def test_a_test_loader_takes_the_validation_side_without_targets(dls, picture_folder):
    files = get_image_files(picture_folder / "train")
    dl = dls.test_dl(files)
    assert len(dl.dataset) == 24
    assert [len(b) for b in dl] == [1, 1, 1]
    assert (dl.split_idx, dl.shuffle, dl.drop_last) == (1, False, False)
    labelled = dls.test_dl(files, with_labels=True)
    assert [int(y) for b in labelled for y in b[1]] == [int(y) for _, y in dls.train_ds]


def test_a_test_loader_takes_other_transforms_sizes_and_pictures(dls, picture_folder):
    files = get_image_files(picture_folder)[:3]
    dl = dls.test_dl(files, item_tfms=Resize(16), bs=2, num_workers=0)
    assert [tuple(b[0].shape) for b in dl] == [(2, 3, 16, 16), (1, 3, 16, 16)]
    raw = dls.test_dl(files, batch_tfms=[lambda x: x])
    assert raw.one_batch()[0].dtype == torch.uint8
    picture = PILImage.create(files[0])
    for item in (picture, np.asarray(picture), str(files[0]), files[0].read_bytes()):
        assert dls.test_dl([item]).one_batch()[0].shape == (1, 3, 32, 32)


def test_predictions_are_decoded_by_a_test_loader(dls, picture_folder):
    dl = dls.test_dl(get_image_files(picture_folder)[:2])
    (x,) = dl.one_batch()
    decoded = dl.decode_batch((x, torch.tensor([1, 0])))
    assert [label for _, label in decoded] == ["dog", "cat"]
    assert decoded[0][0].dtype == torch.uint8


def test_one_path_is_not_a_list_of_items(dls):
    with pytest.raises(TypeError, match=r"takes a list of items, but got one, `a.jpg`: write test"):
        dls.test_dl("a.jpg")


def test_items_of_plain_loaders():
    dls = DataLoaders(DataLoader(range(4), 2), DataLoader(range(4), 2, num_workers=1))
    assert [b.tolist() for b in dls.test_dl([7, 8, 9])] == [[7, 8], [9]]


def test_rows_of_a_table_can_be_tested(picture_folder):
    files = [str(p.relative_to(picture_folder)) for p in get_image_files(picture_folder)]
    frame = pd.DataFrame({"name": files, "label": [f.split("/")[1] for f in files]})
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=lambda row: picture_folder / row["name"],
        get_y=lambda row: row["label"],
        item_tfms=Resize(16),
    )
    dls = block.dataloaders(frame, bs=4, num_workers=0)
    assert len(dls.test_dl(frame[:5])) == 2
    assert dls.test_dl([picture_folder / files[0]]).one_batch()[0].shape == (1, 3, 16, 16)


def test_new_options_for_all_loaders(dls):
    small = dls.new(bs=2)
    assert len(small.train) == 12 and len(small.valid) == 6
    assert type(small) is type(dls) and small.path == dls.path


def test_empty_loaders_keep_vocabulary_and_transforms(dls, picture_folder):
    empty = dls.new_empty()
    assert (len(empty.train), len(empty.valid)) == (0, 0)
    assert empty.vocab == ["cat", "dog"]
    dl = empty.test_dl(get_image_files(picture_folder)[:2])
    assert dl.one_batch()[0].shape == (2, 3, 32, 32)


def test_transforms_can_be_added_to_some_loaders(dls):
    dls.add_tfms([lambda x: x * 0], "after_batch", [0])
    assert dls.train.one_batch()[0].max() == 0
    assert dls.valid.one_batch()[0].max() > 0
    dls.add_tfms([Transform], "after_item")
    assert len(dls.valid.after_item) == 3
    with pytest.raises(TypeError, match="`add_tfms` needs a loader"):
        DataLoaders([1]).add_tfms([Transform], "after_item")


def test_loaders_copy_and_pickle(block, picture_folder):
    dls = DataLoaders(DataLoader(range(4), 2), DataLoader(range(4), 2))
    assert len(copy.copy(dls)) == 2
    assert pickle.loads(pickle.dumps(dls)).one_batch().tolist() == [0, 1]
