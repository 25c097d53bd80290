import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from presize.core.randomness import sample_context
from presize.data.crops import CropPad, CropTransform, RandomCrop
from presize.data.cuts import cuts_of, read_through, reduction, to_frame
from presize.data.images import PILImage
from presize.data.resize import RandomResizedCrop, Resize

CHAINS: list[list[CropTransform]] = [
    [Resize(64)],
    [Resize((40, 72), "squish")],
    [Resize(64, "pad")],
    [Resize(64, "pad", "zeros")],
    [RandomResizedCrop(48, min_scale=0.3)],
    [CropPad(70)],
    [CropPad(150, pad_mode="border")],
    [RandomCrop((50, 60))],
    [Resize(80), RandomCrop(60)],
    [Resize(60), CropPad(90)],
    [CropPad(150), Resize(64)],
]


def names(chain: list[CropTransform]) -> str:
    return "+".join(map(repr, chain))


def photo(height: int = 100, width: int = 140) -> np.ndarray:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize("chain", CHAINS, ids=names)
def test_cuts_make_what_the_transforms_make_one_by_one(
    chain: list[CropTransform], middle: bool
) -> None:
    pixels = photo()
    expected = PILImage.create(pixels)
    for i, crop in enumerate(chain):
        crop.draw_name = f"crop.{i}"
    with sample_context(0, 1, 7):
        for crop in chain:
            expected = crop(expected, split_idx=1 if middle else 0)
        cuts = cuts_of(chain, (100, 140), middle=middle)
    size = cuts[-1].size
    assert size == expected.shape
    got = read_through(pixels, cuts, to_frame(size), size, None)
    difference = np.abs(got.astype(float) - np.asarray(expected))
    # Pillow's filter and OpenCV's differ a little; a cut that is off by a pixel would differ by 5.
    assert difference.mean() < 1.5


def test_cuts_inside_are_one() -> None:
    with sample_context(0, 0, 1):
        assert len(cuts_of([Resize(80), RandomCrop(60)], (100, 140), middle=False)) == 1
        assert len(cuts_of([Resize(60), CropPad(90)], (100, 140), middle=True)) == 2


def test_a_smaller_copy_of_the_picture_gives_the_same_cut() -> None:
    pixels = photo(400, 560)
    half = np.asarray(Image.fromarray(pixels).reduce(2))
    with sample_context(0, 0, 3):
        cuts = cuts_of([Resize(96)], (400, 560), middle=False)
    whole, smaller = (
        read_through(p, cuts, to_frame((96, 96)), (96, 96), None) for p in (pixels, half)
    )
    assert np.abs(whole.astype(float) - smaller).mean() < 1.5


def test_reduction_counts_started_blocks() -> None:
    for full in ((313, 450), (8, 8), (1, 1), (3000, 7), (9, 9)):
        for k in (1, 2, 4, 8):
            stored = (-(-full[0] // k), -(-full[1] // k))
            found = reduction(full, stored)
            # Of a tiny picture several would do; the least is taken.
            assert found <= k
            assert (-(-full[0] // found), -(-full[1] // found)) == stored
    assert reduction((313, 450), (79, 113)) == 4


def test_outside_a_cut_lies_its_mirror_image_not_the_rest_of_the_picture() -> None:
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[:, :25], pixels[:, 25:75], pixels[:, 75:] = 255, 100, 255
    cuts = cuts_of([Resize(50)], (50, 100), middle=True)
    out_of = to_frame((50, 50)) @ np.diag([2.0, 2, 1])  # zooms out: half of it lies outside
    assert (read_through(pixels, cuts, out_of, (50, 50), "bilinear") == 100).all()


@settings(deadline=None, max_examples=80)
@given(
    hw=st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.sampled_from([(1, 1), (10000, 3), (3, 10000)]),
    ),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    kind=st.sampled_from(["crop", "pad", "squish", "random", "croppad"]),
    pad_mode=st.sampled_from(["zeros", "border", "reflection"]),
    mode=st.sampled_from([None, "bilinear", "nearest"]),
    index=st.integers(0, 5),
)
def test_any_picture_comes_out_at_the_size(
    hw: tuple[int, int], size: tuple[int, int], kind: str, pad_mode: str, mode: str, index: int
) -> None:
    crop: CropTransform
    if kind == "random":
        crop = RandomResizedCrop(size)
    elif kind == "croppad":
        crop = CropPad(size, pad_mode)
    else:
        crop = Resize(size, kind, pad_mode)
    with sample_context(0, 0, index):
        cuts = cuts_of([crop], hw, middle=False)
    got = read_through(np.full((*hw, 3), 9, np.uint8), cuts, to_frame(size), size, mode)
    assert got.shape == (*size, 3)
    assert set(np.unique(got)) <= (set(range(10)) if pad_mode == "zeros" else {9})


@settings(deadline=None)
@given(
    hw=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    method=st.sampled_from(["crop", "pad", "squish"]),
    index=st.integers(0, 9),
)
def test_the_finest_cut_is_no_finer_than_said(
    hw: tuple[int, int], size: tuple[int, int], method: str, index: int
) -> None:
    for crop in (Resize(size, method), RandomResizedCrop(size, min_scale=0.2), RandomCrop(size)):
        with sample_context(0, 0, index):
            (cut,) = cuts_of([crop], hw, middle=False)
        left, top, right, bottom = cut.box
        shares = (bottom - top) / size[0], (right - left) / size[1]
        assert crop.finest(hw) <= min(shares) * (1 + 1e-6) or method == "pad"
