"""The sections on what is taken for what: the matrix, the classes, the most confused pairs."""

import math
from typing import Any

import numpy as np

from presize.interpret.report.parts import Card, Cell, Column, Section, Table
from presize.interpret.report.source import Source
from presize.interpret.report.wording import percent

NOTHING = "\u2013"  # in a cell without a figure
MOST_CLASSES = 30  # of a matrix that can be read
_PAIRS = 6
_EXAMPLES = 4


def confusion_section(source: Source) -> Section:
    """Return the confusion matrix; of many classes, those that take part in most errors."""
    counts = np.asarray(source.interp.confusion_matrix())
    n = len(counts)
    chosen = np.arange(n)
    if n > MOST_CLASSES:
        wrong = counts - np.diag(np.diag(counts))
        most = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:MOST_CLASSES]
        chosen = np.sort(most)
    values = {
        "names": [source.names[i] for i in chosen],
        "rows": _rows(counts, chosen),
        "shown": len(chosen),
        "total": n,
    }
    return Section(
        key="confusion", title="Confusion matrix", template="confusion.html", values=values
    )


def _rows(counts: Any, chosen: Any) -> list[list[dict[str, Any]]]:
    """Return the cells of the matrix: count, share of the row in %, how strongly it is coloured."""
    totals = counts.sum(1)
    shares = counts / np.maximum(totals, 1)[:, None]
    wrong = shares - np.diag(np.diag(shares))
    # Errors are rare where a model is good: they have a scale of their own, up to the worst one.
    worst = max(float(wrong[np.ix_(chosen, chosen)].max(initial=0.0)), 1e-9)
    return [
        [
            {
                "count": int(counts[i, j]),
                "percent": percent(float(shares[i, j]), 0) if totals[i] else NOTHING,
                "right": i == j,
                "strength": round(float(shares[i, j]) if i == j else wrong[i, j] / worst * 0.85, 2),
            }
            for j in chosen
        ]
        for i in chosen
    ]


def class_section(source: Source) -> Section:
    """Return the table of classes: how many, how well, what they are taken for."""
    several = source.task == "multilabel"
    figures = source.interp.per_class()
    columns = [
        Column("label" if several else "class", number=False),
        Column("pictures", help="in the validation set"),
        Column("precision", help="of those that were called so, the part that is so"),
        Column("recall", help="of those that are so, the part that was called so"),
        Column("F1", help="the harmonic mean of precision and recall"),
    ]
    if several:
        columns.append(Column("average precision", help="over all thresholds"))
    else:
        columns += [Column("mean loss"), Column("most often taken for", number=False)]
    rows = [
        [
            Cell(str(f.name), str(f.name).casefold()),
            Cell(f"{f.count:,}", f.count),
            *(_share(value) for value in (f.precision, f.recall, f.f1)),
            *([_share(f.average_precision)] if several else [_number(f.mean_loss), _taken_for(f)]),
        ]
        for f in sorted(figures, key=lambda f: (math.isnan(f.f1), f.f1))
    ]
    table = Table(
        caption=f"{'Labels' if several else 'Classes'} of the validation set, the worst F1 first",
        columns=columns,
        rows=rows,
        sortable=True,
        sorted_by=(4, "ascending"),
    )
    title = "Labels" if several else "Classes"
    return Section(key="classes", title=title, template="classes.html", values={"table": table})


def _share(value: float) -> Cell:
    if math.isnan(value):
        return Cell(NOTHING)
    return Cell(f"{value:.3f}", round(value, 6), value)


def _number(value: float) -> Cell:
    return Cell(NOTHING) if math.isnan(value) else Cell(f"{value:.3f}", round(value, 6))


def _taken_for(figures: Any) -> Cell:
    if not figures.confused:
        return Cell(NOTHING)
    name = str(figures.most_confused_with)
    return Cell(f"{name} ({figures.confused:,}\u00d7)", name.casefold())


def pairs_section(source: Source) -> Section:
    """Return the pairs that are confused most often, with examples."""
    found = source.interp.most_confused()[:_PAIRS]
    title, template = "Most confused", "pairs.html"
    if not found:
        missing = "No picture of the validation set was taken for another class."
        return Section(key="pairs", title=title, template=template, missing=missing)
    pairs = []
    for actual, predicted, n in found:
        rows = source.interp.rows_of(actual=actual, predicted=predicted)[:_EXAMPLES].tolist()
        cards = [_example(source, row) for row in rows]
        pairs.append({"actual": str(actual), "predicted": str(predicted), "n": n, "cards": cards})
    return Section(key="pairs", title=title, template=template, values={"pairs": pairs})


def _example(source: Source, row: int) -> Card:
    lines = [("file", source.file(row))]
    if source.sure:
        lines.insert(0, ("text", f"{percent(float(source.interp.confidences[row]), 0)} sure"))
    return Card([source.picture(row)], lines)
