from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from presize.core.pipeline import Pipeline
from presize.core.randomness import Draws
from presize.data.crops import CropTransform
from presize.data.images import PILImage, PILImageBW, PILMask
from presize.data.resize import RandomResizedCrop, RatioResize, Resize, ResizeMethod
from presize.data.tensorise import ToTensor

SIDES = st.one_of(st.integers(1, 80), st.sampled_from([1, 2, 3, 3000]))
SIZES = st.tuples(st.integers(1, 50), st.integers(1, 50))


def rng(index: int = 0) -> Draws:
    return Draws(0, 0, np.array([index]), "test")


def picture(height: int, width: int) -> PILImage:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3))
    return PILImage.create(pixels.astype(np.uint8))


@settings(deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    size=SIZES,
    method=st.sampled_from(["crop", "pad", "squish"]),
    pad_mode=st.sampled_from(["zeros", "border", "reflection"]),
)
def test_any_picture_gets_the_exact_size(
    height: int, width: int, size: tuple[int, int], method: str, pad_mode: str
) -> None:
    mask = PILMask.create(np.full((height, width), 7, np.uint8))
    gray = PILImageBW.create(np.asarray(mask))
    for resize in (Resize(size, method, pad_mode), RandomResizedCrop(size)):
        for split_idx in (0, 1):
            done, done_mask = resize((gray, mask), split_idx=split_idx)
            assert done.shape == done_mask.shape == size
            assert (type(done), type(done_mask)) == (PILImageBW, PILMask)
            allowed = {0, 7} if (method, pad_mode) == ("pad", "zeros") else {7}
            assert set(np.unique(np.asarray(done_mask))) <= allowed


@settings(deadline=None)
@given(height=SIDES, width=SIDES, size=SIZES, index=st.integers(0, 9), mid=st.booleans())
def test_plans_stay_inside_and_keep_the_aspect(
    height: int, width: int, size: tuple[int, int], index: int, mid: bool
) -> None:
    source, draw = (height, width), None if mid else rng(index)
    left, top, right, bottom = Resize(size).plan(source, draw).box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert (bottom - top) / size[0] == pytest.approx((right - left) / size[1])
    # A whole side is kept.
    assert bottom - top == pytest.approx(height) or right - left == pytest.approx(width)
    left, top, right, bottom = Resize(size, "pad").plan(source, draw).box
    assert left <= 0 <= width <= right + 1e-6
    assert top <= 0 <= height <= bottom + 1e-6
    left, top, right, bottom = RandomResizedCrop(size).plan(source, draw).box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_the_longer_axis_is_cut_in_the_middle_or_at_a_drawn_place() -> None:
    resize = Resize(100)
    assert resize.plan((200, 300), None).box == (50.0, 0.0, 250.0, 200.0)
    assert resize.plan((300, 200), None).box == (0.0, 50.0, 200.0, 250.0)
    lefts = [resize.plan((200, 300), rng(i)).box[0] for i in range(200)]
    assert min(lefts) < 5
    assert max(lefts) > 95
    assert np.mean(lefts) == pytest.approx(50, abs=7)


def test_squish_and_pad_keep_the_whole_picture() -> None:
    assert Resize(100, ResizeMethod.Squish).plan((200, 300), None).box == (0, 0, 300, 200)
    padded = Resize((100, 300), ResizeMethod.Pad, "zeros")(picture(200, 300), split_idx=1)
    pixels = np.asarray(padded)
    assert not pixels[:, :75].any()
    assert not pixels[:, 225:].any()
    whole = picture(200, 300).resize((150, 100), Image.Resampling.BICUBIC)
    assert np.array_equal(pixels[:, 75:225], np.asarray(whole))
    mirrored = np.asarray(Resize((100, 300), "pad")(picture(200, 300), split_idx=1))
    assert np.array_equal(mirrored[:, :75], pixels[:, 149:74:-1])


def test_padding_lies_on_one_side_or_the_other_in_training() -> None:
    resize = Resize(64, "pad", "zeros")
    im = PILImage.create(np.full((32, 64, 3), 255, np.uint8))
    first_rows = {int(np.asarray(resize(im, 0)).any((1, 2)).argmax()) for _ in range(200)}
    assert min(first_rows) == 0
    assert max(first_rows) == 32


def test_the_plan_is_what_is_carried_out(pets_path: Path) -> None:
    """An oracle that reads pixels through the matrix agrees with the resized picture."""
    im = PILImage.create(sorted(pets_path.glob("*.jpg"))[0])
    resize = Resize((150, 130), "crop")  # nearly the size: little is averaged away
    plan = resize.plan(im.shape, None)
    columns, rows = np.meshgrid(np.arange(130) + 0.5, np.arange(150) + 0.5)
    at = plan.matrix() @ np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)])
    smooth = np.asarray(im.resize(im.size, Image.Resampling.BOX)).astype(float)
    radius = int(plan.scale[0])
    offsets = range(-radius, radius + 1)
    picked = np.zeros((columns.size, 3))
    for dy in offsets:
        for dx in offsets:
            y = np.clip(at[1].astype(int) + dy, 0, im.height - 1)
            x = np.clip(at[0].astype(int) + dx, 0, im.width - 1)
            picked += smooth[y, x] / len(offsets) ** 2
    found = np.asarray(resize(im, split_idx=1)).reshape(-1, 3).astype(float)
    assert np.abs(found - picked).mean() < 6
    assert np.corrcoef(found.ravel(), picked.ravel())[0, 1] > 0.99


def test_random_resized_crops_cover_the_range_of_shares_and_aspects() -> None:
    crop = RandomResizedCrop(64, min_scale=0.3, max_scale=0.6)
    boxes = np.array([crop.plan((400, 500), rng(i)).box for i in range(400)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shares, aspects = widths * heights / 200_000, widths / heights
    assert 0.3 <= shares.min() < 0.32
    assert 0.58 < shares.max() <= 0.6
    assert 3 / 4 <= aspects.min() < 0.77
    assert 1.3 < aspects.max() <= 4 / 3


def test_validation_takes_the_middle_less_a_margin() -> None:
    box = RandomResizedCrop(224, val_xtra=0.25).plan((400, 1000), None).box
    assert box == pytest.approx((340, 40, 660, 360))
    wide = RandomResizedCrop((100, 200), val_xtra=0).plan((400, 1000), None).box
    assert wide == pytest.approx((100, 0, 900, 400))


def test_pictures_longer_than_every_aspect_are_cut_as_large_as_can_be() -> None:
    left, top, right, bottom = RandomResizedCrop(64).plan((10, 3000), rng(1)).box
    assert (bottom - top, right - left) == (10, pytest.approx(10 * 4 / 3))
    left, top, right, bottom = RandomResizedCrop(64).plan((3000, 10), rng(1)).box
    assert (bottom - top, right - left) == (pytest.approx(10 * 4 / 3), 10)
    assert (left, top >= 0) == (0, True)


def test_ratio_resize_keeps_the_aspect() -> None:
    assert RatioResize(100)(picture(200, 300)).shape == (67, 100)
    assert RatioResize(100)(picture(300, 200)).shape == (100, 67)
    assert RatioResize(10)(picture(3, 3000)).shape == (1, 10)


def test_masks_take_the_nearest_pixel_and_pictures_do_not() -> None:
    stripes = np.tile(np.array([0, 200], np.uint8), (40, 20))
    done, mask = Resize(13)((PILImageBW.create(stripes), PILMask.create(stripes)), split_idx=1)
    assert set(np.unique(np.asarray(mask))) == {0, 200}
    assert np.asarray(done).std() < 40  # stripes of one pixel become gray, not moire


def test_alone_and_in_a_pipeline(pets_path: Path) -> None:
    im = PILImage.create(sorted(pets_path.glob("*.jpg"))[3])
    assert Resize(460)(im, split_idx=1).size == (460, 460)
    assert Resize((300, 400))(im).size == (400, 300)
    assert Pipeline([ToTensor, Resize((30, 40))])(im).shape == (3, 30, 40)
    plain = Resize(20)(Image.fromarray(np.asarray(im)))
    assert plain.size == (20, 20)


def test_print_and_spec() -> None:
    assert repr(Resize(460)) == (
        "Resize -- {'size': (460, 460), 'method': 'crop', 'pad_mode': 'reflection'}"
    )
    assert Resize(8).spec() == {
        "size": [8, 8],
        "method": "crop",
        "pad_mode": "reflection",
        "resamples": ["bicubic", "nearest"],
    }
    made: list[CropTransform] = [
        Resize((3, 4), "pad", "border", ("bicubic", "nearest")),
        RandomResizedCrop(5, 0.2, (0.5, 2), val_xtra=0.1, max_scale=0.9),
        RatioResize(7),
    ]
    for transform in made:
        again = type(transform)(**transform.spec())
        assert again.spec() == transform.spec()
        assert again.plan((50, 70), rng()) == transform.plan((50, 70), rng())


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (Resize, {"size": (3, 4, 5)}, r"or \(height, width\), but got \(3, 4, 5\)"),
        (Resize, {"size": 3, "method": "Crop"}, r"method is one of 'crop', 'pad', 'squish', but"),
        (Resize, {"size": 3, "method": "squash"}, r"Did you mean `squish`\?"),
        (RandomResizedCrop, {"size": 3, "min_scale": 0}, r"0 < min_scale <= max_scale <= 1, but"),
        (RandomResizedCrop, {"size": 3, "ratio": (2, 1)}, r"ratio is the smallest and the largest"),
        (RandomResizedCrop, {"size": 3, "val_xtra": -1}, r"val_xtra is at least 0, but got -1"),
        (RatioResize, {"max_sz": 0}, r"A picture size is one positive whole number"),
    ],
)
def test_wrong_arguments(kind: type[CropTransform], options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kind(**options)
