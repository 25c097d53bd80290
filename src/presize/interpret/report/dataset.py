"""The section on the data: how much of what, and a batch as the model sees it."""

from collections.abc import Sequence
from typing import Any

from presize.core.errors import PresizeError
from presize.interpret.report.parts import Card, Cell, Column, Section, Table
from presize.interpret.report.source import Source

_SAMPLES = 16


def data_section(source: Source) -> Section:
    """Return the counts of splits and classes, and some pictures as they go into the model."""
    facts = source.record.data
    cards, split = _samples(source)
    values = {
        "source": facts.source,
        "judged": _judged(source),
        "task": facts.task or source.task,
        "splits": list(facts.splits.items()),
        "classes": _classes(facts.classes, list(facts.splits)),
        "notes": _notes(facts.classes, facts.splits),
        "cards": cards,
        "split": split,
    }
    return Section(key="data", title="Data", template="data.html", values=values)


def _judged(source: Source) -> str:
    """Return what the model is judged by, where that is not the data that it was trained with."""
    from presize.history import data_facts

    now, then = data_facts(source.learn), source.record.data
    n = now.splits.get("valid", 0)
    if not n or (now.splits, now.source) == (then.splits, then.source):
        return ""
    where = f" of {now.source}" if now.source else ""
    return f"{n:,} items{where}"


def _classes(classes: dict[str, dict[str, int]], splits: Sequence[str]) -> Table | None:
    """Return how many items each class has in each split; the largest class first."""
    if not classes:
        return None
    shown = [split for split in splits if split in classes]
    names = {name: None for split in shown for name in classes[split]}
    totals = {split: max(1, max(classes[split].values(), default=1)) for split in shown}
    first = shown[0]
    ordered = sorted(names, key=lambda name: -classes[first].get(name, 0))
    rows = [
        [
            Cell(name, name.casefold()),
            *(
                Cell(f"{n:,}", n, n / totals[split])
                for split in shown
                for n in [classes[split].get(name, 0)]
            ),
        ]
        for name in ordered
    ]
    return Table(
        caption="Items of each class",
        columns=[Column("class", number=False), *(Column(split) for split in shown)],
        rows=rows,
        sortable=len(rows) > 1,
        sorted_by=(1, "descending"),
    )


def _notes(classes: dict[str, dict[str, int]], splits: dict[str, int]) -> list[str]:
    """Return what is odd about the counts."""
    notes = [f"There are no items in {name}." for name, n in splits.items() if not n]
    full = {split: counts for split, counts in classes.items() if splits.get(split, 1)}
    for split, counts in full.items():
        none = [name for name, n in counts.items() if not n]
        if none:
            few = ", ".join(none[:5]) + (f" and {len(none) - 5} more" if len(none) > 5 else "")
            notes.append(f"No item of {split} is of the class {few}.")
        if sum(n > 0 for n in counts.values()) == 1:
            notes.append(f"All items of {split} are of one class.")
    return notes


def _samples(source: Source) -> tuple[list[Card], str]:
    """Return some samples of a batch, and of which loader it is."""
    dls = source.learn.dls
    for name in ("train", "valid"):
        loader = getattr(dls, name, None)
        try:
            if loader is not None and len(loader):
                return [_card(source, sample) for sample in _decoded(loader)], name
        except (PresizeError, OSError, TypeError, ValueError, AttributeError):
            continue  # of loaders that are not ours nothing is known about how to show them
    return [], ""


def _decoded(loader: Any) -> list[Any]:
    batch = loader.one_batch()
    return list(loader.decode_batch(batch, _SAMPLES))


def _card(source: Source, sample: Any) -> Card:
    from presize.interpret.kept_items import as_picture

    whole = sample if isinstance(sample, tuple) else (sample,)
    known = source.task in ("classification", "multilabel")
    label = str(whole[-1]) if known and len(whole) > 1 else ""
    shown = source.album.add(as_picture(whole[0]), f"Sample{f' of {label}' if label else ''}")
    return Card([shown], [("title", label)] if label else [])
