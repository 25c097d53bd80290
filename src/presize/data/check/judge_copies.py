"""What is wrong where pictures are there more than once."""

from collections.abc import Sequence
from typing import TypeAlias

from presize.data.check.copies import LOOKALIKES, Copies, Group, Kind
from presize.data.check.entries import Collection
from presize.data.check.report import Finding
from presize.data.check.scan import Scan
from presize.data.check.wording import amount, are, label_text, listed, picture

# From the nearest kind of copy to the least near.
_WORDS: dict[Kind, str] = {
    "identical": "identical",
    "alike": "looking alike",
    "mirrored": "mirrored",
}
Match: TypeAlias = tuple[Kind, int]


def copy_findings(data: Collection, scan: Scan, copies: Copies) -> list[Finding]:
    """Return what was noticed about pictures that are there more than once."""
    found = []
    for k in range(1, len(data.splits)):
        found += _leaks(data, scan, copies, data.splits[:k], data.splits[k])
    found += _two_labels(data, scan, copies)
    for split in data.splits:
        found += _repeated(data, copies, split)
    if copies.rule == LOOKALIKES:
        text = (
            "Different pictures of this data look alike, so only copies of the same cut were "
            "searched for, in other sizes, qualities or brightness."
        )
        found.append(Finding(kind="lookalikes", severity="note", text=text))
    return found


def _leaks(
    data: Collection, scan: Scan, copies: Copies, earlier: Sequence[str], split: str
) -> list[Finding]:
    """Return what there is to say about pictures of `split` that are in `earlier` ones, too."""
    matches: dict[int, Match] = {}
    for group in copies.groups:
        there = [m for m in group.members if data.entries[m].split in earlier]
        here = [m for m in group.members if data.entries[m].split == split]
        if there and here:
            matches |= _nearest(scan, group, here, there)
    if not matches:
        return []
    n, total = len(matches), sum(entry.split == split for entry in data.entries)
    kinds = [kind for kind, _ in matches.values()]
    others = listed(list(earlier), "or")
    return [
        Finding(
            kind="leak",
            severity="problem",
            text=f"{amount(n, 'picture')} of {total:,} in {split} {are(n)} in {others}, too: "
            f"{_by_kind(kinds)}.",
            advice=f"Accuracy on {split} will look better than it is. Delete them from {split}, "
            f"or the others from {others}.{_fixed_camera(kinds, total)}",
            lines=[
                f"{picture(data, i)} and {picture(data, j)}, {_WORDS[kind]}"
                for i, (kind, j) in matches.items()
            ],
        )
    ]


def _nearest(
    scan: Scan, group: Group, here: Sequence[int], there: Sequence[int]
) -> dict[int, Match]:
    """Return for each picture of a group that is `here` its nearest copy that is `there`."""
    side = dict(zip(group.members, group.sides, strict=True))
    digest = {m: facts.digest for m in group.members if (facts := scan.facts[m]) is not None}
    same_bytes = {digest[j]: j for j in reversed(there)}
    same_side = {side[j]: j for j in reversed(there)}
    matches: dict[int, Match] = {}
    for i in here:
        if digest[i] in same_bytes:
            matches[i] = "identical", same_bytes[digest[i]]
        elif side[i] in same_side:
            matches[i] = "alike", same_side[side[i]]
        else:
            matches[i] = "mirrored", there[0]
    return matches


def _two_labels(data: Collection, scan: Scan, copies: Copies) -> list[Finding]:
    """Return what there is to say about one picture under several labels.

    Mirrored copies may well have different labels: left and right hands, b and d.
    """
    lines, kinds = [], []
    for group in copies.groups:
        for side in sorted(set(group.sides)):
            same = [m for m, s in zip(group.members, group.sides, strict=True) if s == side]
            labelled = [m for m in same if data.entries[m].labels]
            others = _first_of_each_label(data, labelled)
            if len(others) > 1:
                kind = _nearest_pair(data, scan, labelled)
                kinds.append(kind)
                lines.append(f"{_with_labels(data, others)}, {_WORDS[kind]}")
    if not kinds:
        return []
    n = len(kinds)
    return [
        Finding(
            kind="two_labels",
            severity="problem",
            text=f"{amount(n, 'picture')} {are(n)} there under different labels: "
            f"{_by_kind(kinds)}.",
            advice="Keep each under its right label and delete the others."
            + _fixed_camera(kinds, len(data.entries)),
            lines=lines,
        )
    ]


def _first_of_each_label(data: Collection, members: Sequence[int]) -> list[int]:
    firsts: dict[frozenset[str], int] = {}
    for m in members:
        firsts.setdefault(frozenset(map(repr, data.entries[m].labels)), m)
    return list(firsts.values())


def _nearest_pair(data: Collection, scan: Scan, members: Sequence[int]) -> Kind:
    """Return how near the nearest two pictures with different labels are."""
    by_digest: dict[bytes, frozenset[str]] = {}
    for m in members:
        if (facts := scan.facts[m]) is not None:
            labels = frozenset(map(repr, data.entries[m].labels))
            if by_digest.setdefault(facts.digest, labels) != labels:
                return "identical"
    return "alike"


def _listed_few(data: Collection, members: Sequence[int], most: int = 4) -> str:
    few = members if len(members) <= most else members[: most - 1]
    more = len(members) - len(few)
    names = [picture(data, m) for m in few]
    return listed([*names, f"{more:,} more"] if more else names)


def _with_labels(data: Collection, members: Sequence[int], most: int = 3) -> str:
    """Return the names of pictures with their labels."""
    named = [
        f"{picture(data, m)} ({', '.join(map(label_text, data.entries[m].labels))})"
        for m in members[:most]
    ]
    more = len(members) - most
    return listed([*named, f"{more} more"] if more > 0 else named)


def _repeated(data: Collection, copies: Copies, split: str) -> list[Finding]:
    """Return what there is to say about copies inside one split."""
    lines, kinds, extra = [], [], 0
    for group in copies.groups:
        members = [m for m in group.members if data.entries[m].split == split]
        # Those with different labels are told of already, and mirrored ones may well have them.
        if len(members) > 1 and len(_first_of_each_label(data, members)) == 1:
            extra += len(members) - 1
            kinds.append(group.kind)
            lines.append(f"{_listed_few(data, members)}, {_WORDS[group.kind]}")
    if not lines:
        return []
    n = len(lines)
    whole = len(data.splits) == 1
    where = "" if whole else f" in {split}"
    advice = (
        "A random split puts copies into both training and validation, and accuracy looks better "
        "than it is: delete the copies, or keep them together in a split of your own."
        if whole
        else "They count more than other pictures."
    )
    total = sum(entry.split == split for entry in data.entries)
    return [
        Finding(
            kind="repeated",
            severity="warning" if whole else "note",
            text=f"{amount(n, 'picture')} {are(n)} there more than once{where}, "
            f"{amount(extra, 'file')} too many: {_by_kind(kinds)}.",
            advice=advice + _fixed_camera(kinds, total),
            lines=lines,
        )
    ]


def _by_kind(kinds: Sequence[Kind]) -> str:
    """Return "9 identical and 1 mirrored"."""
    counts = {kind: sum(k == kind for k in kinds) for kind in _WORDS}
    return listed([f"{n:,} {_WORDS[kind]}" for kind, n in counts.items() if n])


def _fixed_camera(kinds: Sequence[Kind], total: int) -> str:
    """Return what to do where so much looks alike that it may be meant to."""
    if sum(kind != "identical" for kind in kinds) < max(5, total / 10):
        return ""
    return (
        " If that is the nature of the data, as with a fixed camera, look for identical files "
        "only: --identical-only, or alike=False."
    )
