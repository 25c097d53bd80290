"""What is said of each picture of a group that shows the same."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from presize.data.check.wording import label_text

if TYPE_CHECKING:
    from presize.data.check.copies import Group
    from presize.data.check.entries import Collection

# Whether a copy harms: the same picture under two labels surely does, one in the same set and
# class only counts twice.
TWO_LABELS, LEAK, REPEATED = 0.98, 0.95, 0.6


def doubled(data: "Collection", group: "Group") -> Iterator[tuple[int, str, float, list[str]]]:
    """Yield for each picture of a group its position, a note, how grave it is, and other labels.

    Mirrored copies may well have different labels: left and right hands, b and d. One file that the
    data names several times, with one label and in one set, is meant to be there so often.
    """
    n_files = len({data.entries[i].source for i in group.members})
    kind = _kind(group) if n_files > 1 else "one file, named more than once"
    sides = dict(zip(group.members, group.sides, strict=True))
    for i in group.members:
        others = [j for j in group.members if j != i]
        same_side = [j for j in others if sides[j] == sides[i]]
        labels = {data.entries[j].labels for j in same_side if data.entries[j].labels}
        splits = {data.entries[j].split for j in others}
        others_labels = sorted(";".join(map(str, o)) for o in labels - {data.entries[i].labels})
        other_splits = sorted(splits - {data.entries[i].split})
        if data.entries[i].labels and others_labels:
            names = ", ".join(map(label_text, others_labels))
            yield i, f"{kind}, also labelled {names}", TWO_LABELS, others_labels
        elif other_splits:
            yield i, f"{kind}, also in {', '.join(other_splits)}", LEAK, []
        elif n_files > 1:
            yield i, f"{kind}, there {n_files} times", REPEATED, []


def _kind(group: "Group") -> str:
    return {"identical": "the same file", "alike": "looks the same", "mirrored": "mirrored"}[
        group.kind
    ]
