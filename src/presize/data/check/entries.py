"""What is checked: a picture with its name, its split and its labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from presize.data.labelcheck import Label

Task = Literal["classification", "multilabel"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture to check.

    Args:
        name: the path as text, or what else tells the user which picture it is.
        split: "train", "valid", "test", or "all" where there is no split yet.
        labels: one, several, or none if it is not known.
        source: the file, or what returns the decoded picture.
    """

    name: str
    split: str
    labels: tuple[Label, ...]
    source: Path | Callable[[], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """All entries of a data set, and what was noticed while they were collected.

    Args:
        root: the folder that names are shown relative to; None shows them whole.
        splits: the names of the splits, also of those without a picture.
        entries: the pictures.
        task: how labels are to be read; None if there are none.
        why_unlabelled: why there are none.
        outside: pictures in no class folder, whose label is then the name of a split or data set.
        empty: class folders without a picture.
        left_out: how many files are no pictures by their ending, by ending.
    """

    root: Path | None
    splits: Sequence[str]
    entries: Sequence[Entry]
    task: Task | None
    why_unlabelled: str = ""
    outside: Sequence[str] = ()
    empty: Sequence[str] = ()
    left_out: dict[str, int] = field(default_factory=dict)
