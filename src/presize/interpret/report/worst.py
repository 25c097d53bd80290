"""The sections on single pictures: the largest losses, and labels that are probably wrong."""

from collections.abc import Sequence
from functools import partial

from presize.core.errors import PresizeError
from presize.interpret.report.parts import Card, Section, Shown
from presize.interpret.report.source import Source
from presize.interpret.report.wording import percent

_MANY = 0.2
# With a mark at either side (U+200E), so that names written from right to left stay at theirs.
ARROW = "\u200e\u2192\u200e"
_UNSURE = (
    "So many labels are rarely wrong. Where a model knows its classes badly, most of what it "
    "suspects are its own errors: train it better first, and look at the list again."
)
_EXPLAINED = ("classification", "multilabel")  # models of scores, one for each class


def losses_section(source: Source) -> Section:
    """Return the pictures with the largest losses, and what the model looked at in them."""
    losses, rows = source.interp.top_rows(source.k)
    title, template = "Largest losses", "losses.html"
    chosen: list[int] = rows.tolist()
    pictures = {row: source.picture(row) for row in chosen}
    heats, why = _heat_maps(source, [row for row, seen in pictures.items() if seen is not None])
    cards = []
    for loss, row in zip(losses.tolist(), chosen, strict=True):
        beside = [heats[row]] if row in heats else []
        cards.append(Card([pictures[row], *beside], _lines(source, row, loss)))
    values = {"cards": cards, "heat_maps": bool(heats), "why_no_heat_maps": why}
    return Section(key="losses", title=title, template=template, values=values)


def _lines(source: Source, row: int, loss: float) -> list[tuple[str, str]]:
    interp = source.interp
    predicted, actual = interp.names_of(row)
    lines: list[tuple[str, str]] = []
    if source.task in _EXPLAINED:
        lines = [("bad" if predicted != actual else "good", predicted or "none")]
    elif predicted:  # numbers are more or less right, and masks are not told in words
        lines = [("title", predicted)]
    if predicted != actual:
        lines.append(("text", f"labelled {actual or 'none'}"))
    figures = f"loss {loss:.2f}"
    if source.sure:
        sure, true = float(interp.confidences[row]), float(interp.target_probs[row])
        figures += f" · {percent(sure, 0)} sure"
        figures += f", {percent(true, 0)} for the label" if predicted != actual else ""
    return [*lines, ("text", figures), ("file", source.file(row))]


def _heat_maps(source: Source, rows: Sequence[int]) -> tuple[dict[int, Shown], str]:
    """Return the pictures with what the model looked at, by row, or why there are none."""
    if not source.heat_maps or not rows or source.task not in _EXPLAINED:
        return {}, ""
    from presize.interpret.heat_map_overlay import blend

    try:
        made = source.interp.heat_maps(rows)
        pictures = [
            blend(source.interp.picture(row), heat) for row, heat in zip(rows, made, strict=True)
        ]
    except Exception as error:  # the model is the user's own, and the pictures are there without
        return {}, str(error).partition("\n")[0]
    texts = [
        f"What speaks for {source.interp.names_of(row)[0]} in {source.file(row)}" for row in rows
    ]
    added = map(source.album.add, pictures, texts)
    return dict(zip(rows, added, strict=True)), ""


def labels_section(source: Source) -> Section:
    """Return the labels that are probably wrong, with their pictures."""
    title, template = "Suspected label errors", "labels.html"
    section = partial(Section, key="labels", title=title, template=template)
    if not source.label_errors:
        return section(missing="They were not searched for: label_errors=False.")
    try:
        found = source.suspects
    except PresizeError as error:
        return section(missing=f"They were not searched for. {error}")
    n = len(source.interp.indices)
    if not len(found):
        text = f"None of the {n:,} labels of the validation set looks wrong."
        return section(missing=text)
    cards = []
    for suspect in found[: source.k]:
        row = source.row_of.get(suspect.index)
        lines = [
            ("title", f"{suspect.given} {ARROW} {suspect.likely}"),
            ("text", f"score {suspect.score:.2f}"),
            ("file", source.short(suspect.file)),
        ]
        cards.append(Card([None if row is None else source.picture(row)], lines))
    notes = [_UNSURE] if len(found) > _MANY * n else []
    values = {"cards": cards, "found": len(found), "total": n, "notes": notes}
    return section(values=values)
