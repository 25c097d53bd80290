from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from presize.augment.fused import Augmentation
from presize.augment.geometry import (
    AffineCoordTfm,
    Dihedral,
    Flip,
    RandomResizedCropGPU,
    Rotate,
    Warp,
    Zoom,
)
from presize.core.homography import Maps, to_sides
from presize.core.randomness import sample_context
from presize.tensors import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorPoint

MOVES: list[AffineCoordTfm] = [
    Flip(p=1.0),
    Dihedral(p=1.0),
    Rotate(40, p=1.0),
    Zoom(0.8, 1.5, p=1.0),
    Warp(0.3, p=1.0),
    RandomResizedCropGPU((40, 52), min_scale=0.3),
    AffineCoordTfm(size=(33, 40)),
]


def pictures(n: int = 3, hw: tuple[int, int] = (48, 64)) -> TensorImage:
    coarse = torch.rand(n, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return TensorImage(F.interpolate(coarse, hw, mode="bicubic").clamp(0, 1))


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


@pytest.mark.parametrize("move", MOVES, ids=repr)
def test_every_move_keeps_types_dtypes_and_leaves_others_alone(move: AffineCoordTfm) -> None:
    x, y = pictures(), TensorCategory(torch.tensor([1, 2, 3]))
    before = x.clone()
    image, label = move((x, y), split_idx=0)
    assert type(image) is TensorImage
    assert label is y
    assert image.shape == (3, 3, *(move.size or (48, 64)))
    torch.testing.assert_close(plain(x), plain(before), rtol=0, atol=0)
    assert type(move(pictures()[0].as_subclass(TensorImage))) is TensorImage
    assert move(pictures()[0].as_subclass(TensorImage)).ndim == 3


@pytest.mark.parametrize("move", MOVES, ids=repr)
def test_every_move_is_the_same_again_in_the_same_context(move: AffineCoordTfm) -> None:
    x = pictures()
    with sample_context(5, 1, [3, 8, 6]):
        first, again = move(x), move(x)
    with sample_context(5, 1, [8]):
        alone = move(TensorImage(plain(x)[1:2]))
    with sample_context(5, 2, [3, 8, 6]):
        other = move(x)
    torch.testing.assert_close(plain(first), plain(again), rtol=0, atol=0)
    torch.testing.assert_close(plain(first)[1:2], plain(alone), rtol=0, atol=0)
    if not isinstance(move, Flip) and type(move) is not AffineCoordTfm:
        assert not torch.equal(plain(first), plain(other))


@pytest.mark.parametrize("move", MOVES, ids=repr)
def test_every_move_can_be_made_again_from_its_spec(move: AffineCoordTfm) -> None:
    twin = type(move)(**move.spec())  # type: ignore[arg-type]
    assert twin.spec() == move.spec()
    assert repr(twin) == repr(move)
    with sample_context(0, 0, [1, 2, 3]):
        torch.testing.assert_close(plain(twin(pictures())), plain(move(pictures())))


@pytest.mark.parametrize("move", [Flip, Rotate, Zoom, Warp, Dihedral])
def test_no_chance_no_change(move: type[Flip]) -> None:
    x = pictures()
    assert torch.equal(plain(move(p=0)(x)), plain(x))
    assert torch.equal(plain(move(p=1.0)(x, split_idx=1)), plain(x))
    assert move(p=0, size=20)(x).shape == (3, 3, 20, 20)


@pytest.mark.parametrize("move", MOVES, ids=repr)
def test_validation_only_brings_to_the_size(move: AffineCoordTfm) -> None:
    x = pictures(2, (52, 40))
    out = move(x, split_idx=1)
    if move.size is None:
        assert torch.equal(plain(out), plain(x))
        return
    assert out.shape[-2:] == move.size
    torch.testing.assert_close(plain(out), plain(move(x, split_idx=1)), rtol=0, atol=0)


def test_validation_of_a_random_crop_takes_the_middle() -> None:
    x = pictures(1, (40, 80))
    out = RandomResizedCropGPU(20, ratio=(1, 1), valid_scale=0.5)(x, split_idx=1)
    torch.testing.assert_close(plain(out), plain(x)[..., 10:30, 30:50], rtol=0, atol=1e-5)


def test_batch_treats_all_alike_and_without_it_each_differs() -> None:
    same = TensorImage(plain(pictures(1)).repeat(4, 1, 1, 1))
    for kind in (Rotate, Zoom, Warp):
        together = plain(kind(p=1.0, batch=True)(same))
        assert all(torch.equal(together[0], other) for other in together[1:])
        apart = plain(kind(p=1.0)(same))
        assert not torch.equal(apart[0], apart[1])


@pytest.mark.parametrize(
    "move", [Rotate(p=1.0, draw=30), Zoom(p=1.0, draw=1.3, draw_x=0.2, draw_y=0.7),
             Warp(p=1.0, draw_x=-0.2, draw_y=0.2), Flip(p=1.0)], ids=repr
)  # fmt: skip
def test_what_is_given_is_done(move: Augmentation) -> None:
    x = pictures()
    torch.testing.assert_close(plain(move(x)), plain(move(x)), rtol=0, atol=0)
    assert not torch.equal(plain(move(x)), plain(x))


def test_notebook_methods_do_what_the_transforms_do() -> None:
    x = pictures()
    pairs = [
        (x.rotate(draw=30, p=1.0), Rotate(draw=30, p=1.0)),
        (x.zoom(draw=1.2, draw_x=0, draw_y=0.1, p=1.0), Zoom(1, 2, 1.0, 1.2, draw_x=0, draw_y=0.1)),
        (x.warp(draw_x=-0.2, draw_y=0.2, p=1.0), Warp(draw_x=-0.2, draw_y=0.2, p=1.0)),
        (x.flip_batch(p=1.0), Flip(p=1.0)),
        (x.dihedral_batch(draw=5, p=1.0), Dihedral(draw=5, p=1.0)),
    ]  # fmt: skip
    for got, move in pairs:
        assert type(got) is TensorImage
        torch.testing.assert_close(plain(got), plain(move(x)), rtol=0, atol=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_warp_by_half_moves_corners_by_half(sign: int) -> None:
    maps = Warp(p=1.0, draw_x=[sign * 0.5, 0.0], draw_y=[0.0, sign * 0.5]).maps(2, (30, 40))
    inverse = np.linalg.inv(to_sides(maps, (30, 40)))
    corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]], float)
    seen = corners @ inverse.swapaxes(1, 2)
    seen = seen[..., :2] / seen[..., 2:]
    d = sign * 0.5
    expected_x = [(-1, -1 - d), (1, -1 + d), (-1, 1 + d), (1, 1 - d)]
    expected_y = [(-1 - d, -1), (1 + d, -1), (-1 + d, 1), (1 - d, 1)]
    np.testing.assert_allclose(seen, np.array([expected_x, expected_y]), atol=1e-12)


@pytest.mark.parametrize("move", MOVES, ids=repr)
def test_a_bright_dot_lands_where_its_point_lands(move: AffineCoordTfm) -> None:
    n, h, w = 16, 60, 80
    row, column = 28, 37
    x = torch.zeros(n, 1, h, w)
    x[:, :, row - 1 : row + 2, column - 1 : column + 2] = 1
    point = torch.tensor([(2 * column + 1) / w - 1, (2 * row + 1) / h - 1]).expand(n, 1, 2)
    with sample_context(0, 0, list(range(n))):
        image, points = move((TensorImage(x), TensorPoint(point)))
    assert type(points) is TensorPoint
    height, width = image.shape[-2:]
    landed = 0
    for picture, (px, py) in zip(plain(image)[:, 0], plain(points)[:, 0].tolist(), strict=True):
        i, j = ((py + 1) * height - 1) / 2, ((px + 1) * width - 1) / 2
        if not (3 < i < height - 4 and 3 < j < width - 4):
            continue  # the dot was cropped away
        near = picture[round(i) - 4 : round(i) + 5, round(j) - 4 : round(j) + 5]
        rows = torch.arange(round(i) - 4, round(i) + 5)[: near.shape[0]]
        columns = torch.arange(round(j) - 4, round(j) + 5)[: near.shape[1]]
        assert float((near.sum(1) * rows).sum() / near.sum()) == pytest.approx(i, abs=0.35)
        assert float((near.sum(0) * columns).sum() / near.sum()) == pytest.approx(j, abs=0.35)
        landed += 1
    assert landed >= n // 2


@pytest.mark.parametrize("move", MOVES, ids=repr)
def test_a_mask_moves_with_its_picture_and_keeps_its_numbers(move: AffineCoordTfm) -> None:
    blob = (plain(pictures())[:, 0] > 0.5).float()
    soft = TensorImage(blob[:, None].expand(-1, 3, -1, -1))
    mask = TensorMask(blob.long() * 7)
    image, moved = move((soft, mask))
    assert type(moved) is TensorMask
    assert moved.dtype == torch.int64
    assert set(plain(moved).unique().tolist()) <= {0, 7}
    assert moved.shape == (3, *image.shape[-2:])
    agree = (plain(image)[:, 0] > 0.5) == (plain(moved) == 7)
    assert float(agree.float().mean()) > 0.97


def test_masks_alone_and_as_items() -> None:
    mask = torch.randint(0, 5, (16, 20), dtype=torch.uint8)
    one = Flip(p=1.0)(TensorMask(mask))
    assert torch.equal(plain(one), mask.flip(-1))
    many = Flip(p=1.0)(TensorMask(mask.expand(3, 16, 20)))
    assert torch.equal(plain(many), mask.flip(-1).expand(3, 16, 20))
    image, beside = Flip(p=1.0)(
        (pictures(1, (16, 20))[0].as_subclass(TensorImage), TensorMask(mask))
    )
    assert torch.equal(plain(beside), mask.flip(-1))
    assert image.shape == (3, 16, 20)


def test_points_and_boxes_move_with_flip_and_crop() -> None:
    x = pictures(2, (40, 40))
    points = TensorPoint(torch.tensor([[[-0.5, 0.25], [1.0, -1.0]]] * 2))
    boxes = TensorBBox(torch.tensor([[[-0.5, -0.25, 0.0, 0.75]]] * 2))
    _, p, b = Flip(p=1.0)((x, points, boxes))
    torch.testing.assert_close(plain(p)[0], torch.tensor([[0.5, 0.25], [-1.0, -1.0]]))
    torch.testing.assert_close(plain(b)[0], torch.tensor([[0.0, -0.25, 0.5, 0.75]]))
    assert type(b) is TensorBBox
    _, p = RandomResizedCropGPU(20, valid_scale=0.5)((x, points), split_idx=1)
    torch.testing.assert_close(plain(p)[0], torch.tensor([[-1.0, 0.5], [2.0, -2.0]]))
    lone = Flip(p=1.0)(TensorPoint(torch.tensor([[0.5, 0.5]])))
    torch.testing.assert_close(plain(lone), torch.tensor([[-0.5, 0.5]]))


def test_users_own_maps() -> None:
    def mirror(x: Tensor) -> Tensor:
        return torch.tensor([[-1.0, 0, 0], [0, 1, 0]]).expand(len(x), 2, 3)

    x = pictures()
    torch.testing.assert_close(
        plain(AffineCoordTfm(mirror)(x)), plain(x).flip(-1), rtol=0, atol=1e-5
    )
    assert torch.equal(plain(AffineCoordTfm([mirror, mirror])(x)), plain(x))

    class Upside(AffineCoordTfm):
        def maps(self, n: int, hw: tuple[int, int]) -> Maps:
            return np.tile(np.diag([1.0, -1.0, 1.0]), (n, 1, 1))

    torch.testing.assert_close(plain(Upside()(x)), plain(x).flip(-2), rtol=0, atol=1e-5)


def test_specs_hold_lists_and_leave_functions_out_with_a_warning() -> None:
    assert Rotate(draw=torch.tensor([1.0, 2.0])).spec()["draw"] == [1.0, 2.0]
    with pytest.warns(UserWarning, match=r"Rotate\(draw=\.\.\.\) is a function"):
        assert "draw" not in Rotate(draw=lambda x: 1.0).spec()
    with pytest.raises(Exception, match="a model file cannot hold"):
        AffineCoordTfm(lambda x: x).spec()


def test_bad_arguments_are_named() -> None:
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: Rotate(-5), r"max_deg must be >= 0, got -5"),
        (lambda: Rotate(p=2), r"p is a probability .* got 2"),
        (lambda: Zoom(1.2, 1.1), r"0 < min_zoom <= max_zoom, got min_zoom=1\.2 and max_zoom=1\.1"),
        (lambda: Warp(1.0), r"magnitude must be in 0\.\.1.* got 1\.0"),
        (lambda: Flip(mode="nearset"), r"Did you mean `nearest`\?"),  # type: ignore[arg-type]
        (lambda: Flip(size=0), r"A picture size is .* got 0"),
        (lambda: RandomResizedCropGPU(9, min_scale=0), r"0 < min_scale <= max_scale <= 1"),
        (lambda: RandomResizedCropGPU(9, ratio=(2, 1)), r"ratio is \(least, greatest\)"),
        (lambda: RandomResizedCropGPU(9, valid_scale=2), r"valid_scale must be in 0\.\.1"),
    ]
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
