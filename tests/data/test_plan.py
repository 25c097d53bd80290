import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from presize.data.images import PILImage, PILMask
from presize.data.plan import CropPlan, carry_out

NEAREST = Image.Resampling.NEAREST


def ramp(height: int, width: int) -> Image.Image:
    """A picture whose red is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([columns, rows, 0 * rows], 2).astype(np.uint8))


def test_the_matrix_maps_the_corners_of_the_output_to_those_of_the_box() -> None:
    plan = CropPlan((10.0, -4.0, 30.0, 36.0), (80, 10))
    corners = np.array([[0, 0, 1], [10, 80, 1], [5, 40, 1]]).T
    assert (plan.matrix() @ corners)[:2].T.tolist() == [[10, -4], [30, 36], [20, 16]]
    assert plan.scale == (0.5, 2.0)


def test_points_go_where_the_matrix_takes_them() -> None:
    plan, source = CropPlan((3.0, 5.0, 43.0, 25.0), (7, 9)), (50, 60)
    points = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    moved = plan.points(points, source)
    outputs = (moved + 1) / 2 * [9, 7]
    back = plan.matrix() @ np.column_stack([outputs, np.ones(20)]).T
    assert np.allclose(back[:2].T, (points + 1) / 2 * [60, 50])


def test_a_cut_inside_is_pils_own_resize() -> None:
    im, box = ramp(50, 60), (3.25, 5.5, 43.0, 25.75)
    found = np.asarray(carry_out(CropPlan(box, (7, 9)), im))
    assert np.array_equal(found, np.asarray(im.resize((9, 7), Image.Resampling.BILINEAR, box)))


@pytest.mark.parametrize(
    ("pad_mode", "rows"),
    [
        ("zeros", [0, 0, 0, 1, 2, 3, 0, 0, 0]),
        ("border", [1, 1, 1, 1, 2, 3, 3, 3, 3]),
        ("reflection", [3, 2, 1, 1, 2, 3, 3, 2, 1]),
    ],
)
def test_what_lies_beyond_is_padded(pad_mode: str, rows: list[int]) -> None:
    im = Image.fromarray(np.array([[1, 2, 3]], np.uint8).T)
    for turned in (im, im.transpose(Image.Transpose.TRANSPOSE)):
        wide = turned.width == 3
        size = (1, 9) if wide else (9, 1)
        box = (-3.0, 0.0, 6.0, 1.0) if wide else (0.0, -3.0, 1.0, 6.0)
        found = carry_out(CropPlan(box, size), turned, resample=NEAREST, pad_mode=pad_mode)
        assert np.asarray(found).ravel().tolist() == rows


def test_reflection_goes_on_beyond_one_picture() -> None:
    im = Image.fromarray(np.array([[1, 2]], np.uint8))
    plan = CropPlan((-5.0, 0.0, 6.0, 1.0), (1, 11))
    found = np.asarray(carry_out(plan, im, resample=NEAREST, pad_mode="reflection"))
    assert found[0].tolist() == [1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2]


def test_the_kind_of_picture_is_kept_and_palettes_are_not_blended() -> None:
    for box in ((0.0, 0.0, 9.0, 8.0), (-3.0, 0.0, 9.0, 8.0)):
        plan = CropPlan(box, (4, 5))
        assert type(carry_out(plan, PILImage.create(ramp(8, 9)))) is PILImage
        mask = PILMask.create(np.ones((8, 9), np.uint8))
        assert type(carry_out(plan, mask, resample=NEAREST)) is PILMask
        assert carry_out(plan, ramp(8, 9).convert("P")).mode == "RGB"
        assert carry_out(plan, ramp(8, 9).convert("1")).mode == "L"


@settings(deadline=None)
@given(
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    start=st.tuples(st.floats(-30, 39), st.floats(-30, 39)),
    span=st.tuples(st.floats(0.5, 60), st.floats(0.5, 60)),
    pad_mode=st.sampled_from(["zeros", "border", "reflection"]),
)
def test_any_box_that_meets_the_picture_gives_the_size(
    source: tuple[int, int],
    size: tuple[int, int],
    start: tuple[float, float],
    span: tuple[float, float],
    pad_mode: str,
) -> None:
    top, left = (min(s, n - 0.25) for s, n in zip(start, source, strict=True))
    bottom, right = (max(s + n, 0.25) for s, n in zip((top, left), span, strict=True))
    found = carry_out(CropPlan((left, top, right, bottom), size), ramp(*source), pad_mode=pad_mode)
    assert found.size == size[::-1]
