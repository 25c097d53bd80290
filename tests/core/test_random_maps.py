import numpy as np

from presize.core import homography as H
from presize.core.random_maps import (
    centred_box,
    dihedral_maps,
    flip_maps,
    random_boxes,
    rotate_maps,
    warp_maps,
    zoom_maps,
)
from presize.core.randomness import Draws

SQUARE = (50, 50)


def rng(n: int = 6) -> Draws:
    return Draws(3, 0, np.arange(n), "test")


def test_numbers_given_make_the_maps_of_the_algebra() -> None:
    hw = (30, 40)
    pairs = [
        (flip_maps(rng(2), hw, p=1, draw=[0, 1]), H.flip([False, True])),
        (dihedral_maps(rng(2), hw, p=1, draw=[3, 6]), H.dihedral([3, 6])),
        (rotate_maps(rng(2), hw, p=1, draw=[30, -9]), H.rotate([30, -9])),
        (
            zoom_maps(rng(1), hw, p=1, draw=1.2, draw_x=0.3, draw_y=0.9),
            H.zoom([1.2], [0.3], [0.9], hw),
        ),
        (warp_maps(rng(1), hw, p=1, draw_x=0.1, draw_y=-0.2), H.warp([0.1], [-0.2], hw)),
    ]
    for got, expected in pairs:
        np.testing.assert_array_equal(got, expected)


def test_draws_fill_their_ranges() -> None:
    n = 2000
    angles = np.rad2deg(np.arcsin(rotate_maps(rng(n), SQUARE, max_deg=20, p=1)[:, 0, 1]))
    assert -20 <= angles.min() < -19 < 19 < angles.max() <= 20
    factors = 1 / zoom_maps(rng(n), SQUARE, min_zoom=0.8, max_zoom=1.5, p=1)[:, 0, 0]
    assert 0.8 <= factors.min() < 0.82 < 1.48 < factors.max() <= 1.5
    mirrored = flip_maps(rng(n), SQUARE)[:, 0, 0] < 0
    assert 0.45 < mirrored.mean() < 0.55
    symmetries = dihedral_maps(rng(n), SQUARE, p=1).reshape(n, 9)
    assert len(np.unique(symmetries, axis=0)) == 8


def test_warp_has_its_own_chance_in_each_direction() -> None:
    maps = warp_maps(rng(4000), SQUARE, p=0.5)
    along_x, along_y = maps[:, 2, 0] != 0, maps[:, 2, 1] != 0
    for share in (along_x & along_y, along_x & ~along_y, ~along_x & along_y, ~along_x & ~along_y):
        assert 0.21 < share.mean() < 0.29


def test_random_boxes_lie_inside_and_keep_to_their_ranges() -> None:
    hw = (60, 90)
    top, left, height, width = random_boxes(
        rng(500), hw, min_scale=0.1, max_scale=0.6, ratio=(0.5, 2)
    )
    assert np.all((top >= 0) & (left >= 0) & (top + height <= 60) & (left + width <= 90))
    area = height * width / (60 * 90)
    assert np.all((area > 0.1 - 1e-9) & (area < 0.6 + 1e-9))
    assert np.all((width / height > 0.5 - 1e-9) & (width / height < 2 + 1e-9))
    assert np.std(top) > 5 < np.std(left)


def test_a_box_that_cannot_fit_is_the_largest_in_the_middle() -> None:
    # The whole area in a square never fits into a picture three times as wide as high.
    box = random_boxes(rng(3), (30, 90), min_scale=1, max_scale=1, ratio=(1, 1))
    np.testing.assert_array_equal(np.stack(box)[:, 0], [0, 30, 30, 30])
    assert centred_box((30, 90), (0.5, 2)) == (0, 15, 30, 60)
    assert centred_box((90, 30), (0.5, 2), 0.5) == (30, 7.5, 30, 15)
