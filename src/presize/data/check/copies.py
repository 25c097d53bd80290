"""Finds pictures that are there more than once: the same file, a copy, or a mirrored copy.

Copies are found in two steps: fingerprints that are close (`closeness`), of which those stay that
show the same (`likeness`). How close is close depends on the data. Different photos hardly ever
have close fingerprints, different digits or pages of text often do. So a sample tells first how
often they do by chance; where that is often, only very near copies are counted: other sizes,
qualities and brightness, but no crops. Figures: benchmarks/near_duplicates.py.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from presize.data.check.closeness import Pairs, close_pairs
from presize.data.check.facts import Facts
from presize.data.check.likeness import other_colours, unexplained
from presize.data.check.looks import Fingerprints, fingerprints, mirrored
from presize.data.check.scan import Scan
from presize.data.check.unions import Ints, Unions

Kind: TypeAlias = Literal["identical", "alike", "mirrored"]

# Smaller pictures, such as digits of 8 x 8, look alike without being copies.
_SMALLEST_SIDE = 16
# Below this spread of gray levels a picture is one colour and noise: its fingerprint is by chance.
_LEAST_CONTRAST = 4.0
_SAMPLE = 256
_PAIRS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Rule:
    """When two pictures are copies.

    Args:
        distance: bits in which their fingerprints differ, at most.
        unexplained: how much of one the other does not explain, at most.
        moved: allow for a slight crop.
    """

    distance: int
    unexplained: float
    moved: bool


# Different photos: 0.34 and more (4,759 photos, 11 million pairs); copies with 3 % cropped away:
# 0.23 at the 99th percentile.
PHOTOS = Rule(distance=12, unexplained=0.25, moved=True)
# Different digits of MNIST: 0.18 and more (14,434, 104 million pairs); copies of photos of half
# the size, of JPEG quality 30 or of brightness - 10 %: 0.11 at the 99.9th percentile.
LOOKALIKES = Rule(distance=4, unexplained=0.12, moved=False)
# Photos: 0.000006 of all pairs are close without being copies; digits 0.004, MNIST 0.04, pages of
# text 0.02.
_OFTEN = 2e-4


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that show the same.

    Args:
        members: their positions, at least two.
        kind: "identical" if all are; "alike" if some are only copies; "mirrored" if some are only
            mirrored copies.
        sides: for each member a number, the same for those that are not mirrored to each other.
    """

    members: Sequence[int]
    kind: Kind
    sides: Sequence[int]


@dataclass(frozen=True, slots=True)
class Copies:
    """All pictures that are there more than once; `rule` tells what counted, None for no search."""

    groups: Sequence[Group]
    rule: Rule | None


def find_copies(scan: Scan, *, alike: bool = True, show: bool = False) -> Copies:
    """Return the groups of pictures that show the same, in the order of their first members.

    Args:
        scan: what was read.
        alike: look for copies, too, not only for identical files.
        show: draw a bar where there is a terminal or a notebook for it.
    """
    firsts = _first_of_each(scan.facts)
    same = Unions(len(scan.facts))
    for i, first in firsts.items():
        same.join(first, i)
    if not alike:
        return Copies(_groups(scan.facts, same, same), None)
    chosen = _comparable(scan, [i for i, first in firsts.items() if i == first])
    prints = fingerprints(scan.grays[chosen])
    rule = _rule_for(scan, chosen, prints)
    _join_copies(scan, chosen, prints, rule, same, flipped=False, show=show)
    either = same.copy()
    _join_copies(scan, chosen, prints, rule, either, flipped=True, show=show)
    return Copies(_groups(scan.facts, same, either), rule)


def _first_of_each(facts: Sequence[Facts | None]) -> dict[int, int]:
    """Return for each picture that was read the first with the same bytes."""
    seen: dict[bytes, int] = {}
    return {i: seen.setdefault(f.digest, i) for i, f in enumerate(facts) if f is not None}


def _comparable(scan: Scan, positions: Sequence[int]) -> Ints:
    """Return the positions of pictures that are large and varied enough to have a fingerprint."""
    large = [
        i for i in positions if (f := scan.facts[i]) is not None and min(f.size) >= _SMALLEST_SIDE
    ]
    parts = [
        large[start : start + _PAIRS_AT_ONCE] for start in range(0, len(large), _PAIRS_AT_ONCE)
    ]
    varied = [scan.grays[part].std((1, 2)) >= _LEAST_CONTRAST for part in parts]
    found: Ints = np.array(large, np.int64)[np.concatenate([np.empty(0, bool), *varied])]
    return found


def _rule_for(scan: Scan, chosen: Ints, prints: Fingerprints) -> Rule:
    """Return the rule that fits how often different pictures are close by chance."""
    n = len(chosen)
    if n < 2:
        return PHOTOS
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))
    near = np.bitwise_count(prints[rows, None] ^ prints) <= PHOTOS.distance
    near[np.arange(len(rows)), rows] = False
    i, j = np.nonzero(near)
    if not len(i):
        return PHOTOS
    tried = rng.choice(len(i), min(len(i), _PAIRS_AT_ONCE), replace=False)
    pairs = chosen[np.stack([rows[i[tried]], j[tried]], axis=1)]
    by_chance = ~_are_copies(scan, pairs, PHOTOS, flipped=False)
    rate = by_chance.mean() * len(i) / (len(rows) * (n - 1))
    # In a small sample each pair is seen from both ends, so this is more than one pair.
    return LOOKALIKES if by_chance.sum() > 2 and rate > _OFTEN else PHOTOS


def _join_copies(
    scan: Scan,
    chosen: Ints,
    prints: Fingerprints,
    rule: Rule,
    unions: Unions,
    *,
    flipped: bool,
    show: bool,
) -> None:
    """Join the copies among the chosen pictures."""
    others = mirrored(prints) if flipped else prints
    for found in close_pairs(prints, others, rule.distance, show=show):
        # Where a thousand pictures show the same, half a million pairs need no comparing.
        close = chosen[found]
        close = close[~unions.joined(close)]
        for start in range(0, len(close), _PAIRS_AT_ONCE):
            pairs = close[start : start + _PAIRS_AT_ONCE]
            pairs = pairs[~unions.joined(pairs)]
            for i, j in pairs[_are_copies(scan, pairs, rule, flipped=flipped)].tolist():
                unions.join(i, j)


def _are_copies(scan: Scan, pairs: Pairs, rule: Rule, *, flipped: bool) -> npt.NDArray[np.bool_]:
    first, second = pairs[:, 0], pairs[:, 1]
    a, b = scan.grays[first], scan.grays[second]
    chroma_a, chroma_b = scan.chromas[first], scan.chromas[second]
    if flipped:
        a, chroma_a = a[:, :, ::-1], chroma_a[:, :, ::-1]
    same = unexplained(a, b, moved=rule.moved) <= rule.unexplained
    copies: npt.NDArray[np.bool_] = same & ~other_colours(chroma_a, chroma_b)
    return copies


def _groups(facts: Sequence[Facts | None], same: Unions, either: Unions) -> list[Group]:
    """Return the groups of `either`; `same` tells who is mirrored to whom."""
    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(facts)):
        members[either.root(i)].append(i)
    groups = []
    for group in members.values():
        if len(group) > 1:
            sides = [same.root(i) for i in group]
            digests = {f.digest for i in group if (f := facts[i]) is not None}
            kind: Kind = "mirrored" if len(set(sides)) > 1 else "alike"
            groups.append(Group(group, "identical" if len(digests) == 1 else kind, sides))
    return groups
