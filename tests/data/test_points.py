import numpy as np
import pytest
import torch

from presize.core.errors import DataError
from presize.core.transform import Pipeline
from presize.data.images import PILImage
from presize.data.points import PointScaler, to_points
from presize.data.resize import Resize
from presize.data.tensorise import ToTensor
from presize.tensors import TensorPoint

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
    }
