import copy
import pickle

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from presize.core.device import to_device, to_float
from presize.tensors import (
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorImageBW,
    TensorMask,
    TensorPoint,
    TitledFloat,
    TitledInt,
    TitledStr,
    TitledTuple,
)

KINDS = [TensorImage, TensorImageBW, TensorMask, TensorCategory, TensorPoint, TensorBBox]


@pytest.mark.parametrize("kind", KINDS)
def test_operations_give_plain_tensors(kind):
    x = kind(torch.rand(2, 4))
    for result in (x + 1, x[0], x.clone(), torch.stack([x, x]), x.mean(0)):
        assert type(result) is Tensor


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_survive_pickle_copy_and_device(kind):
    x = kind(torch.rand(2, 4))
    for same in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), to_device(x, "cpu"), to_float(x)):
        assert type(same) is kind
        assert torch.equal(same.as_subclass(Tensor), x.as_subclass(Tensor))


def test_they_are_made_of_anything_that_holds_numbers():
    assert TensorImage(np.zeros((3, 4, 5))).shape == (3, 4, 5)
    assert TensorCategory(30).item() == 30
    assert TensorImage([[1.0, 2.0]], dtype=torch.float64).dtype == torch.float64


def test_reprs_are_those_of_the_printed_outputs():
    assert repr(TensorCategory(30)) == "TensorCategory(30)"
    assert repr(TensorCategory([0, 5])) == "TensorCategory([0, 5])"
    assert str(TensorImage(torch.zeros(3, 500, 375))) == "TensorImage of size 3x500x375"
    assert f"{TensorCategory(3)}" == "3"


def test_pictures_masks_points_and_boxes_show_themselves():
    _, ax = plt.subplots()
    image = TensorImage(torch.rand(3, 20, 30))
    assert image.show(ctx=ax) is ax
    TensorMask(torch.zeros(20, 30).long()).show(ctx=ax)
    TensorPoint([[15.0, 10.0], [99.0, 10.0]]).show(ctx=ax)
    TensorBBox([[7.5, 5.0, 22.5, 15.0]]).show(ctx=ax)
    assert ax.collections[0].get_offsets().tolist() == [[14.5, 9.5], [98.5, 9.5]]
    assert ax.get_xlim() == (-0.5, 29.5)  # points outside do not make the picture smaller
    box = ax.patches[0]
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (7, 4.5, 15, 10)


def test_titles_show_above_axes_or_are_printed(capsys):
    _, ax = plt.subplots()
    TitledStr("cat").show(ctx=ax)
    assert ax.get_title() == "cat"
    TitledInt(3).show()
    TitledFloat(0.123456).show()
    TitledTuple((1, "a")).show()
    assert capsys.readouterr().out == "3\n0.1235\n1, a\n"


def test_notebook_methods_keep_the_kind_and_give_the_size():
    x = TensorImage(torch.rand(2, 3, 32, 48))
    small = x.affine_coord(sz=16)
    assert type(small) is TensorImage and small.shape == (2, 3, 16, 16)
    for moved in (
        x.rotate(draw=30, p=1.0),
        x.zoom(draw=1.2, p=1.0),
        x.warp(draw_x=-0.2, draw_y=0.2, p=1.0),
        x.flip_batch(p=1.0),
        x.dihedral_batch(p=1.0, draw=3),
        x.brightness(draw=0.7, p=1.0),
        x.contrast(draw=1.3, p=1.0),
        x.saturation(draw=0.5, p=1.0),
    ):
        assert type(moved) is TensorImage and moved.shape == x.shape
        assert not torch.equal(moved, x)
    assert torch.equal(x.rotate(draw=0, p=1.0), x)


def test_a_flip_mirrors_each_row():
    x = TensorImage(torch.rand(3, 4, 6))
    flipped = x.flip_batch(p=1.0)
    assert torch.allclose(flipped.as_subclass(Tensor), x.flip(-1), atol=1e-6)
