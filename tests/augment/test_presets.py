import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from presize.augment.erase import RandomErasing
from presize.augment.fused import Augmentation, FusedAugment
from presize.augment.geometry import AffineCoordTfm, Flip, Rotate, Warp, Zoom
from presize.augment.presets import aug_transforms, setup_aug_tfms
from presize.core.pipeline import Pipeline
from presize.core.randomness import sample_context
from presize.core.transform import Transform
from presize.tensors import TensorImage


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


def names(tfms: list[Transform]) -> list[list[str]]:
    return [
        [part.name for part in t.parts()] if isinstance(t, Augmentation) else [t.name] for t in tfms
    ]


def test_the_usual_augmentation() -> None:
    assert names(aug_transforms()) == [
        ["Flip", "Warp", "Rotate", "Zoom"],
        ["Brightness", "Contrast"],
    ]
    cropping = aug_transforms(size=224, min_scale=0.75)
    assert names(cropping)[0][-1] == "RandomResizedCropGPU"
    assert len(Pipeline(cropping).fused()) == 1
    assert names(aug_transforms(flip_vert=True))[0][0] == "Dihedral"
    assert names(aug_transforms(do_flip=False, max_rotate=0, max_warp=0, max_zoom=1.0)) == [
        ["Brightness", "Contrast"]
    ]
    assert aug_transforms(mult=0, do_flip=False, max_zoom=1.0) == []


@pytest.mark.parametrize("min_scale", [1.0, 0.5])
@pytest.mark.parametrize("size", [24, (20, 30)])
def test_sizes_on_both_sides(min_scale: float, size: int | tuple[int, int]) -> None:
    x = TensorImage(torch.rand(3, 3, 48, 48))
    pipe = Pipeline(aug_transforms(size=size, min_scale=min_scale))
    expected = (3, 3, *((24, 24) if size == 24 else (20, 30)))
    assert pipe(x, split_idx=0).shape == pipe(x, split_idx=1).shape == expected
    assert type(pipe(x, split_idx=0)) is TensorImage
    alone = aug_transforms(mult=0, do_flip=False, max_zoom=1.0, size=size)
    assert Pipeline(alone)(x, split_idx=1).shape == expected


def test_mult_multiplies_and_arguments_arrive() -> None:
    moves = aug_transforms(
        mult=2, max_warp=0.1, size=9, mode="nearest", pad_mode="zeros", p_affine=0.4
    )
    assert isinstance(moves[0], FusedAugment)
    _, warp, rotate, zoom = moves[0].transforms
    assert isinstance(warp, Warp)
    assert isinstance(rotate, Rotate)
    assert isinstance(zoom, Zoom)
    assert (warp.magnitude, rotate.max_deg, zoom.max_zoom) == (0.2, 20.0, 1.1)
    assert (rotate.p, zoom.size, zoom.mode, zoom.pad_mode) == (0.4, (9, 9), "nearest", "zeros")


def test_batch_treats_all_alike() -> None:
    same = TensorImage(torch.rand(1, 3, 32, 32).repeat(4, 1, 1, 1))
    out = plain(Pipeline(aug_transforms(batch=True, p_affine=1, p_lighting=1))(same))
    torch.testing.assert_close(out[1:], out[:1].expand(3, 3, 32, 32), rtol=0, atol=1e-6)


def test_more_transforms_keep_their_place() -> None:
    class Between(Transform):
        order = 35

    extra = [RandomErasing(), Between(), Rotate(45)]
    assert names(aug_transforms(xtra_tfms=extra)) == [
        ["Flip", "Warp", "Rotate", "Zoom", "Rotate"],
        ["Between"],
        ["Brightness", "Contrast"],
        ["RandomErasing"],
    ]
    assert names(aug_transforms(xtra_tfms=RandomErasing()))[-1] == ["RandomErasing"]


def test_setup_joins_what_one_reading_can_do() -> None:
    single = Rotate()
    assert setup_aug_tfms([single]) == [single]
    assert names(setup_aug_tfms([Rotate(), Flip(mode="nearest"), Zoom(mode="nearest")])) == [
        ["Rotate"],
        ["Flip", "Zoom"],
    ]


def test_the_chapters_comparison_one_reading_against_three() -> None:
    x = TensorImage(F.interpolate(torch.rand(1, 3, 37, 37), (92, 92), mode="bilinear"))
    steps = [Rotate(draw=30, p=1, size=44), Zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1, size=44),
             Warp(draw_x=-0.2, draw_y=0.2, p=1, size=44)]  # fmt: skip
    once = plain(Pipeline(setup_aug_tfms(steps))(x))
    small = x.affine_coord(sz=44)
    twice = small.rotate(draw=30, p=1.0).zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1.0)
    thrice = plain(twice.warp(draw_x=-0.2, draw_y=0.2, p=1.0))
    assert once.shape == thrice.shape
    # The same picture; but each reading smooths, so less of its detail is left after three.
    inside = (..., slice(8, -8), slice(8, -8))
    both = torch.stack([once[inside].flatten(), thrice[inside].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.8
    detail = [float(image.diff(dim=-1).square().mean()) for image in (once, thrice)]
    assert detail[1] < 0.7 * detail[0]


def test_results_do_not_depend_on_the_batch() -> None:
    x = torch.rand(4, 3, 40, 40)
    pipe = Pipeline(aug_transforms(size=24, min_scale=0.3)).fused()
    with sample_context(7, 3, [5, 6, 7, 8]):
        together = plain(pipe(TensorImage(x), split_idx=0))
    with sample_context(7, 3, [7, 6]):
        pair = plain(pipe(TensorImage(x[[2, 1]]), split_idx=0))
    torch.testing.assert_close(together[[2, 1]], pair, rtol=0, atol=1e-6)


def test_bad_arguments_are_named() -> None:
    for options, message in [
        ({"max_rotate": -5}, r"max_rotate must be >= 0, got -5"),
        ({"mult": -1}, r"mult must be >= 0, got -1"),
        ({"max_lighting": 0.6, "mult": 2}, r"max_lighting \* mult \(2\) must be below 1, got 1\.2"),
        ({"p_affine": 3}, r"p_affine is a probability"),
        ({"mode": "bicubik"}, r"Did you mean `bicubic`\?"),
        ({"pad_mode": "mirror"}, r"pad_mode must be one of 'reflection', 'border', 'zeros'"),
        ({"min_scale": 0.5}, r"min_scale=0\.5\) cuts boxes .* add size="),
        ({"min_zoom": 1.3}, r"min_zoom <= max_zoom"),
    ]:
        with pytest.raises(ValueError, match=message):
            aug_transforms(**options)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="align_corners=True"):
        aug_transforms(align_corners=True)
    assert isinstance(aug_transforms(align_corners=False)[0], Augmentation)
    assert AffineCoordTfm().size is None
