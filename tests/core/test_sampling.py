import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from presize.core import homography as H
from presize.core.sampling import coordinates, sample


def smooth(n: int = 2, hw: tuple[int, int] = (48, 64)) -> Tensor:
    """Return soft random pictures: what interpolation does at hard edges is not the point here."""
    coarse = torch.rand(n, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, hw, mode="bicubic").clamp(0, 1)


def turned_by(k: int) -> Image.Transpose:
    return Image.Transpose(k - 1)


def test_the_identity_returns_the_picture_itself() -> None:
    x = smooth()
    assert sample(x, H.identity(2)) is x
    almost = sample(x, H.compose(H.rotate([25.0]), H.rotate([-24.99999999])))
    torch.testing.assert_close(almost, x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_symmetries_equal_pillows(k: int, mode: str) -> None:
    picture = np.random.default_rng(k).integers(0, 256, (31, 31, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture).transpose(turned_by(k)))
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    out = sample(x, H.dihedral([k]), mode=mode)  # type: ignore[arg-type]
    np.testing.assert_array_equal(out[0].permute(1, 2, 0).numpy(), expected)


def test_flip_mirrors_pictures_of_any_aspect_exactly() -> None:
    x = torch.randint(0, 256, (2, 3, 7, 10), dtype=torch.uint8)
    out = sample(x, H.flip([True, False]))
    assert out.dtype == torch.uint8
    torch.testing.assert_close(out, torch.stack([x[0].flip(-1), x[1]]))


def test_rotate_turns_clockwise_as_pillow_turns_back() -> None:
    x = smooth(1, (61, 61))
    picture = Image.fromarray(x[0, 0].numpy())
    expected = np.asarray(picture.rotate(-30, Image.Resampling.BILINEAR))
    out = sample(x, H.rotate([30.0]))[0, 0].numpy()
    inside = slice(12, -12)
    np.testing.assert_allclose(out[inside, inside], expected[inside, inside], atol=2e-3)


@pytest.mark.parametrize("hw", [(48, 64), (64, 48), (50, 50)])
def test_equals_opencv_on_the_same_maps(hw: tuple[int, int]) -> None:
    x, size = smooth(3, hw), (40, 56)
    maps = H.compose(
        H.rotate([10.0, -25.0, 3.0]),
        H.warp([0.1, -0.2, 0.0], [0.2, 0.1, -0.1], hw),
        H.crop_box(4, 5, 38, 40, hw=hw, size=size),
    )
    out = sample(x, maps, size)
    for picture, matrix, got in zip(x, H.to_pixels(maps, hw, size), out, strict=True):
        expected = cv2.warpPerspective(
            picture.permute(1, 2, 0).numpy(),
            matrix,
            size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        # OpenCV's coordinates are 1/32 of a pixel.
        np.testing.assert_allclose(got.permute(1, 2, 0).numpy(), expected, atol=1.5e-2)


def test_affine_coordinates_equal_pytorchs() -> None:
    maps = H.compose(H.rotate([20.0, 70.0]), H.zoom([1.3, 0.7], [0.2, 0.9], [0.4, 0.1], (30, 40)))
    grid = coordinates(maps, (30, 40), (20, 25), like=torch.zeros(1))
    theta = torch.from_numpy(H.to_sides(maps, (30, 40), (20, 25))[:, :2]).float()
    expected = F.affine_grid(theta, [2, 3, 20, 25], align_corners=False)
    torch.testing.assert_close(grid, expected, rtol=0, atol=1e-6)


def test_a_squish_shrinks_without_aliases() -> None:
    stripes = (torch.arange(240) % 2).float().expand(1, 1, 120, 240)
    out = sample(stripes, H.resize(1, (120, 240), (30, 60)), (30, 60))
    torch.testing.assert_close(out, torch.full_like(out, 0.5), rtol=0, atol=0.01)
    rough = sample(stripes, H.resize(1, (120, 240), (30, 50)), (30, 50), antialias=False)
    assert (rough - 0.5).abs().max() > 0.2


def test_shrinking_keeps_closer_to_the_area_mean_than_one_read() -> None:
    x = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    ideal = F.avg_pool2d(x, 4)
    maps = H.resize(1, (160, 160), (40, 40))
    errors = [
        float((sample(x, maps, (40, 40), antialias=antialias) - ideal).square().mean())
        for antialias in (True, False)
    ]
    assert errors[0] < errors[1] / 5


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    x = torch.rand(3, 3, 64, 64)
    maps = H.compose(H.zoom([0.4, 1.0, 3.0], [0.5] * 3, [0.5] * 3), H.resize(3, (64, 64), (32, 32)))
    together = sample(x, maps, (32, 32))
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], sample(x[i : i + 1], maps[i : i + 1], (32, 32)), rtol=0, atol=0
        )


def test_one_map_serves_all_pictures() -> None:
    x = smooth(3)
    torch.testing.assert_close(
        sample(x, H.rotate([10.0])), sample(x, H.rotate([10.0] * 3)), rtol=0, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint8])
def test_dtypes_are_kept(dtype: torch.dtype) -> None:
    x = (smooth() * (200 if dtype == torch.uint8 else 1)).to(dtype)
    out = sample(x, H.rotate([10.0, -10.0]))
    expected = sample(x.float(), H.rotate([10.0, -10.0]))
    assert out.dtype == dtype
    torch.testing.assert_close(
        out.float(), expected, rtol=0, atol=0.51 if expected.max() > 1 else 0.01
    )


def test_nearest_invents_no_number() -> None:
    labels = torch.randint(0, 3, (2, 1, 40, 40)) * 1_000_003
    out = sample(labels, H.rotate([33.0, 5.0]), (20, 20), mode="nearest")
    assert out.dtype == torch.int64
    assert set(out.unique().tolist()) <= set(labels.unique().tolist())


@pytest.mark.parametrize(("pad_mode", "corner"), [("zeros", 0.0), ("border", 1.0)])
def test_what_lies_outside(pad_mode: str, corner: float) -> None:
    out = sample(torch.ones(1, 1, 32, 32), H.rotate([45.0]), pad_mode=pad_mode)  # type: ignore[arg-type]
    assert float(out[0, 0, 0, 0]) == pytest.approx(corner, abs=1e-6)


def test_errors_name_what_came() -> None:
    x = smooth()
    with pytest.raises(ValueError, match=r"mode must be one of .* Did you mean `bilinear`\?"):
        sample(x, H.identity(2), mode="bilinaer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pad_mode must be .* Did you mean `reflection`\?"):
        sample(x, H.identity(2), pad_mode="reflect")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pictures \[2, 3, 48, 64\] and maps \[5, 3, 3\]"):
        sample(x, H.identity(5))
