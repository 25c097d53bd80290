import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from presize.core.randomness import sample_context
from presize.data.crops import CropPad, CropTransform, PadMode, RandomCrop
from presize.data.images import PILImage, PILMask
from presize.tensors import TensorBBox, TensorCategory, TensorImage, TensorPoint

SIDES = st.one_of(st.integers(1, 60), st.sampled_from([1, 2, 3, 3000]))


def squares(height: int, width: int) -> PILImage:
    """A picture whose pixels are all different: red is the column, green is the row."""
    rows, columns = np.mgrid[:height, :width]
    return PILImage.create(np.stack([columns, rows, 0 * rows], 2).astype(np.uint8))


@settings(deadline=None)
@given(height=SIDES, width=SIDES, size=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_any_picture_gets_the_exact_size(height: int, width: int, size: tuple[int, int]) -> None:
    im = PILMask.create(np.ones((height, width), np.uint8))
    for crop in (CropPad(size, "reflection"), RandomCrop(size)):
        for split_idx in (0, 1, None):
            assert crop(im, split_idx=split_idx).shape == size


def test_the_middle_is_cut_and_small_pictures_are_padded() -> None:
    cut = np.asarray(CropPad((4, 6))(squares(10, 20)))
    assert cut[0, 0].tolist() == [7, 3, 0]
    assert cut[-1, -1].tolist() == [12, 6, 0]
    padded = np.asarray(CropPad(5)(squares(20, 3)))
    assert padded[0, :, 1].tolist() == [0, 7, 7, 7, 0]
    border = np.asarray(CropPad(5, pad_mode=PadMode.Border)(squares(20, 3)))
    assert border[0, :, 0].tolist() == [0, 0, 1, 2, 2]


def test_random_crops_move_in_training_only_and_reach_both_ends() -> None:
    crop, im = RandomCrop(4), squares(7, 30)
    firsts = [tuple(np.asarray(crop(im, split_idx=0))[0, 0, :2]) for _ in range(300)]
    assert {row for _, row in firsts} == set(range(4))
    assert {column for column, _ in firsts} == set(range(27))
    for _ in range(3):
        assert tuple(np.asarray(crop(im, split_idx=1))[0, 0, :2]) == (13, 1)


def test_picture_mask_points_and_boxes_move_together() -> None:
    im = squares(30, 40)
    mask = PILMask.create(np.asarray(im)[..., 0])
    # The centre of the pixel in column 20 and row 15, in -1..1; and a box around it.
    points = TensorPoint(torch.tensor([[20.5 / 40, 15.5 / 30]]) * 2 - 1)
    box = TensorBBox(torch.tensor([[20 / 40, 15 / 30, 21 / 40, 16 / 30]]) * 2 - 1)
    label = TensorCategory(3)
    crop = RandomCrop((16, 32))
    seen = set()
    for _ in range(20):
        cut, cut_mask, cut_points, cut_box, same = crop((im, mask, points, box, label))
        assert np.array_equal(np.asarray(cut)[..., 0], np.asarray(cut_mask))
        assert (type(cut_mask), type(cut_points), type(cut_box)) == (
            PILMask,
            TensorPoint,
            TensorBBox,
        )
        x, y = ((cut_points[0] + 1) / 2 * torch.tensor([32, 16])).tolist()
        assert np.asarray(cut)[int(y), int(x)].tolist() == [20, 15, 0]
        corners = ((cut_box[0].reshape(2, 2) + 1) / 2 * torch.tensor([32, 16])).tolist()
        assert np.allclose(corners, [[x - 0.5, y - 0.5], [x + 0.5, y + 0.5]], atol=1e-4)
        assert same is label
        seen.add((x, y))
    assert len(seen) > 5


def test_draws_depend_on_the_sample_alone() -> None:
    crop, im = RandomCrop(4), squares(30, 40)

    def cut(index: int, epoch: int = 0) -> bytes:
        with sample_context(1, epoch, index):
            return crop(im, split_idx=0).tobytes()

    assert cut(3) == cut(3)
    assert len({cut(i) for i in range(10)}) > 5
    assert cut(3) != cut(3, epoch=1)


def test_limits_to_a_split_are_kept() -> None:
    crop = CropPad(4)
    crop.split_idx = 1
    assert crop(squares(9, 9), split_idx=0).shape == (9, 9)
    assert crop(squares(9, 9), split_idx=1).shape == (4, 4)
    assert crop.encodes(squares(9, 9)).shape == (4, 4)


def test_tensors_are_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"TensorImage of shape \[2, 3, 9, 9\]. Use it in item_t"):
        CropPad(4)((TensorImage(torch.zeros(2, 3, 9, 9)), TensorCategory([1, 2])))


def test_points_without_a_picture_pass() -> None:
    points = TensorPoint(torch.zeros(1, 2))
    assert CropPad(4)(points) is points


def test_spec_makes_it_again() -> None:
    for made in (CropPad(3, "border"), RandomCrop((3, 4))):
        again = type(made)(**made.spec())
        assert (again.size, again.pad_mode) == (made.size, made.pad_mode)
    assert repr(RandomCrop(4)) == "RandomCrop -- {'size': (4, 4)}"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": 0}, r"A picture size is one positive whole number, or \(height, width\)"),
        ({"size": 3, "pad_mode": "zero"}, r"pad_mode is one of 'zeros', .* Did you mean `zeros`\?"),
    ],
)
def test_wrong_arguments(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CropPad(**options)


def test_filters_by_constant_or_name() -> None:
    made = CropTransform(resamples=("bicubic", Image.Resampling.NEAREST))
    assert made.spec()["resamples"] == ["bicubic", "nearest"]
    assert CropTransform(resamples=(2, 0)).spec()["resamples"] == ["bilinear", "nearest"]
    with pytest.raises(ValueError, match=r"A filter in resamples is one of .* Did you mean `bilin"):
        CropTransform(resamples=("bilinaer", "nearest"))
    with pytest.raises(ValueError, match=r"resamples is a pair, .* but got \(2,\)"):
        CropTransform(resamples=(2,))
    with pytest.raises(NotImplementedError, match="CropTransform has no `plan`"):
        CropTransform().plan((3, 3), None)
