"""What decisions change of a data set: which items are left out, and which labels are others.

An item and a decision are brought together by the file that the item's picture is read from. What
is dropped is dropped after the split, so that all others stay on their side of it.
"""

import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from presize.core.collections import L
from presize.core.errors import DataError, did_you_mean
from presize.core.pipeline import Pipeline
from presize.core.transform import ItemTransform, Transform
from presize.data.blame import brief
from presize.data.blockparts import Getter, as_getter
from presize.data.decisionrows import Decision
from presize.data.decisions import Decisions
from presize.data.filenames import AnyPath, is_whole, slashed, whole
from presize.data.labelcheck import label_list
from presize.data.labels import ColReader
from presize.data.rows import Rows
from presize.data.stream.itemstream import ItemStream
from presize.data.table import Table
from presize.data.vocab import Categorize, EncodedMultiCategorize, MultiCategorize
from presize.data.warned import warn_user

_SHOWN = 5
_ENCODERS = (Categorize, MultiCategorize, EncodedMultiCategorize)


class Correction:
    """Decisions, as they concern the items of one data set.

    Args:
        name: of the CSV file, for errors.
        dropped: positions of the items to leave out.
        labels: the new label by the whole path of the picture.
        file_of: returns the whole path of an item's picture.
    """

    def __init__(
        self,
        name: str,
        dropped: set[int],
        labels: Mapping[str, Decision],
        file_of: "PictureFile",
    ) -> None:
        self.name, self.dropped, self.labels, self.file_of = name, dropped, labels, file_of

    def kept(self, splits: Sequence[Sequence[int]]) -> list[L[int]]:
        """Return the splits without what is dropped.

        Raises:
            DataError: nothing is left of training or of validation.
        """
        made = [L([i for i in split if i not in self.dropped]) for split in splits]
        for what, before, after in zip(("training", "validation"), splits, made, strict=False):
            if before and not after:
                raise DataError(
                    f"`{self.name}` drops all {len(before)} items of the {what} set. Keep some, "
                    "or change the splitter."
                )
        return made

    def labelled(self, taking: Sequence[Any], tfms: Sequence[Any]) -> list[Any]:
        """Return the transforms from an item to the number of its class, with the new labels.

        Args:
            taking: those that take the label out of an item.
            tfms: those that follow, which encode it.
        """
        if not self.labels:
            return [*taking, *tfms]
        kinds = [f for f in tfms if isinstance(f, _ENCODERS)]
        if not kinds:
            warn_user(
                f"`{self.name}` relabels {len(self.labels)} of the items, which changes nothing: "
                "the first target of this data is no class."
            )
            return [*taking, *tfms]
        several = not isinstance(kinds[0], Categorize)
        new = [d.labels if several else [d.label] for d in self.labels.values()]
        wanted = list(dict.fromkeys(label for labels in new for label in labels))
        plain = bool(taking) and isinstance(getattr(taking[0], "function", None), ColReader)
        first = Relabelled(taking, self.file_of, self.labels, several)
        first.by_columns = self.file_of.by_columns and plain and len(taking) == 1
        if isinstance(kinds[0], EncodedMultiCategorize):
            first.classes = self._all_known(kinds[0].spec()["vocab"], wanted)
            return [first, *tfms]
        return [first, *(_joined(f, wanted) if f is kinds[0] else f for f in tfms)]

    def _all_known(self, vocab: Any, wanted: Sequence[str]) -> list[str]:
        """Return the names of classes that have a place each, and so can get no other."""
        names = list(map(str, vocab))
        for label in wanted:
            if label not in names:
                raise DataError(
                    f"`{self.name}` has the new label `{label}`, but the targets are 0 or 1 for "
                    f"each of the {len(names)} classes that are known.{did_you_mean(label, names)}"
                )
        return names


class Relabelled(ItemTransform):
    """Take the label out of an item, or the one that was decided for its picture.

    Args:
        taking: transforms that take the label that the data gives.
        file_of: returns the whole path of an item's picture.
        labels: decisions by such paths.
        several: a picture has a list of labels.
    """

    by_columns = False
    classes: Sequence[str] | None = None
    """Of targets that are 0 or 1 for each."""

    def __init__(
        self,
        taking: Sequence[Transform],
        file_of: "PictureFile",
        labels: Mapping[str, Decision],
        several: bool,
    ) -> None:
        super().__init__()
        self.taking, self.file_of = list(taking), file_of
        self.labels, self.several = labels, several

    def encodes(self, x: Any) -> Any:
        """Return the label of an item."""
        value = x
        for f in self.taking:
            value = f(value)
        found = self.labels.get(self.file_of(x))
        if found is None:
            return value
        if self.classes is not None:
            return [float(label in found.labels) for label in self.classes]
        if not self.several:
            return like(found.label, value)
        given = next(iter(label_list(value)), None)
        return [like(label, given) for label in found.labels]

    def spec(self) -> dict[str, Any]:
        """Return what tells the new labels: a run that is gone on with has to have the same."""
        lines = sorted(f"{row.file}\n{row.label}" for row in self.labels.values())
        told = "\n".join(lines).encode("utf-8", "surrogateescape")
        return {"labels": len(lines), "checksum": f"{zlib.crc32(told):08x}"}


def like(label: str, value: Any) -> Any:
    """Return a label of a CSV file as the kind of thing that another label is: 3, not "3"."""
    plain = value.item() if hasattr(value, "item") and not hasattr(value, "iloc") else value
    if type(plain) is bool:
        return {"True": True, "False": False}.get(label, label)
    for kind in (int, float):
        if type(plain) is kind:
            try:
                return kind(label)
            except ValueError:
                return label
    return label


def correction_of(
    decisions: Decisions | AnyPath,
    items: Any,
    getter: Getter | None,
    roots: Sequence[AnyPath] = (),
) -> Correction:
    """Return what decisions change of the items of a data set.

    Warns of decisions about files that are not there.

    Args:
        decisions: them, or the CSV file.
        items: of the data set.
        getter: takes the picture's file out of an item; None if the item is the file.
        roots: folders that names of the CSV file may be relative to, the likely ones first.

    Raises:
        DecisionsNotFoundError: there is no such CSV file.
        DataError: it cannot be read, or the items are not files.
    """
    made = decisions if isinstance(decisions, Decisions) else Decisions.read(decisions)
    file_of = PictureFile(getter)
    if isinstance(items, ItemStream):
        raise DataError(
            f"`decisions=` is about files, and the pictures of {items!r} are none: leave it out."
        )
    seen = Table(items) if file_of.by_columns and hasattr(items, "iloc") else Rows(items)
    place: dict[str, list[int]] = {}
    for i, item in enumerate(seen if len(made) else ()):
        place.setdefault(file_of(item), []).append(i)
    own = [] if made.root is None else [made.root]
    root = _root_of(list(made), place, [*own, *roots])
    rows = {whole(row.file, root or ""): row for row in made.values()}
    _warn_of_missing(rows, place, made)
    here = {file: row for file, row in rows.items() if file in place}
    dropped = {i for file, row in here.items() if row.decision == "drop" for i in place[file]}
    labels = {file: row for file, row in here.items() if row.decision == "relabel"}
    return Correction(str(made.path), dropped, labels, file_of)


class PictureFile:
    """Returns the whole path of the file that an item's picture is read from.

    Args:
        getter: takes the file out of an item; None if the item is the file.
    """

    def __init__(self, getter: Getter | None) -> None:
        self.taking = [] if getter is None else Pipeline(as_getter(getter)).fs

    @property
    def by_columns(self) -> bool:
        """Whether it reads a place of a table as well as a row."""
        return len(self.taking) == 1 and isinstance(self.taking[0].function, ColReader)

    def __call__(self, item: Any) -> str:
        """Return the file of an item.

        Raises:
            DataError: the picture comes from something else.
        """
        value = item
        for f in self.taking:
            value = f(value)
        if isinstance(value, str | os.PathLike):
            return whole(value)
        raise DataError(
            f"`decisions=` is about files, but the picture of the item {brief(item)} comes from "
            f"{brief(value)} ({type(value).__name__}). Let get_x give the path, or leave "
            "`decisions=` out."
        )


def _root_of(
    names: Sequence[str], place: Mapping[str, Any], roots: Sequence[AnyPath]
) -> str | None:
    """Return the folder that names of the CSV file are relative to; None if none fits.

    That is the first of `roots` under which a name is one of the items. Else it is looked for above
    the items: the folder under which the most names are found.
    """
    names = [name for name in names if not is_whole(name)]
    for root in roots:
        if any(whole(name, root) in place for name in names):
            return whole(root)
    relative = {PurePosixPath(name).parts for name in names}
    ends = {parts[-1] for parts in relative if parts}
    votes: Counter[str] = Counter()
    for file in place:
        parts = PurePosixPath(slashed(file)).parts
        if parts[-1] in ends:
            found = (k for k in range(1, len(parts)) if parts[k:] in relative)
            votes.update(str(PurePosixPath(*parts[:k])) for k in found)
    best = votes.most_common(2)
    if len(best) == 2 and best[0][1] == best[1][1]:
        raise DataError(
            f"The decisions name files such as `{names[0]}`, of which there are some below "
            f"`{best[0][0]}` and some below `{best[1][0]}`. Say which folder the names are "
            "relative to: decisions=Decisions(csv, root=folder)."
        )
    return best[0][0] if best else None


def _warn_of_missing(
    rows: Mapping[str, Decision], place: Mapping[str, Any], made: Decisions
) -> None:
    """Warn of files that are not on the disk, and of decisions none of which is about an item."""
    strange = [file for file in rows if file not in place]
    if rows and len(strange) == len(rows):
        file, row = next(iter(rows.items()))
        there = "which is not among the items" if Path(file).exists() else "which is not there"
        warn_user(
            f"None of the {len(rows)} decisions of `{made.path}` is about an item of this data: "
            f"the first is about `{row.file}`, {there}. Names in it are relative to the folder of "
            "the data: decisions=Decisions(csv, root=folder) says which."
        )
        return
    gone = [rows[file].file for file in strange if not os.path.lexists(file)]
    if gone:
        shown = ", ".join(f"`{name}`" for name in gone[:_SHOWN])
        more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
        warn_user(
            f"`{made.path}` has decisions about {len(gone)} file{'s' * (len(gone) > 1)} that are "
            f"not there: {shown}{more}. They change nothing."
        )


def _joined(f: Any, labels: Sequence[str]) -> Any:
    """Return an encoder whose vocabulary, where it was given, has the new labels at its end."""
    if f.vocab is None:
        return f
    classes = [o for o in f.vocab if not (f.add_na and o == f.vocab[0])]
    known = {str(o) for o in classes}
    new = [like(label, next(iter(classes), None)) for label in labels if label not in known]
    if not new:
        return f
    if isinstance(f, Categorize):
        return Categorize([*classes, *new], sort=False, add_na=f.add_na)
    return MultiCategorize([*classes, *new], add_na=f.add_na)
