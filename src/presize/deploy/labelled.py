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
from presize.data.labelled_table import VALID, read_labelled
from presize.data.labels import ColReader, RegexLabeller
from presize.data.loaders import DataLoaders
from presize.data.marks import from_text, mark
from presize.data.warned import warn_user
from presize.deploy.load import load_learner
from presize.deploy.registry import build_transform, picture_kind
from presize.learner import Learner
from presize.train.model_file import ModelFile

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
        DataError: there are no labels, or labels that the model does not know; a picture has not
            one label for a model of classes, or two that contradict each other.
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
    classes = _by_text(learn.dls.vocab)
    several = file.data["task"] == "multilabel"
    _check_labels(found, classes, path, undivided=several and label_delim is None)
    if not several:
        _check_single(found, path)
    train, valid = _split(found, learn, path)
    learn.dls = _loaders(file.data, found, classes, train, valid)
    return learn


def _by_text(vocab: Sequence[Any]) -> dict[str, Any]:
    """Return the classes of a model by what stands for them in a table or the name of a folder."""
    short = {f"{name:g}": name for name in vocab if isinstance(name, float)}
    return short | {str(name): name for name in vocab}


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
    table = read_labelled(file)
    splits = ["all"] * len(table)
    if VALID in table.columns:
        splits = ["valid" if valid else "train" for valid in table[VALID]]
    read = ColReader(0, label_delim=label_delim)
    labels = [tuple(read((v,))) if label_delim else (v,) * bool(v) for v in table.iloc[:, 1]]
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


def _check_labels(
    found: Collection, classes: dict[str, Any], path: str | AnyPath, *, undivided: bool
) -> None:
    vocab = list(dict.fromkeys(map(str, classes.values())))
    labels = {str(label) for entry in found.entries for label in entry.labels}
    if not labels:
        raise DataError(
            f"The pictures have no labels to compare with. {found.why_unlabelled} Put them into a "
            "folder for each class, or give a pattern or a CSV file."
        )
    unknown = sorted(labels - set(classes))
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
        + (" What separates several labels in a table is label_delim=." if undivided else "")
    )


def _check_single(found: Collection, path: str | AnyPath) -> None:
    odd = next((entry for entry in found.entries if len(entry.labels) != 1), None)
    if odd is not None:
        named = f"{len(odd.labels)} ({', '.join(map(str, odd.labels))})" if odd.labels else "none"
        raise DataError(
            f"{path} is the model of one label for each picture, but {odd.name} has {named}. "
            "Correct its label, or leave it out."
        )


def _split(found: Collection, learn: Learner, path: str | AnyPath) -> tuple[list[int], list[int]]:
    """Return the positions of the pictures for training and for validation."""
    splits = [entry.split for entry in found.entries]
    held = [name for name in found.splits if name not in ("train", "all") and name in splits]
    if held:
        return _at(splits, "train"), _at(splits, held[0])
    every = list(range(len(found.entries)))
    marks = None if learn.record is None else learn.record.data.valid_marks
    try:
        known = frozenset() if marks is None else from_text(marks)
    except ValueError as error:
        raise ModelFileError(
            f"What {path} says of the pictures that the model was judged by is not valid: "
            f"{error}. It was changed by hand: export the model again."
        ) from error
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
    spec: dict[str, Any],
    found: Collection,
    classes: dict[str, Any],
    train: list[int],
    valid: list[int],
) -> DataLoaders:
    """Return loaders of labelled files, whose pictures are treated as in a model file."""
    files = [Path(_file_of(entry)) for entry in found.entries]
    several = spec["task"] == "multilabel"
    labels: dict[str, list[Any]] = {}
    for file, entry in zip(files, found.entries, strict=True):
        own = [classes[str(label)] for label in entry.labels]
        if set(labels.setdefault(str(file), own)) != set(own):
            raise DataError(
                f"The picture `{file}` is there twice, as {_words(labels[str(file)])} and as "
                f"{_words(own)}. Correct one of the labels, or leave it out."
            )
    targets = [build_transform(**t) for t in spec["targets"][0]]
    dsets = Datasets(
        files,
        [
            [picture_kind(spec["inputs"][0]).create],
            [lambda file: labels[str(file)] if several else labels[str(file)][0], *targets],
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


def _words(labels: Sequence[Any]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "one without labels"
