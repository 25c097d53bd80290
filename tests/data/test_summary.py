import random

import numpy as np
import pandas as pd
import pytest
import torch

from presize.core.errors import DataError
from presize.core.randomness import draws
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import ColReader, RegexLabeller, parent_label, using_attr
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter, IndexSplitter, RandomSplitter


def block(**changes):
    return DataBlock(
        **{
            "blocks": (ImageBlock, CategoryBlock),
            "get_items": get_image_files,
            "splitter": GrandparentSplitter(),
            "get_y": parent_label,
        }
        | changes
    )


def test_the_report_of_pictures_that_do_not_collate(pets_path, capsys):
    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
    )
    dsets = pets.datasets(pets_path)
    first, label = dsets.train.items[0], dsets.train[0][1]
    sizes = [(x.height, x.width) for x, _ in dsets.train[:4]]
    with pytest.raises(DataError) as caught:
        pets.summary(pets_path)
    vocab = repr(dsets.vocab)
    size = f"{sizes[0][1]}x{sizes[0][0]}"
    assert vocab.startswith("(#37) ['Abyssinian','Bengal','Birman',")
    assert (
        capsys.readouterr().out
        == f"""\
Setting-up type transforms pipelines
Collecting items from {pets_path}
Found 259 items
2 datasets of sizes 208,51
Setting up Pipeline: PILBase.create
Setting up Pipeline: partial -> Categorize -- {{'vocab': None, 'add_na': False}}

Building one sample
  Pipeline: PILBase.create
    starting from
      {first}
    applying PILBase.create gives
      PILImage mode=RGB size={size}
  Pipeline: partial -> Categorize -- {{'vocab': {vocab}, 'add_na': False}}
    starting from
      {first}
    applying partial gives
      {first.name.rsplit("_", 1)[0]}
    applying Categorize -- {{'vocab': {vocab}, 'add_na': False}} gives
      TensorCategory({int(label)})

Final sample: (PILImage mode=RGB size={size}, TensorCategory({int(label)}))

Setting up after_item: Pipeline: ToTensor
Setting up before_batch: Pipeline: \n\
Setting up after_batch: Pipeline: IntToFloatTensor -- {{'div': 255.0, 'div_mask': 1}}

Building one batch
Applying item_tfms to the first sample:
  Pipeline: ToTensor
    starting from
      (PILImage mode=RGB size={size}, TensorCategory({int(label)}))
    applying ToTensor gives
      (TensorImage of size 3x{sizes[0][0]}x{sizes[0][1]}, TensorCategory({int(label)}))

Adding the next 3 samples

No before_batch transform to apply

Collating items in a batch
Error! It's not possible to collate your items in a batch
Could not collate the 0-th members of your tuples because got the following shapes
{",".join(f"torch.Size([3, {h}, {w}])" for h, w in sizes)}
Bring all pictures to one size with a transform: item_tfms=Resize(224).
"""
    )
    assert str(caught.value) == (
        "The items cannot be collated into a batch. Bring all pictures to one size with a "
        "transform: item_tfms=Resize(224)."
    )
    assert caught.value.__cause__ is None


def test_the_report_of_a_batch_that_can_be_made(picture_folder, capsys):
    block(item_tfms=Resize(32)).summary(picture_folder, bs=3)
    out = capsys.readouterr().out
    assert "Adding the next 2 samples" in out
    assert out.rstrip().endswith(
        "Collating items in a batch\n\n"
        "Applying batch_tfms to the batch\n"
        "  Pipeline: IntToFloatTensor -- {'div': 255.0, 'div_mask': 1}\n"
        "    starting from\n"
        "      (TensorImage of size 3x3x32x32, TensorCategory([0, 0, 0]))\n"
        "    applying IntToFloatTensor -- {'div': 255.0, 'div_mask': 1} gives\n"
        "      (TensorImage of size 3x3x32x32, TensorCategory([0, 0, 0]))"
    )


def test_a_step_that_fails_is_the_last_of_the_report(picture_folder, capsys):
    def shrink(x):
        raise ValueError("too small")

    with pytest.raises(DataError, match=r"`.*shrink` fails on \(PILImage.*ValueError: too small"):
        block(item_tfms=[shrink]).summary(picture_folder)
    assert capsys.readouterr().out.endswith("shrink fails\n")


def test_nothing_is_changed(picture_folder):
    class NumPySplit:
        def __call__(self, items):
            order = np.random.permutation(len(items))  # noqa: NPY002
            random.random()
            return order[10:], order[:10]

    pets = block(item_tfms=Resize(32), splitter=NumPySplit())
    state = lambda: (torch.rand(1).item(), random.random(), np.random.rand())  # noqa: E731, NPY002
    torch.manual_seed(1), random.seed(1), np.random.seed(1)  # noqa: NPY002
    plain = (*state(), draws("x").uniform()[0])
    torch.manual_seed(1), random.seed(1), np.random.seed(1)  # noqa: NPY002
    before = draws("x")._counted._counter[0, 2]
    pets.summary(picture_folder)
    assert state() == plain[:3]
    assert draws("x")._counted._counter[0, 2] == before + 1
    assert [b.type_tfms for b in pets.blocks][1][0].vocab is None


def test_the_batch_can_be_drawn(picture_folder):
    import matplotlib.pyplot as plt

    block(item_tfms=Resize(32)).summary(picture_folder, show_batch=True)
    assert len([ax for ax in plt.gcf().axes if ax.images]) == 4


def test_rows_of_a_table_take_one_line_each(picture_folder, capsys):
    frame = pd.DataFrame({"name": [f"train/cat/{i}.jpg" for i in range(5)], "label": list("abaab")})
    table = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=ColReader("name", pref=picture_folder),
        get_y=ColReader("label"),
        splitter=IndexSplitter([4]),
        item_tfms=Resize(16),
    )
    table.summary(frame)
    row = (
        "    starting from\n      {'name': 'train/cat/0.jpg', 'label': 'a'}\n    applying ColReader"
    )
    assert capsys.readouterr().out.count(row) == 2
