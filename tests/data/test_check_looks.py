"""Fingerprints, the search for close ones, and the comparison of small pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from presize.data.check.closeness import close_pairs
from presize.data.check.likeness import other_colours, unexplained
from presize.data.check.looks import fingerprints, look_of, mirrored
from presize.data.check.unions import Unions


def photos(folder: Path, n: int) -> list[Image.Image]:
    return [Image.open(file).convert("RGB") for file in sorted(folder.iterdir())[:n]]


def grays(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([look_of(im).gray for im in pictures])


def recompressed(im: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    im.save(held, "JPEG", quality=quality)
    return Image.open(held)


CHANGES = {
    "half": lambda im: im.resize((im.width // 2, im.height // 2)),
    "quality": lambda im: recompressed(im, 30),
    "darker": lambda im: ImageEnhance.Brightness(im).enhance(0.9),
    "square": lambda im: im.resize((200, 200)),
    "gray": lambda im: im.convert("L"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_have_close_fingerprints_and_explain_each_other(
    pets_path: Path, change: str
) -> None:
    pictures = photos(pets_path, 40)
    one, other = grays(pictures), grays([CHANGES[change](im) for im in pictures])
    apart = np.bitwise_count(fingerprints(one) ^ fingerprints(other))
    assert apart.max() <= 6
    assert unexplained(one, other, moved=False).max() < 0.12
    assert unexplained(one, other, moved=True).max() < 0.12


def test_different_photos_do_not_explain_each_other(pets_path: Path) -> None:
    one = grays(photos(pets_path, 40))
    others = np.roll(one, 1, axis=0)
    assert unexplained(one, others, moved=False).min() > 0.4
    assert unexplained(one, others, moved=True).min() > 0.4


def test_a_crop_is_explained_only_by_moving(pets_path: Path) -> None:
    pictures = photos(pets_path, 40)
    cut = [im.crop((0, 0, round(im.width * 0.96), im.height)).resize(im.size) for im in pictures]
    lying = unexplained(grays(pictures), grays(cut), moved=False)
    moved = unexplained(grays(pictures), grays(cut), moved=True)
    assert np.median(moved) < np.median(lying) / 2
    assert np.mean(moved < 0.25) >= 0.95


def test_a_negative_is_no_copy(pets_path: Path) -> None:
    one = grays(photos(pets_path, 10))
    assert unexplained(one, 255 - one, moved=False).min() == 1
    assert unexplained(one, 255 - one, moved=True).min() == 1


def test_a_flat_picture_is_compared_without_a_warning() -> None:
    flat = np.full((1, 32, 32), 9, np.uint8)
    ramp = np.arange(32, dtype=np.uint8)[None, None] * np.ones((1, 32, 1), np.uint8)
    for a, b in ((flat, flat), (flat, ramp), (ramp, flat)):
        for moved in (False, True):
            assert np.isfinite(unexplained(a, b, moved=moved)).all()


def test_the_fingerprint_of_a_mirrored_picture_is_known_without_it(pets_path: Path) -> None:
    seen = grays(photos(pets_path, 40))
    turned = np.ascontiguousarray(seen[:, :, ::-1])
    differing = np.bitwise_count(mirrored(fingerprints(seen)) ^ fingerprints(turned))
    assert differing.max() <= 1  # rounding may tip a frequency that is nearly zero
    assert (mirrored(mirrored(fingerprints(seen))) == fingerprints(seen)).all()


def test_many_fingerprints_are_made_in_parts() -> None:
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 256, (5000, 32, 32), dtype=np.uint8)
    whole = fingerprints(seen)
    assert (whole[4990:] == fingerprints(seen[4990:])).all()
    assert len(fingerprints(seen[:0])) == 0


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.integers(0, 63),
)
def test_close_pairs_are_those_that_comparing_one_by_one_finds(
    numbers: list[int], distance: int
) -> None:
    prints = np.array(numbers, np.uint64)
    expected = {
        (i, j)
        for j in range(len(numbers))
        for i in range(j)
        if (numbers[i] ^ numbers[j]).bit_count() <= distance
    }
    found = [tuple(pair) for pairs in close_pairs(prints, prints, distance) for pair in pairs]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_close_pairs_are_found_across_tiles() -> None:
    rng = np.random.default_rng(0)
    prints = rng.integers(0, 2**63, 9000, dtype=np.uint64)
    prints[[5, 130, 4100, 8999]] = prints[5] ^ np.array([0, 1, 2, 4], np.uint64)
    found = {tuple(pair) for pairs in close_pairs(prints, prints, 2) for pair in pairs.tolist()}
    assert found == {(5, 130), (5, 4100), (5, 8999), (130, 4100), (130, 8999), (4100, 8999)}


def test_another_hue_is_another_picture_but_gray_is_a_copy() -> None:
    shirt = Image.linear_gradient("L").resize((64, 64))
    red, blue = (ImageOps.colorize(shirt, "black", name) for name in ("#ff0000", "#0000ff"))
    chroma = {name: look_of(im).chroma[None] for name, im in (("red", red), ("blue", blue))}
    gray = look_of(shirt).chroma[None]
    assert other_colours(chroma["red"], chroma["blue"]).all()
    assert not other_colours(chroma["red"], gray).any()
    assert not other_colours(gray, chroma["blue"]).any()


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40),
        )
    )
)
def test_unions_are_the_connected_parts_of_a_graph(
    drawn: tuple[int, list[tuple[int, int]]],
) -> None:
    n, joins = drawn
    unions, sets = Unions(n), [{i} for i in range(n)]
    for i, j in joins:
        unions.join(i, j)
        both = sets[i] | sets[j]
        for k in both:
            sets[k] = both
    assert [unions.root(i) for i in range(n)] == [min(sets[i]) for i in range(n)]
    few, many = np.array([[0, n - 1]]), np.array([[i, j] for i in range(n) for j in range(n)])
    assert unions.joined(few).tolist() == [n - 1 in sets[0]]
    assert unions.joined(many).tolist() == [j in sets[i] for i, j in many.tolist()]


def test_a_copy_of_unions_goes_on_alone() -> None:
    first = Unions(3)
    first.join(0, 1)
    second = first.copy()
    second.join(1, 2)
    assert (first.root(2), second.root(2)) == (2, 0)
