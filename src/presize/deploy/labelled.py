"""A model file together with labelled pictures, to see how well it does and where it errs."""

import os
from collections.abc import Sequence
from pathlib import Path as AnyPath
from typing import Any

from torch import nn

from presize.core.errors import DataError, ModelFileError, did_you_mean
from presize.core.paths import Path
from presize.data.check.dls import loaders_collection
from presize.data.check.entries import Collection, Entry
from presize.data.check.folder import folder_collection, usual_splits
from presize.data.datasets import Datasets
from presize.data.items import get_image_files
from presize.data.labels import RegexLabeller
from presize.data.loaders import DataLoaders
from presize.data.marks import from_text, mark
from presize.data.warned import warn_user
from presize.deploy.load import load_learner
from presize.deploy.registry import build_transform, picture_kind
from presize.learner import Learner
from presize.train.model_file import ModelFile

VALID = "is_valid"
_TRUE = ("true", "1", "yes")
_SHOWN = 5


def load_with_data(
    path: str | AnyPath,
    data: str | AnyPath | DataLoaders,
    *,
    pattern: str | None = None,
    label_delim: str | None = None,
    model: nn.Module | None = None,
) -> Learner:
    """Return a learner from a model file, with labelled pictures as its data.

    The pictures are treated as in the file, whatever loaders they come from. Those for validation
    are those that `data` sets apart; else those that the file says the model was judged by; else
    all, with a warning, since the model may have been trained on them.

    Args:
        path: the model file.
        data: loaders; a folder as `presize train` takes it, with a subfolder for each class and
            perhaps train/ and valid/ above; or a CSV file of pictures and labels, whose column
            `is_valid`, if there is one, sets validation apart.
        pattern: a regular expression with one group, which is the label, on the names of the files
            in the folder.
        label_delim: what separates several labels in the CSV file.
        model: the network, for a file whose architecture is the user's own.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ModelFileError: the file is broken, or is no classifier of pictures.
        DataError: there are no labels, or labels that the model does not know.
    """
    learn = load_learner(path, model=model)
    file = ModelFile.read(Path(path))
    if file.data["task"] not in ("classification", "multilabel") or len(file.data["inputs"]) != 1:
        raise ModelFileError(
            f"{path} is a model for {file.data['task']}; only classifiers of pictures can be put "
            "together with labelled pictures. Build the data with your own DataBlock, and set "
            "learn.dls = dls."
        )
    found = _collected(data, pattern, label_delim)
    _check_labels(found, [str(name) for name in learn.dls.vocab], path)
    train, valid = _split(found, learn)
    learn.dls = _loaders(file.data, found, train, valid)
    return learn


def _collected(
    data: str | AnyPath | DataLoaders, pattern: str | None, label_delim: str | None
) -> Collection:
    if isinstance(data, DataLoaders):
        return loaders_collection(data)
    source = Path(data)
    if source.is_file():
        return _from_csv(source, label_delim)
    if not source.is_dir():
        beside = [p.name for p in source.parent.iterdir()] if source.parent.is_dir() else []
        raise FileNotFoundError(
            f"There is no folder and no CSV file `{data}`.{did_you_mean(source.name, beside)}"
        )
    if pattern is None:
        return folder_collection(source, usual_splits(source))
    label_of = RegexLabeller(pattern)
    return _listed(source, [(f, "all", (label_of(f.name),)) for f in get_image_files(source)])


def _from_csv(file: Path, label_delim: str | None) -> Collection:
    """Return what a table lists as `ImageDataLoaders.from_csv` reads it: file, label, is_valid."""
    import pandas as pd

    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    if len(table.columns) < 2:
        raise DataError(
            f"The table `{file}` has {len(table.columns)} column, but it takes two: the files, "
            "relative to the table's folder, and their labels."
        )
    splits = ["all"] * len(table)
    if VALID in table.columns:
        splits = ["valid" if v.strip().lower() in _TRUE else "train" for v in table[VALID]]
    labels = [tuple(v.split(label_delim)) if label_delim else (v,) for v in table.iloc[:, 1]]
    files = [file.parent / name for name in table.iloc[:, 0]]
    return _listed(file.parent, list(zip(files, splits, labels, strict=True)))


def _listed(root: Path, found: Sequence[tuple[AnyPath, str, tuple[str, ...]]]) -> Collection:
    splits = [name for name in ("train", "valid", "all") if any(s == name for _, s, _ in found)]
    return Collection(
        root=root,
        splits=splits,
        entries=[Entry(str(file), split, labels, file) for file, split, labels in found],
        task="classification",
    )


def _check_labels(found: Collection, vocab: Sequence[str], path: str | AnyPath) -> None:
    labels = {str(label) for entry in found.entries for label in entry.labels}
    if not labels:
        raise DataError(
            f"The pictures have no labels to compare with. {found.why_unlabelled} Put them into a "
            "folder for each class, or give a pattern or a CSV file."
        )
    unknown = sorted(labels - set(vocab))
    if not unknown:
        return
    known = ", ".join(f"`{name}`" for name in vocab[:_SHOWN]) + (", …" if vocab[_SHOWN:] else "")
    named = ", ".join(f"`{name}`" for name in unknown[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    raise DataError(
        f"{path} is the model of another data set: it knows {len(vocab)} classes ({known}), and "
        f"{'none' if len(unknown) == len(labels) else 'not all'} of the {len(labels)} labels of "
        f"these pictures are among them: {named}{more}.{did_you_mean(unknown[0], vocab)} Use the "
        "model that was trained on these classes, or correct the labels."
    )


def _split(found: Collection, learn: Learner) -> tuple[list[int], list[int]]:
    """Return the positions of the pictures for training and for validation."""
    splits = [entry.split for entry in found.entries]
    held = [name for name in found.splits if name not in ("train", "all") and name in splits]
    if held:
        return _at(splits, "train"), _at(splits, held[0])
    every = list(range(len(found.entries)))
    marks = None if learn.record is None else learn.record.data.valid_marks
    known = frozenset() if marks is None else from_text(marks)
    valid = [i for i in every if mark(_file_of(found.entries[i]), found.root) in known]
    if valid:
        return sorted(set(every) - set(valid)), valid
    warn_user(
        f"All {len(every)} pictures are judged, as nothing sets some apart for validation. If the "
        "model was trained on some of them, the figures are too good."
    )
    return [], every


def _at(splits: Sequence[str], name: str) -> list[int]:
    return [i for i, split in enumerate(splits) if split == name]


def _file_of(entry: Entry) -> AnyPath:
    if not isinstance(entry.source, os.PathLike):
        raise DataError(
            f"Only pictures in files can be put together with a model file, but {entry.name} is "
            "made by the data set itself. Use learn.dls = dls with your own loaders."
        )
    return AnyPath(entry.source)


def _loaders(
    spec: dict[str, Any], found: Collection, train: list[int], valid: list[int]
) -> DataLoaders:
    """Return loaders of labelled files, whose pictures are treated as in a model file."""
    files = [Path(_file_of(entry)) for entry in found.entries]
    several = spec["task"] == "multilabel"
    labels = {
        str(file): list(entry.labels) if several else entry.labels[0]
        for file, entry in zip(files, found.entries, strict=True)
    }
    targets = [build_transform(**t) for t in spec["targets"][0]]
    dsets = Datasets(
        files,
        [
            [picture_kind(spec["inputs"][0]).create],
            [lambda file: labels[str(file)], *targets],
        ],
        n_inp=1,
        splits=[train, valid],
        do_setup=False,
        task=spec["task"],
    )
    dls: DataLoaders = dsets.dataloaders(
        bs=spec["bs"],
        path=found.root or ".",
        after_item=[build_transform(**t) for t in spec["after_item"]],
        after_batch=[build_transform(**t) for t in spec["after_batch"]],
    )
    return dls
