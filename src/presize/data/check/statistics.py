"""How much there is of what: classes, sizes, kinds of pixels and files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from presize.data.check.entries import Collection
from presize.data.check.facts import Facts
from presize.data.check.scan import Scan
from presize.data.labelcheck import Label

# Width by height, or height by width. 16:9 is 1.8, a panorama 3 and more.
ODD_ASPECT = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Counts of a data set.

    Args:
        splits: pictures by split, also those that cannot be read.
        classes: pictures by class and split.
        smallest: (height, width) of the picture with the fewest pixels; None if none can be read.
        median: the same of the picture in the middle.
        largest: the same of the picture with the most pixels.
        aspects: the lowest and the highest width by height.
        odd_aspect: positions of pictures more than three times as wide as high, or as high as wide.
        modes: pictures by the kind of their pixels, as stored.
        formats: pictures by the kind of their file.
        turned: how many are stored lying and turned upright as their EXIF orientation says.
    """

    splits: dict[str, int]
    classes: dict[Label, dict[str, int]]
    smallest: tuple[int, int] | None
    median: tuple[int, int] | None
    largest: tuple[int, int] | None
    aspects: tuple[float, float] | None
    odd_aspect: Sequence[int]
    modes: dict[str, int]
    formats: dict[str, int]
    turned: int


def statistics_of(data: Collection, scan: Scan) -> Statistics:
    """Return the counts of a data set that was read."""
    read = [(i, f) for i, f in enumerate(scan.facts) if f is not None]
    facts = [f for _, f in read]
    sizes = sorted((f.size for f in facts), key=lambda size: (size[0] * size[1], size))
    aspects = [width / height for height, width in sizes]
    splits = Counter(entry.split for entry in data.entries)
    return Statistics(
        splits={split: splits[split] for split in data.splits},
        classes=_classes(data),
        smallest=sizes[0] if sizes else None,
        median=sizes[len(sizes) // 2] if sizes else None,
        largest=sizes[-1] if sizes else None,
        aspects=(min(aspects), max(aspects)) if aspects else None,
        odd_aspect=[i for i, f in read if _is_odd(f)],
        modes=_counted([f.mode for f in facts]),
        formats=_counted([f.format for f in facts if f.format is not None]),
        turned=sum(f.turned for f in facts),
    )


def _classes(data: Collection) -> dict[Label, dict[str, int]]:
    """Return the pictures of each class by split; the largest class of the first split first."""
    counts: dict[Label, dict[str, int]] = {}
    for entry in data.entries:
        for label in entry.labels:
            row = counts.setdefault(label, dict.fromkeys(data.splits, 0))
            row[entry.split] += 1
    order = sorted(counts, key=lambda label: ([-n for n in counts[label].values()], str(label)))
    return {label: counts[label] for label in order}


def _is_odd(facts: Facts) -> bool:
    return max(facts.size) > ODD_ASPECT * min(facts.size)


def _counted(names: list[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
