"""Which pictures of a data set somebody should look at, and why: found in four ways, one list.

Labels that are probably wrong and the largest losses need a model; pictures that are there twice
and files that cannot be read do not.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from presize.core.errors import DataError
from presize.data.filenames import AnyPath, below, whole
from presize.interpret.suspect_list import MANY, REASONS
from presize.interpret.suspect_list import Reason as Reason
from presize.interpret.suspect_list import Suspect as Suspect
from presize.interpret.suspect_list import Suspects as Suspects

if TYPE_CHECKING:
    from presize.data.check.entries import Collection
    from presize.data.loaders import DataLoaders
    from presize.interpret.suspected import LabelErrors
    from presize.learner import Learner


def suspects(
    learn: "Learner | None" = None,
    data: "DataLoaders | AnyPath | None" = None,
    *,
    label_errors: "LabelErrors | bool" = True,
    copies: bool = True,
    top_losses: int = 48,
    train: bool = True,
    root: AnyPath | None = None,
    show: bool = True,
) -> Suspects:
    """Return the pictures of a data set that somebody should look at.

    Args:
        learn: judges labels and losses; None looks at the files alone.
        data: loaders or a folder, without a learner; with one, its own data.
        label_errors: look for wrong labels in the validation set; or those that were found
            already, such as by cross-validation in the training set, too.
        copies: look for broken, empty and doubled pictures, for which all are read once.
        top_losses: how many of the largest losses, in each set, that are nearer to wrong than to
            right.
        train: those of the training set, too. It has been learned, so that a wrong label may go
            unnoticed, but not the other way round.
        root: the folder of the data; by default as the data says, else what all files have in
            common.
        show: draw bars.

    Raises:
        TypeError: neither a learner nor data.
        DataError: the pictures are not files.
    """
    collection = _collected(learn, data)
    files = [whole(e.source) if isinstance(e.source, Path) else "" for e in collection.entries]
    if not any(files):
        _refuse(collection)
    found = Found()
    for file, entry in zip(files, collection.entries, strict=True):
        found.given[file] = ";".join(map(str, entry.labels))
        found.split[file] = "" if entry.split == "all" else entry.split
    if copies:
        _from_check(collection, files, found, show=show)
    if learn is not None:
        _from_model(learn, found, label_errors, top_losses, train=train)
    return Suspects(
        listed=found.ranked(),
        root=_root(collection.root, [file for file in files if file], root),
        vocab=_vocab(learn, collection),
        several=collection.task == "multilabel",
        n=len(files),
    )


@dataclass
class Found:
    """What has been found so far, by file."""

    reasons: dict[str, dict[Reason, tuple[str, float]]] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    likely: dict[str, list[tuple[str, float | None]]] = field(default_factory=dict)

    def add(self, file: str, reason: Reason, note: str, score: float) -> None:
        """List a file for a reason."""
        self.reasons.setdefault(file, {})[reason] = note, score

    def guess(self, file: str, guesses: Iterable[tuple[str, float | None]]) -> None:
        """Note what labels a file may have, after those that are noted already."""
        known = dict(self.likely.get(file, []))
        for label, probability in guesses:
            known[label] = probability if known.get(label) is None else known[label]
        self.likely[file] = list(known.items())

    def ranked(self) -> list[Suspect]:
        """Return all that is found: by the gravest reason, then by score, copies side by side."""
        made = [self._suspect(file) for file in self.reasons]
        best: dict[int, float] = {}
        for s in made:
            if s.group is not None:
                best[s.group] = max(best.get(s.group, 0.0), s.score)

        def place(s: Suspect) -> tuple[int, float, int]:
            if s.group is None:
                return REASONS.index(s.reasons[0]), -s.score, -1
            return REASONS.index("duplicate"), -best[s.group], s.group

        return sorted(made, key=place)

    def _suspect(self, file: str) -> Suspect:
        told = self.reasons[file]
        order = sorted(told, key=REASONS.index)
        given = self.given.get(file, "")
        likely = [guess for guess in self.likely.get(file, []) if guess[0] != given]
        return Suspect(
            file=file,
            reasons=tuple(order),
            notes=tuple(told[reason][0] for reason in order),
            score=min(1.0, max(score for _, score in told.values())),
            given=given,
            likely=tuple(likely[:MANY]),
            split=self.split.get(file, ""),
            group=self.groups.get(file),
        )


def _collected(learn: Any, data: Any) -> "Collection":
    from presize.core.paths import Path as OurPath
    from presize.data.check.dls import loaders_collection
    from presize.data.check.folder import folder_collection, usual_splits

    if data is None and learn is None:
        raise TypeError("suspects needs a learner, or data: suspects(learn), suspects(data=...).")
    source = learn.dls if data is None else data
    if isinstance(source, str | os.PathLike):
        return folder_collection(OurPath(source), usual_splits(Path(source)))
    return loaders_collection(source)


def _refuse(collection: "Collection") -> None:
    if not collection.entries:
        where = "" if collection.root is None else f" in `{collection.root}`"
        raise DataError(f"There are no pictures to look at{where}.")
    raise DataError(
        "Only pictures that are files can be decided about, and those of this data are not: the "
        f"first is {collection.entries[0].name}."
    )


def _from_check(
    collection: "Collection", files: Sequence[str], found: Found, *, show: bool
) -> None:
    """Read all pictures; list what is broken, empty or doubled."""
    from presize.data.check.judge import blank_pictures
    from presize.data.check.run import check
    from presize.interpret.doubled import doubled

    report = check(collection, alike=True, threads=None, show=show)
    for i, why in report.scan.reasons.items():
        found.add(files[i], "unreadable", f"cannot be read: {why}", 1.0)
    for i in blank_pictures(report.scan):
        found.add(files[i], "one colour", "of one colour only", 0.9)
    for number, group in enumerate(report.copies.groups):
        for i, note, score, others in doubled(collection, group):
            found.add(files[i], "duplicate", note, score)
            found.guess(files[i], [(label, None) for label in others])
            if len({files[j] for j in group.members}) > 1:
                found.groups[files[i]] = number
    found.reasons.pop("", None)


def _from_model(
    learn: "Learner", found: Found, errors: "LabelErrors | bool", k: int, *, train: bool
) -> None:
    """List wrong labels and large losses."""
    from presize.interpret.label_errors import find_label_errors

    if errors is True and learn.dls.valid is not None and len(learn.dls.valid):
        errors = find_label_errors(learn) if learn.dls.task in _CLASSES else False
    for error in [] if isinstance(errors, bool) else errors:
        file = whole(error.file)
        if file in found.given:
            found.add(file, "label error", f"looks like {error.likely}", error.score)
            found.guess(file, [(error.likely, None)])
    for loader in _loaders(learn, train=train) if k else ():
        _from_losses(learn, loader, found, k)


_CLASSES = ("classification", "multilabel")


def _loaders(learn: "Learner", *, train: bool) -> list[Any]:
    """Return the loaders of validation and training, whose pictures come as in validation."""
    loaders = [learn.dls.valid] if learn.dls.valid is not None and len(learn.dls.valid) else []
    items = getattr(getattr(learn.dls.train, "dataset", None), "items", None)
    if train and items is not None and len(items):
        loaders.append(learn.dls.test_dl(items, with_labels=True))
    return loaders


def _from_losses(learn: "Learner", loader: Any, found: Found, k: int) -> None:
    from presize.interpret.choice import interpret

    interp = interpret(learn, dl=loader)
    names = [str(name) for name in interp.vocab or ()]
    probabilities = getattr(interp, "target_probs", None)
    losses, rows = interp.top_rows(k)
    for place, (loss, row) in enumerate(zip(losses.tolist(), rows.tolist(), strict=True)):
        path = interp.items.paths[row]
        if path is None:
            continue
        score = (k - place) / (2 * k) if probabilities is None else 1 - float(probabilities[row])
        if probabilities is None or score >= 0.5:
            found.add(whole(path), "top loss", f"loss {loss:.2f}", min(score, 0.99))
    # What else it may be is told of every listed picture that was seen, whatever it is listed for.
    for row, path in enumerate(interp.items.paths):
        if path is not None and whole(path) in found.reasons:
            found.guess(whole(path), _guesses(interp, row, names))


def _guesses(interp: Any, row: int, names: Sequence[str]) -> list[tuple[str, float | None]]:
    if hasattr(interp, "top_classes"):
        classes, chances = interp.top_classes[row].tolist(), interp.top_probs[row].tolist()
        return [(names[c], p) for c, p in zip(classes, chances, strict=True) if p >= 0.02]
    if interp.task == "multilabel" and (labels := interp.labels_of(row)[0]):
        return [(";".join(map(str, labels)), None)]
    return []


def _root(told: Path | None, files: Sequence[str], root: AnyPath | None) -> Path | None:
    """Return the folder that names are relative to."""
    if root is not None:
        return Path(whole(root))
    if told is not None and below(files[0], whole(told)) is not None:
        return Path(whole(told))
    try:
        return Path(os.path.commonpath([str(Path(file).parent) for file in files]))
    except ValueError:  # on several disks of Windows
        return None


def _vocab(learn: "Learner | None", collection: "Collection") -> list[str]:
    """Return the labels that there are: those of the model, then others of the data."""
    from presize.interpret.interpretation import one_vocab

    known = [] if learn is None else one_vocab(getattr(learn.dls, "vocab", None)) or []
    own = sorted({str(label) for entry in collection.entries for label in entry.labels})
    return list(dict.fromkeys([*map(str, known), *own]))
