import numpy as np
import numpy.typing as npt
import pytest
import torch

from presize.core import homography as H

WIDE = (30, 40)


def moved(maps: H.Maps, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return where each map takes (x, y) points: [n,k,2]."""
    full = np.concatenate([np.asarray(points, float), np.ones((len(np.asarray(points)), 1))], 1)
    out = full @ maps.swapaxes(1, 2)
    return out[..., :2] / out[..., 2:]


def random_chain(rng: np.random.Generator, n: int = 4) -> list[H.Maps]:
    return [
        H.flip(rng.random(n) > 0.5),
        H.dihedral(rng.integers(0, 8, n)),
        H.rotate(rng.uniform(-90, 90, n)),
        H.zoom(rng.uniform(0.5, 2, n), rng.random(n), rng.random(n), WIDE),
        H.warp(rng.uniform(-0.3, 0.3, n), rng.uniform(-0.3, 0.3, n), WIDE),
        H.crop_box(2, 3, rng.uniform(8, 20, n), rng.uniform(8, 20, n), hw=WIDE, size=WIDE),
    ]


def test_the_product_does_what_the_maps_do_one_by_one() -> None:
    rng = np.random.default_rng(0)
    chain = random_chain(rng)
    points = rng.uniform(-1, 1, (9, 2))
    # Maps go from the output to the input, so a point passes the last operation first.
    expected = np.stack([points] * 4)
    for maps in reversed(chain):
        expected = np.stack([moved(maps[i : i + 1], expected[i])[0] for i in range(4)])
    np.testing.assert_allclose(moved(H.compose(*chain), points), expected, rtol=1e-9, atol=1e-12)


def test_flip_twice_and_four_quarter_turns_change_nothing() -> None:
    mirror = H.flip([True, False])
    assert H.is_identity(H.compose(mirror, mirror))
    assert not H.is_identity(mirror)
    assert H.is_identity(H.compose(*[H.rotate([90.0])] * 4))
    assert H.is_identity(H.compose(H.rotate([33.0]), H.rotate([-33.0])))


@pytest.mark.parametrize("k", range(8))
def test_the_symmetries_of_the_square_are_eight(k: int) -> None:
    everything = [H.dihedral([i]) for i in range(8)]
    maps = H.dihedral([k])
    assert sum(np.allclose(maps, other) for other in everything) == 1
    products = [H.compose(maps, other) for other in everything]
    assert all(any(np.allclose(p, other) for other in everything) for p in products)


def test_zoom_keeps_its_point() -> None:
    half_height, half_width = H.half_sides(WIDE)
    centre = [(2 * 0.25 - 1) * half_width, (2 * 0.8 - 1) * half_height]
    maps = H.zoom([1.7], [0.25], [0.8], WIDE)
    np.testing.assert_allclose(moved(maps, [centre])[0, 0], centre, atol=1e-12)
    # Zooming in by 2 makes a step of the output half a step of the input.
    assert H.zoom([2.0], [0.5], [0.5])[0, 0, 0] == 0.5


def solved_warp(magnitude_x: float, magnitude_y: float) -> npt.NDArray[np.float64]:
    """Return the map from the eight linear equations that four pairs of corners give."""
    x, y = magnitude_x, magnitude_y
    corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    targets = [(-1 - y, -1 - x), (-1 + y, 1 + x), (1 + y, -1 + x), (1 - y, 1 - x)]
    rows, right = [], []
    for (cx, cy), (tx, ty) in zip(corners, targets, strict=True):
        rows.append([tx, ty, 1, 0, 0, 0, -cx * tx, -cx * ty])
        rows.append([0, 0, 0, tx, ty, 1, -cy * tx, -cy * ty])
        right += [cx, cy]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(right, float)), 1).reshape(
        3, 3
    )


def test_warp_equals_the_solution_of_its_equations() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-0.45, 0.45, (2, 50))
    maps = H.warp(x, y)
    expected = np.stack([solved_warp(*pair) for pair in zip(x, y, strict=True)])
    np.testing.assert_allclose(maps / maps[:, 2:, 2:], expected, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_warp_moves_the_corners_by_known_amounts(sign: int) -> None:
    # The output's points on the left, the picture's corners that are seen there on the right.
    tops = H.to_sides(H.warp([0.0], [sign * 0.5], WIDE), WIDE)
    np.testing.assert_allclose(
        moved(tops, [(1 + sign * 0.5, -1), (1 - sign * 0.5, 1)]), [[(1, -1), (1, 1)]], atol=1e-12
    )
    sides = H.to_sides(H.warp([sign * 0.5], [0.0], WIDE), WIDE)
    np.testing.assert_allclose(
        moved(sides, [(-1, 1 + sign * 0.5), (1, 1 - sign * 0.5)]), [[(-1, 1), (1, 1)]], atol=1e-12
    )


def test_frames_have_the_same_unit_along_both_sides() -> None:
    assert H.half_sides(WIDE) == (1.0, 40 / 30)
    pixels = H.to_pixels(H.identity(1), WIDE)
    assert H.is_identity(pixels)
    # A quarter turn in pixels: the middle of the right edge is seen at the bottom.
    turned = H.to_pixels(H.rotate([90.0]), (30, 30))
    np.testing.assert_allclose(moved(turned, [(14.5, 29)]), [[(29, 14.5)]], atol=1e-9)


def test_to_sides_and_back() -> None:
    maps = H.compose(*random_chain(np.random.default_rng(2)))
    there = H.to_sides(maps, WIDE, (20, 50))
    np.testing.assert_allclose(H.from_sides(there, WIDE, (20, 50)), maps, rtol=1e-9)


def test_crop_box_reads_exactly_the_box() -> None:
    maps = H.crop_box(5, 8, 10, 20, hw=WIDE, size=(10, 20))
    pixels = H.to_pixels(maps, WIDE, (10, 20))
    np.testing.assert_allclose(moved(pixels, [(0, 0), (19, 9)]), [[(8, 5), (27, 14)]], atol=1e-9)


def test_where_takes_rows() -> None:
    maps = H.where(np.array([True, False]), H.rotate([10.0, 20.0]))
    np.testing.assert_array_equal(maps[1], np.eye(3))
    np.testing.assert_array_equal(maps[0], H.rotate([10.0])[0])


def test_shrinkage_counts_input_pixels_for_a_step() -> None:
    down, across = H.shrinkage(H.resize(1, (100, 300), (50, 100)), (100, 300), (50, 100))
    assert (down[0], across[0]) == pytest.approx((2, 3))
    down, across = H.shrinkage(
        H.compose(H.zoom([2.0], [0.1], [0.9]), H.rotate([30.0])), (64, 64), (64, 64)
    )
    assert (down[0], across[0]) == pytest.approx((0.5, 0.5))
    # With a horizon: against differences in the middle of the picture.
    warped = H.warp([0.3], [0.2])
    m = H.to_pixels(warped, (65, 65))
    step = 1e-4
    around = moved(m, [(32 + step, 32), (32 - step, 32)])[0]
    _, across = H.shrinkage(warped, (65, 65), (65, 65))
    assert across[0] == pytest.approx(np.linalg.norm(around[0] - around[1]) / (2 * step), rel=1e-6)


def test_points_move_back_and_forth() -> None:
    maps = H.compose(*random_chain(np.random.default_rng(3)))
    points = torch.rand(4, 5, 2) * 2 - 1
    there = H.move_points(points, maps, WIDE, (20, 50))
    inverse: H.Maps = np.linalg.inv(maps).astype(np.float64)
    back = H.move_points(there, inverse, (20, 50), WIDE)
    torch.testing.assert_close(back, points, rtol=1e-4, atol=1e-4)
    assert there.dtype == torch.float32


def test_boxes_are_upright_around_their_corners() -> None:
    box = torch.tensor([[[-0.5, -0.25, 0.5, 0.25]]])
    turned = H.move_boxes(box, H.rotate([90.0]), (8, 8))
    torch.testing.assert_close(turned, torch.tensor([[[-0.25, -0.5, 0.25, 0.5]]]))
    mirrored = H.move_boxes(torch.tensor([[[-1.0, -1.0, 0.0, 0.5]]]), H.flip([True]), (8, 8))
    torch.testing.assert_close(mirrored, torch.tensor([[[0.0, -1.0, 1.0, 0.5]]]))
