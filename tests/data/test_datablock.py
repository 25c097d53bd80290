from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from presize.core.errors import DataError, ImageError
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform
from presize.data.blocks import (
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    RegressionBlock,
    TransformBlock,
)
from presize.data.datablock import DataBlock
from presize.data.images import PILImage, PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import ColReader, RegexLabeller, parent_label, using_attr
from presize.data.resize import Resize
from presize.data.splits import (
    ColSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    RandomSplitter,
)
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.tensors import TensorCategory, TensorImage, TensorImageBW, TensorMask


def folder_block(**changes):
    return DataBlock(
        **{
            "blocks": (ImageBlock, CategoryBlock),
            "get_items": get_image_files,
            "splitter": GrandparentSplitter(),
            "get_y": parent_label,
            "item_tfms": Resize(32),
        }
        | changes
    )


def names(tfms):
    return [f.name for f in Pipeline(tfms)]


def double(x):
    return x * 2


# ---- from a source to samples ------------------------------------------------------------------


def test_a_folder_becomes_samples_and_batches(picture_folder):
    dsets = folder_block().datasets(picture_folder)
    picture, label = dsets.train[0]
    assert type(picture) is PILImage and isinstance(label, TensorCategory)
    assert (len(dsets.train), len(dsets.valid)) == (24, 12)
    assert (dsets.vocab, dsets.n_inp, dsets.task) == (["cat", "dog"], 1, "classification")
    dls = folder_block().dataloaders(picture_folder, bs=8, num_workers=0)
    x, y = dls.one_batch()
    assert x.shape == (8, 3, 32, 32) and type(x) is TensorImage and 0 <= x.min() <= x.max() <= 1
    assert y.dtype == torch.int64 and dls.task == "classification"


def test_the_default_is_one_input_one_target_and_a_random_fifth_for_validation():
    block = DataBlock(get_x=double, get_y=str)
    dsets = block.datasets(range(10))
    assert (len(dsets.train), len(dsets.valid)) == (8, 2)
    assert sorted(dsets) == [(i * 2, str(i)) for i in range(10)]
    assert dsets.task is None
    x, y = block.dataloaders(range(10), bs=4, num_workers=0).one_batch()
    assert x.tolist() == [int(i) * 2 for i in y]


def test_blocks_may_be_classes_objects_functions_or_one_alone(picture_folder):
    def gray():
        return ImageBlock(PILImageBW)

    for kind in (gray, gray(), ImageBlock(cls=PILImageBW)):
        block = folder_block(blocks=(kind, CategoryBlock()))
        x, _ = block.dataloaders(picture_folder, bs=4, num_workers=0).one_batch()
        assert x.shape == (4, 1, 32, 32) and type(x) is TensorImageBW
    alone = DataBlock(ImageBlock, get_items=get_image_files, item_tfms=Resize(8))
    dls = alone.dataloaders(picture_folder, bs=4, num_workers=0)
    assert len(dls.one_batch()) == 1 and dls.n_inp == 1


def test_a_table_is_its_own_items(picture_folder):
    files = [str(p.relative_to(picture_folder)) for p in get_image_files(picture_folder)]
    frame = pd.DataFrame({"name": files, "label": [f.split("/")[1] for f in files]})
    frame["is_valid"] = frame.name.str.startswith("valid")
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=ColSplitter(),
        get_x=ColReader("name", pref=picture_folder),
        get_y=ColReader("label"),
        item_tfms=Resize(16),
    )
    dls = block.dataloaders(frame, bs=8, num_workers=2)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (24, 12)
    assert list(dls.train_ds.items.columns) == list(frame.columns)
    assert dls.vocab == ["cat", "dog"]
    assert sum(len(y) for _, y in dls.train) == 24


def test_getters_see_whole_items_also_where_these_are_tuples():
    items = [(i, "ab"[i % 2]) for i in range(10)]
    block = DataBlock((TransformBlock, CategoryBlock), get_x=lambda o: o[0], get_y=lambda o: o[1])
    dsets = block.datasets(items)
    assert [int(y) for _, y in dsets] == [0, 1] * 5
    assert [x for x, _ in dsets] == list(range(10))


def test_masks_and_several_labels_and_numbers(tmp_path):
    for i in range(5):
        Image.fromarray(np.full((4, 6), i, dtype=np.uint8)).save(tmp_path / f"{i}.png")
    files = get_image_files(tmp_path)
    masks = DataBlock(
        (ImageBlock, MaskBlock), get_items=get_image_files, splitter=IndexSplitter([4])
    )
    x, y = masks.dataloaders(tmp_path, bs=2, num_workers=0, shuffle=False).one_batch()
    assert type(y) is TensorMask and y.dtype == torch.int64 and y[1].unique().tolist() == [1]
    assert x.max() <= 1
    labels = DataBlock(
        (ImageBlock, MultiCategoryBlock),
        splitter=IndexSplitter([4]),
        get_y=lambda p: ["even"] * (int(p.stem) % 2 == 0) + ["all"],
    )
    dls = labels.dataloaders(files, bs=4, shuffle=False, num_workers=0)
    assert dls.vocab == ["all", "even"] and dls.task == "multilabel"
    assert dls.one_batch()[1].tolist() == [[1, 1], [1, 0], [1, 1], [1, 0]]
    number = DataBlock(
        (ImageBlock, RegressionBlock), splitter=IndexSplitter([4]), get_y=lambda p: float(p.stem)
    )
    dls = number.dataloaders(files, bs=4, shuffle=False, num_workers=0)
    assert dls.task == "regression" and dls.one_batch()[1].dtype == torch.float32


# ---- inputs, targets, counts -------------------------------------------------------------------


def test_of_three_blocks_two_are_inputs_unless_told_otherwise():
    blocks = (TransformBlock, TransformBlock, CategoryBlock)
    two = DataBlock(blocks, get_x=[double, str], get_y=lambda i: "ab"[i % 2])
    assert two.datasets(range(10)).n_inp == 2
    assert two.datasets(range(10))[3][:2] == (6, "3")
    one = DataBlock(blocks, n_inp=1, get_x=double, get_y=[str, lambda i: "ab"[i % 2]])
    sample = one.datasets(range(10))[3]
    assert one.datasets(range(10)).n_inp == 1 and sample[:2] == (6, "3") and int(sample[2]) == 1
    assert one.dataloaders(range(10), bs=2, num_workers=0).n_inp == 1


def test_entries_may_be_pipelines_and_getters_one_list():
    chain = Pipeline([attrgetter("stem"), str.upper])
    block = DataBlock(getters=[None, chain])
    assert block.datasets([Path(f"{c}.jpg") for c in "abcde"])[1] == (Path("b.jpg"), "B")
    listed = DataBlock((TransformBlock,) * 3, get_x=[double, chain], get_y=str)
    assert names(listed._type_tfms(1)) == ["attrgetter", "str.upper"]


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"`get_y` has 2 functions, but there is 1 target: .*Pipe"):
        DataBlock((ImageBlock, CategoryBlock), get_y=[str, str])
    with pytest.raises(ValueError, match="`get_x` has 1 function, but there are 2 inputs.*n_inp="):
        DataBlock((TransformBlock,) * 3, get_x=double)
    with pytest.raises(ValueError, match="`getters` has 1 function, but there are 2 blocks"):
        DataBlock((ImageBlock, CategoryBlock), getters=[double])
    with pytest.raises(ValueError, match="n_inp=3 should say how many of the 2 blocks"):
        DataBlock((ImageBlock, CategoryBlock), n_inp=3)
    with pytest.raises(ValueError, match="`blocks` is empty"):
        DataBlock(())


def test_what_is_no_block_and_no_function_is_refused():
    with pytest.raises(TypeError, match=r"such as \(ImageBlock, CategoryBlock\), but .* 'image'"):
        DataBlock(("image", CategoryBlock))
    with pytest.raises(TypeError, match="`get_y` takes functions, but got 'label'"):
        DataBlock(get_y="label")


def test_unknown_keywords_are_refused(picture_folder):
    with pytest.raises(TypeError, match="item_tfm"):
        DataBlock(item_tfm=Resize(32))
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_worker'. Did you mean"):
        folder_block().dataloaders(picture_folder, num_worker=2)


# ---- transforms --------------------------------------------------------------------------------


def test_transforms_that_blocks_share_come_once_and_the_users_win():
    block = DataBlock((ImageBlock, ImageBlock, CategoryBlock), get_y=str)
    assert names(block.item_tfms) == ["ToTensor"]
    assert names(block.batch_tfms) == ["IntToFloatTensor"]
    mine = block.new(item_tfms=[Resize(8), Resize(4)], batch_tfms=IntToFloatTensor(div=1))
    assert names(mine.item_tfms) == ["Resize", "Resize", "ToTensor"]
    (kept,) = Pipeline(mine.batch_tfms)
    assert kept.div == 1
    functions = block.new(item_tfms=[double, double, Transform(double), Transform(str)])
    assert names(functions.item_tfms).count("double") == 3 and "str" in names(functions.item_tfms)


def test_new_changes_the_users_transforms_only(picture_folder):
    block = folder_block()
    small = block.new(item_tfms=Resize(16))
    assert small.dataloaders(picture_folder, bs=4, num_workers=0).one_batch()[0].shape[-1] == 16
    assert block.dataloaders(picture_folder, bs=4, num_workers=0).one_batch()[0].shape[-1] == 32
    assert names(block.new().item_tfms) == ["ToTensor"]


def test_what_is_learned_from_one_source_does_not_stay_in_the_block():
    block = DataBlock((TransformBlock, CategoryBlock), get_y=lambda o: o)
    assert block.datasets(list("abab" * 3)).vocab == ["a", "b"]
    assert block.datasets(list("xyzxyz" * 3)).vocab == ["x", "y", "z"]


def test_to_tensor_is_there_in_any_case():
    class Bare(TransformBlock):
        def __init__(self):
            super().__init__(type_tfms=PILImage.create)
            self.item_tfms = []

    pictures = [np.zeros((4, 4, 3), dtype=np.uint8)] * 5
    dls = DataBlock(Bare).dataloaders(pictures, bs=2, num_workers=0)
    assert isinstance(dls.after_item[0], ToTensor)
    assert dls.one_batch()[0].shape == (2, 3, 4, 4)


def test_the_chapters_picture_again_and_again(picture_folder):
    picture = get_image_files(picture_folder)[0]
    block = DataBlock(
        blocks=(ImageBlock(), CategoryBlock()), get_y=parent_label, item_tfms=Resize(46)
    )
    dls = block.dataloaders([picture] * 100, bs=8)
    x, _ = dls.valid.one_batch()
    assert x.shape == (8, 3, 46, 46)


def test_verbose_says_what_is_done(picture_folder, capsys):
    folder_block().dataloaders(picture_folder, verbose=True, num_workers=0)
    out = capsys.readouterr().out
    assert (
        f"Collecting items from {picture_folder}\nFound 36 items\n2 datasets of sizes 24,12" in out
    )
    assert "Setting up after_item: Pipeline: Resize" in out


# ---- bad input ---------------------------------------------------------------------------------


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match="`get_image_files` found no items in `.*`. Check the"):
        folder_block().datasets(tmp_path)
    with pytest.raises(DataError, match="The source is empty: there are no items in this list"):
        DataBlock().datasets([])
    with pytest.raises(DataError, match="one path, `.*`, and without `get_items`.*get_image"):
        DataBlock().datasets(tmp_path)


def test_a_pattern_that_matches_no_name_shows_it_and_two_names(picture_folder):
    block = folder_block(get_y=using_attr(RegexLabeller(r"(.+)_\d+\.jpg$"), "name"))
    with pytest.raises(DataError) as caught:
        block.dataloaders(picture_folder)
    text = str(caught.value)
    assert r"The pattern `(.+)_\d+\.jpg$` matches none of the 24 names" in text
    assert "`0.jpg` and `1.jpg`" in text


@pytest.mark.parametrize(
    ("splitter", "empty"),
    [
        (RandomSplitter(0.0), "validation"),
        (RandomSplitter(1.0), "training"),
        (FuncSplitter(lambda p: False), "validation"),
        (lambda items: ([], [1, 2]), "training"),
    ],
)
def test_a_splitter_that_leaves_a_set_empty(picture_folder, splitter, empty):
    with pytest.raises(DataError, match=f"leaves the {empty} set empty: of 36 items"):
        folder_block(splitter=splitter).dataloaders(picture_folder)


def test_a_single_class(picture_folder):
    block = folder_block(get_items=lambda p: get_image_files(p, folders="train"))
    one = block.new()
    one.splitter, one.getters = RandomSplitter(), [None, lambda p: "cat"]
    with pytest.raises(DataError, match="There is only one class, `cat`, so there is nothing to"):
        one.dataloaders(picture_folder)


def test_a_label_that_only_validation_has(picture_folder):
    (picture_folder / "valid/cow").mkdir()
    Image.new("RGB", (40, 40)).save(picture_folder / "valid/cow/0.jpg")
    with pytest.raises(DataError) as caught:
        folder_block().dataloaders(picture_folder)
    text = str(caught.value)
    assert "The label `cow` is in validation (or test) but not in training" in text
    assert "CategoryBlock(vocab=[...])" in text
    given = folder_block(blocks=(ImageBlock, CategoryBlock(vocab=["cat", "cow", "dog"])))
    assert given.dataloaders(picture_folder, num_workers=0).vocab == ["cat", "cow", "dog"]


def test_labels_of_the_wrong_kind(picture_folder):
    with pytest.raises(DataError, match="A label is a text or a number, but `get_y` gave .*Path"):
        folder_block(get_y=lambda p: p).dataloaders(picture_folder)
    with pytest.raises(DataError, match="One label is expected for each item.*MultiCategoryBlock"):
        folder_block(get_y=lambda p: ["a", "b"]).dataloaders(picture_folder)
    with pytest.raises(DataError, match="A number, or a list of numbers, is expected as"):
        folder_block(blocks=(ImageBlock, RegressionBlock)).dataloaders(picture_folder)


def test_an_unreadable_picture_is_named(picture_folder):
    broken = picture_folder / "train/cat/3.jpg"
    broken.write_bytes(b"no picture")
    for num_workers in (0, 2):
        options = {"bs": 24, "num_workers": num_workers, "on_bad": "raise"}
        dls = folder_block().dataloaders(picture_folder, **options)
        with pytest.raises(ImageError, match=r"train/cat/3.jpg` cannot be read") as caught:
            list(dls.train)
        assert caught.value.path == broken
        assert any("of the data set" in note for note in caught.value.__notes__)


def test_pictures_of_many_sizes_say_that_resize_is_missing(picture_folder):
    dls = folder_block(item_tfms=None).dataloaders(picture_folder, bs=8, num_workers=0)
    with pytest.raises(DataError, match=r"0-th members .* shapes\n.*\n.*item_tfms=Resize\(224\)"):
        dls.one_batch()


def test_a_function_that_fails_is_named_with_its_item(picture_folder):
    def fail(p):
        raise KeyError("no such row")

    block = folder_block(blocks=(ImageBlock, TransformBlock), get_y=fail)
    dls = block.dataloaders(picture_folder, bs=4, num_workers=0)
    with pytest.raises(DataError, match=r"Item \d+, `.*jpg` could not be made .*fail`: KeyError"):
        dls.one_batch()


def test_a_get_y_that_fails_is_named_with_its_item(picture_folder):
    def second_part(p):
        return p.stem.split("_")[1]

    said = r"Item 0, `.*jpg` could not be made .*second_part`: IndexError: list index out of range"
    for target in (CategoryBlock, MultiCategoryBlock, RegressionBlock):
        with pytest.raises(DataError, match=said):
            folder_block(blocks=(ImageBlock, target), get_y=second_part).datasets(picture_folder)


def test_a_label_that_only_validation_has_is_named_with_its_file(picture_folder):
    (picture_folder / "valid/cow").mkdir()
    Image.new("RGB", (40, 40)).save(picture_folder / "valid/cow/0.jpg")
    with pytest.raises(DataError) as caught:
        folder_block().datasets(picture_folder)
    assert any("valid/cow/0.jpg`" in note for note in caught.value.__notes__)


def test_options_are_checked_before_the_time_that_reading_takes():
    def read(source):
        raise AssertionError("was read")

    with pytest.raises(TypeError, match="'batch_size'. Did you mean `bs`"):
        folder_block(get_items=read).dataloaders(".", batch_size=8)
