import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from presize.augment.geometry import Dihedral
from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.data.blocks import ImageBlock, PointBlock
from presize.data.datablock import DataBlock
from presize.data.images import PILImage
from presize.data.items import get_image_files
from presize.data.points import PointScaler, to_points
from presize.data.resize import Resize
from presize.data.tensorise import ToTensor
from presize.tensors import TensorBBox, TensorPoint

IMAGE = PILImage.create(np.zeros((20, 40, 3), np.uint8))


def test_points_are_pairs_of_floats() -> None:
    for source in ([1, 2, 3, 4], [(1, 2), (3, 4)], np.array([[1, 2], [3, 4]]), torch.arange(1, 5)):
        points = to_points(source)
        assert type(points) is TensorPoint
        assert (points.dtype, points.tolist()) == (torch.float32, [[1, 2], [3, 4]])
    with pytest.raises(DataError, match=r"\(x, y\) pairs of pixels, but got numbers of shape"):
        to_points([1, 2, 3])


def test_pixels_become_minus_one_to_one_and_back() -> None:
    sample = (IMAGE, to_points([[0, 0], [40, 20], [10, 15]]))
    scaled = PointScaler()(sample)
    assert scaled[1].tolist() == [[-1, -1], [1, 1], [-0.5, 0.5]]
    assert type(scaled[1]) is TensorPoint
    assert PointScaler().decode(scaled)[1].tolist() == sample[1].tolist()
    assert PointScaler(y_first=True)((IMAGE, to_points([[15, 10]])))[1].tolist() == [[-0.5, 0.5]]
    assert PointScaler(do_scale=False)((IMAGE, to_points([[0.5, 1]])))[1].tolist() == [[0.5, 1]]


def test_points_follow_a_resize_and_decode_to_its_pixels() -> None:
    pipe = Pipeline([ToTensor, Resize((10, 10), "squish"), PointScaler])
    image, points = pipe((IMAGE, to_points([[10, 15]])))
    assert image.shape == (3, 10, 10)
    assert points.tolist() == [[-0.5, 0.5]]
    assert PointScaler().decode((image, points))[1].tolist() == [[2.5, 7.5]]


def test_points_need_their_picture() -> None:
    with pytest.raises(DataError, match="needs the picture that the points are in"):
        PointScaler()((to_points([1, 2]),))
    assert PointScaler(**PointScaler(False, True).spec()).spec() == {
        "do_scale": False,
        "y_first": True,
        "c": None,
    }


def middle(path):
    width, height = PILImage.create(path).size
    return [[width / 2, height / 2], [width / 2, height / 4]]


def test_the_data_knows_how_many_numbers_a_model_has_to_give(picture_folder) -> None:
    scaler = PointScaler()
    scaler.setup([(IMAGE, to_points([[0, 0], [40, 20], [1, 1]]))])
    assert (scaler.c, scaler.spec()["c"]) == (6, 6)
    block = DataBlock(
        (ImageBlock, PointBlock), get_items=get_image_files, get_y=middle, item_tfms=Resize(16)
    )
    assert block.dataloaders(picture_folder, bs=4, num_workers=0).c == 4


def test_shown_points_lie_on_the_picture_and_move_with_it(picture_folder) -> None:
    block = DataBlock(
        (ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=middle,
        item_tfms=Resize(16, "squish"),
        batch_tfms=Dihedral(p=1.0, draw=4),  # upside down, or on its side
    )
    dls = block.dataloaders(picture_folder, bs=2, num_workers=0)
    for loader, moved in ((dls.valid, False), (dls.train, True)):
        loader.show_batch(max_n=1)
        ax = plt.gcf().axes[0]
        places = ax.collections[0].get_offsets()
        assert np.allclose(places[0], [7.5, 7.5], atol=1e-4)
        assert np.allclose(places[1], [7.5, 3.5], atol=1e-4) != moved
        assert ax.get_xlim() == (-0.5, 15.5)


def test_predicted_points_come_as_pairs_of_pixels_and_boxes_stay_boxes() -> None:
    flat = PointScaler().decode((IMAGE, TensorPoint([-1.0, -1.0, 1.0, 0.0])))[1]
    assert flat.tolist() == [[0, 0], [40, 10]]
    boxes = PointScaler().decode((IMAGE, TensorBBox([[-1.0, -1.0, 1.0, 0.0]])))[1]
    assert type(boxes) is TensorBBox
    assert boxes.tolist() == [[0, 0, 40, 10]]
