"""The head of the report: what it is about, and its figures at a glance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from torch import Tensor

from presize.interpret.report.source import Source
from presize.interpret.report.wording import duration, percent

_DIGITS = 18  # of a number of parameters that can be


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure at a glance: its name, the figure, and what belongs to it."""

    name: str
    figure: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the sections: the heading, a line below it, the figures, what is odd."""

    title: str
    subtitle: str
    tiles: Sequence[Tile]
    notes: Sequence[str]


def head_of(source: Source, title: str | None = None) -> Head:
    """Return the head of a report; its heading is `title`, or else made of the names of things."""
    notes = list(getattr(source.interp, "notes", ()))
    try:
        figures = tiles(source)
    except Exception as error:  # the section that shows them tells it too
        figures, notes = (), [*notes, f"Some figures are missing. {type(error).__name__}: {error}"]
    return Head(title or heading(source), subtitle(source), figures, notes)


def heading(source: Source) -> str:
    """Return what the report is called if its author does not say: the data and the model."""
    data = source.record.data.source
    folder = "" if data is None else data.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = source.record.model.get("name", "model")
    return f"{folder}: {name}" if folder else f"Report on {name}"


def subtitle(source: Source) -> str:
    """Return the model, how large it is, and when it was trained, in one line."""
    record = source.record
    parts = [record.model.get("name", ""), _parameters(record.model.get("parameters", ""))]
    if record.model.get("weights") == "pretrained":  # else they may have come from a file
        parts.append("pretrained")
    if record.started:
        parts.append(f"trained {_day(record.started)}")
    return " · ".join(filter(None, parts))


def tiles(source: Source) -> Sequence[Tile]:
    """Return the figures at a glance."""
    found = [*_scores(source)]
    splits = source.record.data.splits
    if splits:
        listed = ", ".join(f"{n:,} {name}" for name, n in splits.items())
        found.append(Tile("Items", f"{sum(splits.values()):,}", listed))
    vocab = getattr(source.learn.dls, "vocab", None)
    if vocab is not None and source.task in ("classification", "multilabel"):
        word = "Classes" if source.task == "classification" else "Labels"
        found.append(Tile(word, f"{len(vocab):,}"))
    fits = source.record.fits
    if fits:
        epochs = sum(len(fit.rows) for fit in fits)
        seconds = sum(fit.seconds for fit in fits)
        found.append(Tile("Training", duration(seconds), f"{epochs:,} epoch{'s' * (epochs != 1)}"))
    return found


def _scores(source: Source) -> Sequence[Tile]:
    interp = source.interp
    if interp is None:
        return ()
    mean = _mean_loss(source)
    loss = Tile("Loss", "none" if math.isnan(mean) else f"{mean:.4g}", "validation")
    if source.task == "multilabel":
        per_label = [f.f1 for f in interp.per_class() if not math.isnan(f.f1)]
        mean = sum(per_label) / len(per_label) if per_label else math.nan
        return Tile("Mean F1", f"{mean:.3f}", "of the labels, validation"), loss
    if source.task != "classification":
        return (loss,)
    n = len(interp.targs)
    right = int((interp.decoded == interp.targs).sum())
    low, high = wilson(right, n)
    note = f"{right:,} of {n:,}; 95\u00a0% interval {percent(low)} to {percent(high)}"
    return Tile("Accuracy", percent(right / n), note), loss


def _mean_loss(source: Source) -> float:
    """Return the mean loss of the validation set; weights of classes count as in training."""
    losses = source.interp.losses.double()
    known = ~losses.isnan()
    whole = source.learn.loss_func
    weight = getattr(getattr(whole, "func", whole), "weight", None)
    if source.task != "classification" or not isinstance(weight, Tensor):
        return float(losses[known].mean())
    weights = weight.detach().cpu().double()[source.interp.targs]
    return float(losses[known].sum() / weights[known].sum())


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval that holds the true share in 95 of 100 cases (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    p, shrink = right / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _parameters(text: str) -> str:
    digits = text.replace(",", "")
    if not digits.isdecimal() or len(digits) > _DIGITS:
        return ""
    n = int(digits)
    return f"{n / 1e6:.1f} million parameters" if n >= 1_000_000 else f"{n:,} parameters"


def _day(started: str) -> str:
    try:
        when = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{when:%Y-%m-%d %H:%M}"
