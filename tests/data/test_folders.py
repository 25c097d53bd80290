import inspect
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from presize.core.errors import DataError
from presize.data.blocks import CategoryBlock
from presize.data.folders import ImageDataLoaders
from presize.data.images import PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import RegexLabeller
from presize.data.resize import Resize
from presize.data.tensorise import IntToFloatTensor

SMALL = {"item_tfms": Resize(16), "num_workers": 0, "bs": 4}


@pytest.fixture
def named_pictures(tmp_path):
    """Files such as `cat_3.png` in one folder, and as many in `more/`."""
    for i in range(20):
        label = ("cat", "dog")[i % 2]
        folder = tmp_path / "more" if i >= 10 else tmp_path
        folder.mkdir(exist_ok=True)
        pixels = np.full((16, 16, 3), i, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{label}_{i}.png")
    return tmp_path


def labels_of(dls):
    """Check that each label belongs to its file; return how many are for training, validation."""
    for ds in (dls.train_ds, dls.valid_ds):
        for i, (_, y) in enumerate(ds):
            item = ds.items[i]
            item = item[0] if isinstance(item, tuple) else item
            assert dls.vocab[int(y)] in str(item)
    return len(dls.train_ds), len(dls.valid_ds)


def test_from_folder(picture_folder):
    dls = ImageDataLoaders.from_folder(picture_folder, **SMALL)
    assert type(dls) is ImageDataLoaders
    assert labels_of(dls) == (24, 12)
    assert dls.path == picture_folder and dls.task == "classification"
    assert dls.one_batch()[0].shape == (4, 3, 16, 16)
    drawn = ImageDataLoaders.from_folder(picture_folder, valid_pct=0.25, seed=1, **SMALL)
    assert labels_of(drawn) == (27, 9)
    again = ImageDataLoaders.from_folder(picture_folder, valid_pct=0.25, seed=1, **SMALL)
    assert again.valid_ds.items == drawn.valid_ds.items
    given = ImageDataLoaders.from_folder(picture_folder, vocab=["dog", "cat"], **SMALL)
    assert sorted(given.vocab) == ["cat", "dog"]
    named = ImageDataLoaders.from_folder(picture_folder, train="valid", valid="train", **SMALL)
    assert labels_of(named) == (12, 24)


def test_from_path_and_name(named_pictures):
    files = get_image_files(named_pictures)
    make = ImageDataLoaders
    label = lambda text: text.split("_")[0]  # noqa: E731
    for dls in (
        make.from_path_func(named_pictures, files, lambda p: label(p.name), **SMALL),
        make.from_path_funcs(named_pictures, files, lambda p: label(p.name), **SMALL),
        make.from_name_func(named_pictures, files, label, **SMALL),
        make.from_path_re(named_pictures, files, r"/([^/]+)_\d+.png$", **SMALL),
        make.from_name_re(named_pictures, files, r"^(.+)_\d+.png$", **SMALL),
        make.from_name_func(
            named_pictures, [str(f) for f in files], RegexLabeller(r"(.+)_"), **SMALL
        ),
    ):
        assert dls.vocab == ["cat", "dog"]
        assert labels_of(dls) == (16, 4)
        assert dls.one_batch()[0].shape == (4, 3, 16, 16)
    a, b = (make.from_name_func(named_pictures, files, label, 0.5, 3, **SMALL) for _ in range(2))
    assert a.valid_ds.items == b.valid_ds.items and len(a.valid_ds) == 10


def test_from_tables_and_lists(named_pictures):
    files = get_image_files(named_pictures)
    names = [str(f.relative_to(named_pictures)) for f in files]
    frame = pd.DataFrame({"name": names, "label": [f.name.split("_")[0] for f in files]})
    frame["held_out"] = [i % 4 == 0 for i in range(20)]
    frame["tags"] = frame.label + " animal"
    frame["stem"] = [n.removesuffix(".png") for n in names]
    frame.to_csv(named_pictures / "labels.csv", index=False)
    make = ImageDataLoaders
    lists = make.from_lists(named_pictures, names, list(frame.label), **SMALL)
    assert labels_of(lists) == (16, 4)
    for options in (
        {},
        {"fn_col": "name", "label_col": "label"},
        {"fn_col": "stem", "suff": ".png"},
    ):
        for dls in (
            make.from_df(frame, named_pictures, seed=1, **options, **SMALL),
            make.from_csv(named_pictures, seed=1, **options, **SMALL),
        ):
            assert dls.vocab == ["cat", "dog"]
            assert (len(dls.train_ds), len(dls.valid_ds)) == (16, 4)
            assert dls.one_batch()[0].shape == (4, 3, 16, 16)
    held = make.from_df(frame, named_pictures, valid_col="held_out", **SMALL)
    assert len(held.valid_ds) == 5
    tags = make.from_csv(named_pictures, label_col="tags", label_delim=" ", **SMALL)
    assert tags.vocab == ["animal", "cat", "dog"] and tags.task == "multilabel"
    inner = frame[frame.name.str.startswith("more")].assign(name=lambda f: f.name.str[5:])
    folder = make.from_df(inner, named_pictures, folder="more", seed=1, **SMALL)
    assert labels_of_rows(folder) == {"cat", "dog"}


def labels_of_rows(dls):
    return set(dls.train_ds.items.label)


def test_the_kind_of_target_follows_the_first_label(named_pictures):
    files = get_image_files(named_pictures)
    make = ImageDataLoaders.from_lists
    assert make(named_pictures, files, [["a"], ["a", "b"]] * 10, **SMALL).task == "multilabel"
    assert make(named_pictures, files, [0.5, 1.5] * 10, **SMALL).task == "regression"
    assert make(named_pictures, files, [1, 2] * 10, **SMALL).task == "classification"
    by_hand = make(named_pictures, files, [0.5, 1.5] * 10, y_block=CategoryBlock, **SMALL)
    assert by_hand.vocab == [0.5, 1.5]
    with pytest.raises(DataError, match="There are 20 files, but 3 labels"):
        make(named_pictures, files, [1, 2, 3], **SMALL)


def test_gray_pictures_and_batch_transforms(picture_folder):
    dls = ImageDataLoaders.from_folder(
        picture_folder, img_cls=PILImageBW, batch_tfms=IntToFloatTensor(div=1), **SMALL
    )
    x, _ = dls.one_batch()
    assert x.shape == (4, 1, 16, 16) and x.max() > 1


def test_options_of_the_loaders(picture_folder):
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(8), bs=5, val_bs=7, shuffle=False, device="cpu"
    )
    assert (dls.train.bs, dls.valid.bs, dls.train.shuffle) == (5, 7, False)
    assert [len(y) for _, y in dls.train] == [5, 5, 5, 5, 4]
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        ImageDataLoaders.from_folder(picture_folder, size=8)


def test_the_options_are_in_the_signatures():
    for name, method in inspect.getmembers(ImageDataLoaders, inspect.ismethod):
        if name.startswith("from_") and name not in ("from_dsets", "from_dblock"):
            last = list(inspect.signature(method).parameters.values())[-1]
            assert "ImageOptions" in str(last.annotation), name


def test_missing_folders_and_tables(tmp_path, picture_folder):
    with pytest.raises(DataError) as caught:
        ImageDataLoaders.from_folder(picture_folder, valid="val")
    assert str(caught.value) == (
        f"`{picture_folder}` has no folder `val`, where from_folder looks for pictures. Did you "
        "mean `valid`? The folders in it are: `train`, `valid`. Name them with train= and valid=, "
        "or have a part of all pictures drawn for validation with valid_pct=0.2."
    )
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        ImageDataLoaders.from_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="There is no table .*labels.csv`. The .csv files"):
        ImageDataLoaders.from_csv(picture_folder)


def test_the_real_digits_are_quick(mnist_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dls = ImageDataLoaders.from_folder(mnist_path, bs=64)
    assert dls.vocab == ["3", "7"]
    start, seen = time.perf_counter(), 0
    for x, y in dls.train:
        assert x.shape == (64, 3, 28, 28) and y.dtype == torch.int64
        seen += len(y)
        if seen >= 1024:
            break
    assert time.perf_counter() - start < 5


def test_arguments_that_were_mixed_up(named_pictures):
    files, label = get_image_files(named_pictures), lambda name: name.split("_")[0]
    with pytest.raises(TypeError, match=r"A list of files is expected.*get_image_files\(folder"):
        ImageDataLoaders.from_name_func(named_pictures, named_pictures, label)
    with pytest.raises(TypeError, match="comes first and the files second, but the first is a L"):
        ImageDataLoaders.from_name_func(files, files, label)
    with pytest.raises(TypeError, match="from_df takes a DataFrame, but got 'a.csv' .*from_csv"):
        ImageDataLoaders.from_df("a.csv", named_pictures)


def test_an_empty_list_of_files_names_the_folder(tmp_path):
    label = r"(.+)_\d+.jpg$"
    for make in (ImageDataLoaders.from_name_re, ImageDataLoaders.from_lists):
        with pytest.raises(DataError, match=r"`fnames` is empty.* is `.*`, which is empty; give"):
            make(tmp_path, get_image_files(tmp_path), label)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "more").mkdir()
    with pytest.raises(DataError) as caught:
        ImageDataLoaders.from_name_func(tmp_path, [], str)
    assert str(caught.value) == (
        "There are no files to make loaders of: `fnames` is empty. The folder of the data is "
        f"`{tmp_path}`, with `more/`, `notes.txt` in it; give the files in it, "
        "`get_image_files(folder)`."
    )
    with pytest.raises(DataError, match="nowhere`, which does not exist"):
        ImageDataLoaders.from_name_func(tmp_path / "nowhere", [], str)


@pytest.mark.parametrize("columns", [{"fn_col": "nam"}, {"label_col": "labl"}])
def test_a_column_that_is_not_there_is_told_before_the_first_batch(named_pictures, columns):
    frame = pd.DataFrame({"name": ["cat_0.png", "dog_1.png"] * 5, "label": ["cat", "dog"] * 5})
    with pytest.raises(DataError, match="There is no column `.*Did you mean `.*The columns are"):
        ImageDataLoaders.from_df(frame, named_pictures, **columns)
