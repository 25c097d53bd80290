"""Checks a folder of pictures, laid out as `ImageDataLoaders.from_folder` takes it."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING

from presize.core.paths import Path
from presize.data.check.entries import Collection, Entry
from presize.data.items import get_files, image_extensions
from presize.data.labels import parent_label

# Those of `presize train`: the first that is there validates.
VALID_NAMES = ("valid", "val", "validation", "test")
_ENDINGS = tuple(image_extensions)

if TYPE_CHECKING:
    from presize.data.check.report import DataReport


def check_folder(
    path: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    *,
    alike: bool = True,
    threads: int | None = None,
    show: bool = True,
) -> "DataReport":
    """Check the pictures of a folder before training on them.

    Found are pictures that cannot be read; the same picture twice, in one split, in several or
    under several labels, also in another size or quality, slightly cropped or mirrored; classes
    that are unequal, small, or written in two ways; and the sizes and kinds of pictures. Each
    file is read once.

    Args:
        path: holds `train/cat/1.jpg`, `valid/cat/2.jpg`; or `cat/1.jpg`; or pictures alone, which
            then have no labels.
        splits: the folders of training, validation and perhaps a test set in `path`. By default
            train, the first of valid, val, validation, test, and test; if train is not there, or
            none of the others, all of `path` is one set without a split.
        alike: look for copies, too; False finds identical files only.
        threads: how many read at a time; by default one per core, 16 at most.
        show: draw a bar in a terminal or a notebook.

    Raises:
        DataError: `path` or one of `splits` is no folder, or there are no pictures.
    """
    from presize.data.check.run import check  # a dozen modules, for those who check

    root = Path(path)
    data = folder_collection(root, usual_splits(root) if splits is None else splits)
    return check(data, alike=alike, threads=threads, show=show)


def usual_splits(root: AnyPath) -> list[str]:
    """Return the folders of training, validation and perhaps a test set; none without a split."""
    valid = next((name for name in VALID_NAMES if (root / name).is_dir()), None)
    if valid is None or not (root / "train").is_dir():
        return []
    test = ["test"] if valid != "test" and (root / "test").is_dir() else []
    return ["train", valid, *test]


def folder_collection(root: Path, splits: Sequence[str]) -> Collection:
    """Return the pictures of a folder, with the names of their folders as labels."""
    tops = {name: root / name for name in splits} or {"all": root}
    found = [(split, file) for split, top in tops.items() for file in get_files(top)]
    pictures = [(split, file) for split, file in found if _is_picture(file)]
    left_out = Counter(file.suffix.lower() for _, file in found if not _is_picture(file))
    outside = [str(file) for split, file in pictures if file.parent == tops[split]]
    labelled = len(outside) < len(pictures)
    entries = [
        Entry(str(file), split, (parent_label(file),) if labelled else (), file)
        for split, file in pictures
    ]
    return Collection(
        root=root,
        splits=list(tops),
        entries=entries,
        task="classification" if labelled else None,
        why_unlabelled="There are no labels to check: the pictures lie in no folders of classes.",
        outside=outside if labelled else (),
        empty=_empty_folders(list(tops.values()), [file for _, file in pictures]),
        left_out=dict(left_out),
    )


def _is_picture(file: AnyPath) -> bool:
    return file.name.lower().endswith(_ENDINGS)


def _empty_folders(tops: Sequence[AnyPath], pictures: Sequence[AnyPath]) -> list[str]:
    """Return the folders directly in those of the splits that have no picture at any depth."""
    filled = {parent for file in pictures for parent in file.parents}
    return sorted(
        str(folder)
        for top in tops
        for folder in top.iterdir()
        if folder.is_dir() and not folder.name.startswith(".") and folder not in filled
    )
