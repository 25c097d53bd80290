"""RandAugment and TrivialAugment: what is drawn, and that it is one step of the one product."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from presize.augment.geometry import Flip
from presize.augment.normalize import Normalize, imagenet_stats
from presize.augment.policies import OPERATIONS, USUAL, RandAugment, TrivialAugment
from presize.augment.presets import aug_transforms
from presize.core import colour
from presize.core.homography import compose, half_sides, identity, to_pixels
from presize.core.pipeline import Pipeline
from presize.core.randomness import Draws, sample_context
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.render.transform import active_steps, planned
from presize.tensors import TensorCategory, TensorImage, TensorMask

POLICIES = [RandAugment, TrivialAugment]
HW = (40, 60)


def pictures(n: int = 4) -> TensorImage:
    return TensorImage(torch.rand(n, 3, *HW, generator=torch.Generator().manual_seed(0)))


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


def only(name: str, magnitude: float = 30.0, n: int = 1) -> RandAugment:
    return RandAugment(n, magnitude, ops=[name])


def pixel_maps(name: str, magnitude: float) -> np.ndarray[Any, Any]:
    """The maps of one operation from pixel to pixel, and back to coordinates about the middle."""
    with sample_context(0, 0, range(16)):
        maps = to_pixels(only(name, magnitude).maps(16, HW), HW)
    middle = np.array([[1, 0, (HW[1] - 1) / 2], [0, 1, (HW[0] - 1) / 2], [0, 0, 1]])
    return np.asarray(np.linalg.inv(middle) @ maps @ middle)


@pytest.mark.parametrize(
    ("name", "row", "column", "expected"),
    [
        ("shear_x", 0, 1, 0.3),
        ("shear_y", 1, 0, 0.3),
        ("translate_x", 0, 2, 150 / 331 * HW[1]),
        ("translate_y", 1, 2, 150 / 331 * HW[0]),
    ],
)
def test_movements_are_those_of_the_paper_in_pixels(
    name: str, row: int, column: int, expected: float
) -> None:
    for share in (1.0, 0.5):
        maps = pixel_maps(name, 30 * share)
        np.testing.assert_allclose(np.abs(maps[:, row, column]), expected * share, rtol=1e-12)
        assert {-1.0, 1.0} == set(np.sign(maps[:, row, column]))  # both directions
        maps[:, row, column] = 0
        np.testing.assert_allclose(maps, identity(16), atol=1e-12)


def test_rotation_and_zoom_keep_their_aspect() -> None:
    turned = pixel_maps("rotate", 30.0)
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    np.testing.assert_allclose(turned[:, 0, 0], cosine, rtol=1e-12)
    np.testing.assert_allclose(np.abs(turned[:, 0, 1]), sine, rtol=1e-12)
    zoomed = pixel_maps("zoom", 30.0)
    factors = {round(float(f), 6) for f in zoomed[:, 0, 0]}
    assert factors == {round(float(np.exp(v)), 6) for v in (0.3, -0.3)}
    np.testing.assert_allclose(zoomed[:, 0, 2], 0, atol=1e-9)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_light_is_that_of_the_single_transforms(name: str) -> None:
    x = pictures(8)
    with sample_context(3, 0, range(8)):
        got = plain(only(name)(x))
        sign = _signs(only(name), 8)
    values = {
        "brightness": lambda s: colour.brightness(np.clip(0.5 * (1 + 0.9 * s), 0, 1)),
        "contrast": lambda s: colour.contrast(1 + 0.9 * s),
        "saturation": lambda s: colour.saturation(1 + 0.9 * s),
    }
    expected = colour.light(plain(x), values[name](sign))
    assert {-1.0, 1.0} == set(sign)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def _signs(policy: RandAugment, n: int) -> Any:
    ((_, strength),) = policy.choose(policy.rng(n))
    return np.sign(strength)


def test_several_operations_come_one_after_the_other() -> None:
    policy = RandAugment(3, 20.0)
    n = 50
    with sample_context(1, 2, range(n)):
        maps, light = policy.drawn(n, HW)
        chosen = policy.choose(policy.rng(n))
    assert light is not None
    for i in range(n):
        one_map, one_light = identity(1), np.eye(4)[None]
        for number, strength in chosen:
            operation = OPERATIONS[USUAL[number[i]]]
            value = np.array([strength[i] * operation.reach])
            if operation.maps is not None:
                one_map = compose(one_map, operation.maps(value, HW))
            if operation.light is not None:
                one_light = operation.light(value) @ one_light
        np.testing.assert_allclose(maps[i], one_map[0], atol=1e-12)
        np.testing.assert_allclose(light[i], one_light[0], atol=1e-12)


def test_all_operations_come_equally_often_and_all_strengths_do() -> None:
    n = 9 * 31 * 200
    policy = TrivialAugment()
    ((number, strength),) = policy.choose(Draws(0, 0, np.arange(n), "TrivialAugment"))
    counts = np.bincount(number, minlength=len(USUAL))
    assert len(counts) == 9
    assert np.abs(counts / n * 9 - 1).max() < 0.05
    levels = np.bincount(np.rint(np.abs(strength) * 30).astype(int), minlength=31)
    assert np.abs(levels / n * 31 - 1).max() < 0.1
    assert abs(float(np.sign(strength).mean())) < 0.01


def depth_in_picture(maps: np.ndarray[Any, Any], hw: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The least depth [n] of any point of each picture; at 0 it is infinitely far away."""
    height, width = half_sides(hw)
    corners = np.array([[x, y, 1] for x in (-width, width) for y in (-height, height)])
    return np.asarray((maps[:, 2] @ corners.T).min(1))


@pytest.mark.parametrize("hw", [(224, 224), (100, 300), (300, 100)])
def test_no_three_operations_bring_the_horizon_into_the_picture(hw: tuple[int, int]) -> None:
    one = np.concatenate(
        [
            operation.maps(np.array([-operation.reach, operation.reach]), hw)
            for operation in OPERATIONS.values()
            if operation.maps is not None
        ]
    )
    one = np.concatenate([identity(1), one / one[:, 2:, 2:]])
    two = np.einsum("aij,bjk->abik", one, one).reshape(-1, 3, 3)
    three = np.einsum("aij,bjk->abik", two, one).reshape(-1, 3, 3)
    assert len(three) == (2 * 8 + 1) ** 3
    assert depth_in_picture(three, hw).min() > 0.05  # the identity is among them
    policies = [RandAugment(3, m, ops=list(OPERATIONS)) for m in (9, 20, 30)]
    with sample_context(0, 0, range(500)):
        for policy in [*policies, TrivialAugment(list(OPERATIONS))]:
            assert depth_in_picture(policy.drawn(500, hw)[0], hw).min() > 0.05


@pytest.mark.parametrize("kind", POLICIES)
def test_targets_move_along_and_light_leaves_them(kind: Any) -> None:
    ops = ["rotate", "brightness"]
    x = pictures(6)
    mask = TensorMask((plain(x)[:, 0] > 0.5).long())
    label = TensorCategory(torch.arange(6))
    image, moved, same = kind(ops=ops)((x, mask, label), split_idx=0)
    assert type(image) is TensorImage and type(moved) is TensorMask
    assert same is label
    assert set(moved.unique().tolist()) <= {0, 1}
    assert image.shape == x.shape and moved.shape == mask.shape
    assert float(plain(image).min()) >= 0 and float(plain(image).max()) <= 1
    assert not torch.equal(plain(image), plain(x))


@pytest.mark.parametrize("kind", POLICIES)
def test_validation_only_gets_its_size(kind: Any) -> None:
    x = pictures()
    assert kind()(x, split_idx=1) is x
    sized = kind(size=(20, 30))
    resized = plain(sized(x, split_idx=1))
    assert resized.shape == (4, 3, 20, 30)
    torch.testing.assert_close(resized, plain(sized(x, split_idx=1)), rtol=0, atol=0)
    assert sized(x, split_idx=0).shape == (4, 3, 20, 30)
    item = kind()(x[0].as_subclass(TensorImage), split_idx=0)
    assert item.shape == (3, *HW)


@pytest.mark.parametrize("kind", POLICIES)
def test_draws_are_counted(kind: Any) -> None:
    x = pictures(1).repeat(3, 1, 1, 1).as_subclass(TensorImage)
    with sample_context(4, 1, [2, 7, 9]):
        first, again = plain(kind()(x)), plain(kind()(x))
    with sample_context(4, 1, [7]):
        alone = plain(kind()(pictures(1)))
    assert torch.equal(first, again)
    torch.testing.assert_close(first[1:2], alone, rtol=0, atol=1e-6)
    with sample_context(4, 2, [2, 7, 9]):
        assert not torch.equal(first, plain(kind()(x)))


@pytest.mark.parametrize("kind", POLICIES)
def test_it_is_one_plan_with_its_neighbours(kind: Any) -> None:
    stage = Pipeline(
        [
            *aug_transforms(size=24, xtra_tfms=kind()),
            Normalize(*imagenet_stats),
        ]
    )
    assert [type(t).__name__ for t in stage][1] == kind.__name__
    assert len(stage.fused()) == 1
    with sample_context(0, 0, range(5)):
        plan, rest = planned(active_steps(stage.fs, 0), 5, HW, 0)
    assert rest == []
    assert plan.size == (24, 24) and plan.light is not None and plan.mean is not None
    # Fused or one step after the other: the same but for reading pixels more than once.
    flip = Flip(draw=1, p=1.0)
    light = kind(ops=["brightness"])
    with sample_context(0, 0, range(4)):
        whole = plain(Pipeline([flip, light])(pictures(), split_idx=0))
        apart = plain(light(flip(pictures(), split_idx=0), split_idx=0))
    assert light.draw_name == f"{kind.__name__}.0"
    torch.testing.assert_close(whole, apart, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", POLICIES)
def test_loaders_draw_the_same_for_any_number_of_workers(kind: Any, picture_folder: Path) -> None:
    def batches(workers: int) -> list[Tensor]:
        dls = ImageDataLoaders.from_folder(
            picture_folder,
            item_tfms=Resize(40),
            batch_tfms=aug_transforms(size=32, xtra_tfms=kind()),
            bs=8,
            num_workers=workers,
        )
        dls.train.seed = 3
        return [plain(x).clone() for x, _ in dls.train]

    one, two = batches(0), batches(2)
    assert len(one) == 3 and one[0].shape == (8, 3, 32, 32)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", POLICIES)
def test_specs_make_it_again(kind: Any) -> None:
    policy = kind(ops=["rotate", "zoom"], size=(20, 30), pad_mode="zeros")
    spec = policy.spec()
    assert spec["ops"] == ["rotate", "zoom"]
    assert kind(**spec).spec() == spec
    assert repr(kind(size=24)).startswith(kind.__name__)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"RandAugment: magnitude must be in 0\.\.30, got 31"):
        RandAugment(magnitude=31)
    with pytest.raises(ValueError, match=r"RandAugment: n is a number of operations"):
        RandAugment(n=-1)
    with pytest.raises(ValueError, match=r"no operation 'rotat'\. Did you mean `rotate`"):
        TrivialAugment(["rotat"])
    with pytest.raises(ValueError, match=r"TrivialAugment: ops is empty"):
        TrivialAugment([])
    # A list was forgotten: one name is a list of one.
    assert RandAugment(ops="zoom").ops == ("zoom",)


# ---- docs/augmentation.md ------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "augmentation.md"


def test_the_page_lists_all_operations_with_their_strengths() -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if "| `" in line]
    told = {r[0].strip(" `"): (float(r[1]), float(r[2]), r[3].strip() == "yes") for r in rows}
    assert list(told) == list(OPERATIONS)
    for name, operation in OPERATIONS.items():
        reach, wide, usual = told[name]
        assert (reach, wide) == pytest.approx((operation.reach, operation.wide), abs=5e-4)
        assert usual == (name in USUAL)


def test_the_way_with_other_movements_off_is_the_policy_and_a_flip() -> None:
    tfms = aug_transforms(
        size=24, max_rotate=0, max_warp=0, max_zoom=1, max_lighting=0, xtra_tfms=TrivialAugment()
    )
    assert [t.name for t in Pipeline(tfms)] == ["Flip", "TrivialAugment"]
    assert len(Pipeline(tfms).fused()) == 1
