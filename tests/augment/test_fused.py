from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from presize.augment.colour import Brightness, Contrast, Hue, Saturation
from presize.augment.fused import Augmentation, FusedAugment
from presize.augment.geometry import Flip, RandomResizedCropGPU, Rotate, Warp, Zoom
from presize.core.pipeline import Pipeline, set_split_idx
from presize.core.randomness import sample_context
from presize.render.transform import Fused
from presize.tensors import TensorImage, TensorMask, TensorPoint


def chain(size: int | None = None) -> list[Augmentation]:
    return [
        Flip(size=size),
        Warp(p=1.0, size=size),
        Rotate(p=1.0, size=size),
        Zoom(p=1.0, size=size),
        Brightness(p=1.0),
        Contrast(p=1.0),
    ]


def pictures(n: int = 4, hw: tuple[int, int] = (96, 96)) -> TensorImage:
    coarse = torch.rand(n, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return TensorImage(F.interpolate(coarse, hw, mode="bicubic").clamp(0, 1))


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


def one_by_one(transforms: Pipeline, x: Any) -> Any:
    for f in transforms:
        x = f(x, split_idx=0)
    return x


@pytest.mark.parametrize("hw", [(96, 96), (80, 112)])
def test_the_fused_pipeline_does_what_the_single_transforms_do(hw: tuple[int, int]) -> None:
    x, points = pictures(4, hw), TensorPoint(torch.rand(4, 5, 2) - 0.5)
    apart = Pipeline(chain())
    fused = apart.fused()
    assert [type(f) for f in fused] == [Fused]
    with sample_context(1, 2, [10, 11, 12, 13]):
        image, moved = one_by_one(apart, (x, points))
        image_fused, moved_fused = fused((x, points), split_idx=0)
    torch.testing.assert_close(plain(moved_fused), plain(moved), rtol=0, atol=1e-5)
    # Away from the edges, where one reflection differs from three, only the blur differs.
    inside = (..., slice(24, -24), slice(24, -24))
    torch.testing.assert_close(plain(image_fused)[inside], plain(image)[inside], rtol=0, atol=0.03)


def test_pixels_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    grid_sample = F.grid_sample

    def counted(*args: Tensor, **options: object) -> Tensor:
        calls.append(1)
        return grid_sample(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "grid_sample", counted)
    out = Pipeline(chain(40)).fused()(pictures(), split_idx=0)
    assert out.shape == (4, 3, 40, 40)
    assert len(calls) == 1


def test_one_logit_for_all_light_and_hue_between() -> None:
    x = TensorImage(plain(pictures()) * 0.9 + 0.05)
    steps = [Brightness(p=1.0), Saturation(p=1.0), Hue(p=1.0), Contrast(p=1.0)]
    apart = Pipeline(steps)
    with sample_context(0, 0, [1, 2, 3, 4]):
        expected, got = one_by_one(apart, x), apart.fused()(x)
    torch.testing.assert_close(plain(got), plain(expected), rtol=0, atol=3e-3)


def test_validation_has_the_size_and_nothing_else() -> None:
    x = pictures()
    fused = FusedAugment([*chain()[:4], RandomResizedCropGPU(48, min_scale=0.5, ratio=(1, 1))])
    out = fused(x, split_idx=1)
    expected = F.interpolate(plain(x), (48, 48), mode="bilinear")
    torch.testing.assert_close(plain(out), expected, rtol=0, atol=0.01)
    assert fused(x, split_idx=0).shape == (4, 3, 48, 48)
    unsized = FusedAugment(chain())
    assert torch.equal(plain(unsized(x, split_idx=1)), plain(x))


def test_each_part_keeps_to_its_own_split() -> None:
    x = pictures()
    flip, rotate = Flip(p=1.0), Rotate(p=1.0, draw=90)
    flip.split_idx = 1
    fused = FusedAugment([flip, rotate])
    torch.testing.assert_close(plain(fused(x, split_idx=0)), plain(rotate(x)))
    set_split_idx(fused, 0)
    assert fused(x, split_idx=1) is x
    assert fused.join(Brightness()) is None


def test_two_of_a_kind_draw_apart() -> None:
    fused = FusedAugment([Rotate(p=1.0), Rotate(p=1.0)])
    first, second = fused.transforms
    assert first.draw_name != second.draw_name
    assert Pipeline([fused])[0] is fused


def test_what_reads_pixels_differently_stays_apart() -> None:
    assert Rotate(mode="bicubic").join(Zoom()) is None
    assert Brightness().join(Rotate()) is None
    assert Rotate().fuse(Pipeline([lambda x: x])[0]) is None
    for wrong in ([], [Rotate(pad_mode="zeros"), Flip()], [Contrast(), Flip()]):
        with pytest.raises(ValueError, match="movements before colours, which all have the same"):
            FusedAugment(wrong)


def test_items_and_pictures_of_two_sizes_in_one_tuple() -> None:
    item = TensorImage(plain(pictures())[0])
    mask = TensorMask(torch.zeros(96, 96, dtype=torch.long))
    image, moved = FusedAugment(chain(50))((item, mask))
    assert image.shape == (3, 50, 50)
    assert moved.shape == (50, 50)
    turn = FusedAugment([Rotate(p=1.0), Zoom(p=1.0)])
    a, b = turn((pictures(2, (40, 40)), pictures(2, (80, 80))))
    assert (a.shape[-1], b.shape[-1]) == (40, 80)
    shrunk = F.avg_pool2d(plain(b), 2)
    torch.testing.assert_close(plain(a)[..., 9:-9, 9:-9], shrunk[..., 9:-9, 9:-9], rtol=0, atol=0.1)


def test_the_steps_can_be_stored() -> None:
    steps: Any = FusedAugment(chain(64)).spec()["transforms"]
    assert [s["name"] for s in steps] == [
        "Flip",
        "Warp",
        "Rotate",
        "Zoom",
        "Brightness",
        "Contrast",
    ]
    assert repr(FusedAugment([Flip(), Contrast()])).startswith(
        "Flip -- {'p': 0.5, 'size': None} + C"
    )


def test_values_that_are_no_pictures_pass() -> None:
    assert FusedAugment(chain())("text") == "text"
    assert FusedAugment(chain())((1, [2])) == (1, [2])
