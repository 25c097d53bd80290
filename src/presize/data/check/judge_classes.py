"""What is wrong with the classes: too few pictures, too unequal, or two names for one."""

from presize.data.check.entries import Collection
from presize.data.check.labels import namesakes
from presize.data.check.report import Finding
from presize.data.check.statistics import Statistics
from presize.data.check.wording import amount, are, label_text, listed, short
from presize.data.labelcheck import Label

FEW = 5
UNEQUAL = 10


def class_findings(data: Collection, counts: Statistics) -> list[Finding]:
    """Return what was noticed about the classes."""
    if data.task is None:
        return [Finding(kind="no_labels", severity="note", text=data.why_unlabelled)]
    return [
        *_outside(data),
        *_nothing_to_tell_apart(data, counts),
        *_not_in_training(data, counts),
        *_not_validated(data, counts),
        *_alike(counts),
        *_empty(data),
        *_unequal(data, counts),
        *_few(data, counts),
    ]


def _outside(data: Collection) -> list[Finding]:
    n = len(data.outside)
    if not n:
        return []
    return [
        Finding(
            kind="outside",
            severity="warning",
            text=f"{amount(n, 'picture')} {are(n)} in no class folder; training takes the folder "
            "around the classes for the label.",
            advice="Move each into the folder of its class.",
            lines=[short(data, name) for name in data.outside],
        )
    ]


def _nothing_to_tell_apart(data: Collection, counts: Statistics) -> list[Finding]:
    first = data.splits[0]
    known = [label for label, row in counts.classes.items() if row[first]]
    if len(known) != 1 or data.task == "multilabel":
        return []
    return [
        Finding(
            kind="one_class",
            # A single folder may just be where the pictures lie, with labels in their names.
            severity="warning" if len(data.splits) == 1 else "problem",
            text=f"There is only one class to train on, {label_text(known[0])}.",
            advice="Training needs at least two, with a folder of pictures each; where labels are "
            "in names or a table, make the loaders and call dls.check().",
        )
    ]


def _not_in_training(data: Collection, counts: Statistics) -> list[Finding]:
    first, *others = data.splits
    unknown = {
        label: row
        for label, row in counts.classes.items()
        if not row[first] and any(row[split] for split in others)
    }
    if not unknown:
        return []
    n = len(unknown)
    return [
        Finding(
            kind="unknown_class",
            severity="problem",
            text=f"{amount(n, 'class', 'classes')} {are(n)} in {listed(others, 'or')}, but not in "
            f"{first}: training cannot start.",
            advice=f"Add pictures of them to {first}, or leave them out.",
            lines=[f"{label_text(label)}: {_by_split(row)}" for label, row in unknown.items()],
        )
    ]


def _not_validated(data: Collection, counts: Statistics) -> list[Finding]:
    found = []
    first, *others = data.splits
    labelled = {entry.split for entry in data.entries if entry.labels}
    for split in others:
        lines = [
            f"{label_text(label)}: {_by_split(row)}"
            for label, row in counts.classes.items()
            if row[first] and not row[split]
        ]
        if lines and split in labelled:
            text = f"{amount(len(lines), 'class', 'classes')} of {first} {are(len(lines))} not in "
            found.append(
                Finding(
                    kind="not_validated",
                    severity="warning",
                    text=f"{text}{split}: how well they are told apart will not be seen.",
                    advice=f"Move some of their pictures to {split}.",
                    lines=lines,
                )
            )
    return found


def _alike(counts: Statistics) -> list[Finding]:
    groups = namesakes(counts.classes)
    if not groups:
        return []
    lines = []
    for group in groups:
        named = [
            f"{label!r} ({amount(sum(counts.classes[label].values()), 'picture')})"
            for label in group.labels
        ]
        lines.append(f"{listed(named)} differ in {listed(group.differ_in)}")
    return [
        Finding(
            kind="labels_alike",
            severity="warning",
            text=f"{amount(len(groups), 'name')} for a class {are(len(groups))} written in "
            "different ways, each of which is a class of its own.",
            advice="If they mean the same, make them one.",
            lines=lines,
        )
    ]


def _empty(data: Collection) -> list[Finding]:
    n = len(data.empty)
    if not n:
        return []
    return [
        Finding(
            kind="empty_folder",
            severity="warning",
            text=f"{amount(n, 'class folder')} {'has' if n == 1 else 'have'} no pictures.",
            advice="Fill or delete them.",
            lines=[short(data, name) for name in data.empty],
        )
    ]


def _unequal(data: Collection, counts: Statistics) -> list[Finding]:
    first = data.splits[0]
    sizes = {label: row[first] for label, row in counts.classes.items() if row[first]}
    if len(sizes) < 2:
        return []
    most, least = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    times = sizes[most] / sizes[least]
    if times < UNEQUAL:
        return []
    where = "" if len(data.splits) == 1 else f" in {first}"
    return [
        Finding(
            kind="imbalance",
            severity="warning",
            text=f"The classes are unequal: {label_text(most)} has {sizes[most]:,} pictures"
            f"{where}, {label_text(least)} {sizes[least]:,}, {times:.0f} times fewer.",
            advice="A model may neglect the rare ones while accuracy looks good. Collect more of "
            'them, draw classes equally often with weights="balanced", and judge by F1Score.',
        )
    ]


def _few(data: Collection, counts: Statistics) -> list[Finding]:
    first = data.splits[0]
    few: dict[Label, int] = {
        label: row[first] for label, row in counts.classes.items() if 0 < row[first] < FEW
    }
    if not few:
        return []
    n = len(few)
    where = "" if len(data.splits) == 1 else f" in {first}"
    return [
        Finding(
            kind="few",
            severity="warning",
            text=f"{amount(n, 'class', 'classes')} of {len(counts.classes)} "
            f"{'has' if n == 1 else 'have'} fewer than {FEW} pictures{where}.",
            advice="Collect more, or leave them out.",
            lines=[f"{label_text(label)}: {count}" for label, count in few.items()],
        )
    ]


def _by_split(row: dict[str, int]) -> str:
    return ", ".join(f"{n:,} in {split}" for split, n in row.items() if n)
