"""k-fold cross-validation in one call.

    result = cross_validate(
        dls,
        learner=lambda dls: vision_learner(dls, resnet18, metrics=error_rate),
        fit=lambda learn: learn.fine_tune(3),
    )
    print(result)                                    # each fold, mean and spread
    label, number, probs = result.ensemble.predict("cat.jpg")
    result.ensemble.save("pets")                     # load_ensemble("pets")

`result.preds` and `result.targets` have a row for every item, by a model that has not seen it.
"""

import gc
import os
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import nn

from presize.core.errors import TrainingError
from presize.core.progress import working
from presize.data.blame import named_errors
from presize.data.datablock import DataBlock
from presize.data.folds import fold_numbers
from presize.data.labels import ColReader
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.options import BlockOptions
from presize.data.refolded import FoldedData, folded
from presize.data.warned import warn_user
from presize.folding.outcome import CrossValidation, Outcome, judged, put_together

if TYPE_CHECKING:
    from presize.learner import Learner


def cross_validate(
    data: DataLoaders | DataBlock,
    source: Any = None,
    *,
    learner: "Callable[[DataLoaders], Learner]",
    fit: "Callable[[Learner], object]",
    k: int = 5,
    stratify: bool = True,
    groups: Sequence[Any] | Callable[[Any], Any] | None = None,
    split_seed: int = 42,
    verbose: bool = True,
    **options: Unpack[BlockOptions],
) -> CrossValidation:
    """Train `k` models, each on all but one fold of the items, and judge each on the fold left out.

    Every item gets one prediction, by the model that has not seen it. Metrics are those of the
    learner. The models' weights are kept, in memory and not on the GPU, for the ensemble.

    Args:
        data: loaders or a DataBlock, whose training and validation items are put together and
            divided anew. A third, a test set is left alone, and so is what a splitter puts into
            no set.
        source: of the DataBlock: what `dataloaders` takes.
        learner: makes a new learner of the loaders that it is given.
        fit: trains it.
        k: how many folds.
        stratify: give each fold the same part of every class, where items have one class each.
        groups: what an item belongs to, such as a patient or a video: all items of a group are in
            the same fold. A function of the item, as `get_y` is; or, for a DataBlock, a list with
            a group for each item of the source, in the order in which `get_items` returns them.
        split_seed: the same one gives the same folds.
        verbose: say which fold is trained, and print the table at the end.
        options: of a DataBlock's loaders: bs, num_workers, device ...

    Raises:
        ValueError: fewer than two folds, groups that do not fit the items, or a list of groups
            beside loaders, whose items are in no order that it could follow.
        DataError: fewer items, groups or items of a class than folds, or data that cannot be
            divided, such as shards.
        TrainingError: `learner` did not make a new learner of the loaders that it was given, or
            `fit` gave it others.
    """
    whole = folded(data, source, options)
    numbers = fold_numbers(
        len(whole.dsets),
        k,
        classes=_classes(whole) if stratify else None,
        names=getattr(whole.dsets, "vocab", None) or (),
        groups=_groups(groups, whole),
        seed=split_seed,
    )
    _warn_of_repeats(whole, numbers)
    outcomes: list[Outcome] = []
    learn: Learner | None = None
    earlier: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    with working("folds", k, show=None if verbose else False, delay=0) as work:
        for i in range(k):
            learn = None  # the one before goes, and its optimizer, before there is another
            _free_memory()
            train, valid = (np.flatnonzero(at).tolist() for at in (numbers != i, numbers == i))
            if verbose:
                print(f"Fold {i + 1} of {k}: {_sizes(train, valid)}")
            dls = whole.loaders(train, valid)
            try:
                learn = _trained(learner, fit, dls, earlier)
                outcomes.append(judged(learn, valid))
            except Exception as error:
                error.add_note(f"This was fold {i + 1} of {k}.")
                raise
            earlier.update([learn.model, *filter(_can_train, learn.model.modules())])
            work.advance()
    assert learn is not None
    result = put_together(learn, whole, numbers, outcomes)
    if verbose:
        print(result)
    return result


def _sizes(train: list[int], valid: list[int]) -> str:
    return f"{len(train)} items to train on, {len(valid)} to judge by"


def _trained(
    learner: "Callable[[DataLoaders], Learner]",
    fit: "Callable[[Learner], object]",
    dls: DataLoaders,
    earlier: weakref.WeakSet[nn.Module],
) -> "Learner":
    """Return a new learner that was trained; see `_check_learner`."""
    learn = learner(dls)
    _check_learner(learn, dls, earlier)
    fit(learn)
    _check_learner(learn, dls, earlier)  # which may have other data or another model now
    return learn


def _check_learner(learn: Any, dls: DataLoaders, earlier: weakref.WeakSet[nn.Module]) -> None:
    """Refuse a learner that has seen the items that it is to be judged by, or is judged by others.

    Args:
        learn: what `learner` made.
        dls: the loaders of the fold.
        earlier: the models of all folds before, and their parts that were trained.

    Raises:
        TrainingError: it has other data, or a model that was trained already; or it trains with
            other processes.
    """
    how = "learner= is a function that makes one: lambda dls: vision_learner(dls, resnet18)."
    if not hasattr(learn, "dls") or not hasattr(learn, "model"):
        raise TrainingError(f"learner= returned {learn!r}, which is no learner. {how}")
    if learn.ranks.world > 1:
        raise TrainingError(
            "cross_validate trains one model after another in one process. Call it outside of "
            "learn.distrib_ctx(), and start the program without torchrun."
        )
    train, valid = learn.dls.train, learn.dls.valid
    for own, of_fold, does in ((train, dls.train, "train on"), (valid, dls.valid, "validate on")):
        if getattr(own, "dataset", None) is not of_fold.dataset:
            raise TrainingError(
                f"The learner does not {does} the items of this fold: it has other loaders than "
                "those that the function was given. Loaders of the same items with other options "
                f"are learn.dls.new(bs=...). {how}"
            )
    if not isinstance(valid, DataLoader):
        raise TrainingError(
            "The learner's validation loader does not tell which items its batches are of: a "
            f"{type(valid).__module__}.{type(valid).__name__}. Use the one that the function was "
            "given."
        )
    if any(part in earlier for part in learn.model.modules()):
        raise TrainingError(
            "The learner has the model of an earlier fold, or a part of it, which has seen the "
            f"items that it is to be judged by. Make all of the model inside the function; {how}"
        )


def _can_train(module: nn.Module) -> bool:
    """Return whether training changes weights that are a module's own, and not of its children."""
    return any(p.requires_grad for p in module.parameters(recurse=False))


def _classes(whole: FoldedData) -> Any:
    """Return the class of each item, int64 [n]; None where items have not one class each."""
    if whole.dsets.task != "classification":
        return None
    targets = whole.dsets.tls[whole.dsets.n_inp]
    return np.fromiter(map(int, named_errors(targets)), dtype=np.int64, count=len(targets))


def _groups(groups: Any, whole: FoldedData) -> list[Any] | None:
    if groups is None:
        return None
    if not callable(groups):
        return _by_position(list(groups), whole)
    items = whole.dsets.items
    each = (row for _, row in items.iterrows()) if hasattr(items, "iloc") else items
    return [groups(item) for item in each]


def _by_position(groups: list[Any], whole: FoldedData) -> list[Any]:
    if whole.places is None:
        raise ValueError(
            "A list of groups is matched to items by position, but the loaders hold theirs as they "
            "were split: those for training first, then those for validation. Pass a function of "
            'the item, such as groups=lambda path: path.stem or groups=lambda row: row["patient"]; '
            "or a DataBlock and its source in place of the loaders: the list is then in the order "
            "of the source's items."
        )
    if len(groups) != whole.n_source:
        raise ValueError(
            f"groups= is one group for each of the {whole.n_source} items of the source, or a "
            f"function of an item, but got {len(groups)} of them."
        )
    return [groups[place] for place in whole.places]


def _warn_of_repeats(whole: FoldedData, numbers: Any) -> None:
    """Warn of files that are in several folds, since they are listed more than once."""
    folds: defaultdict[str, set[int]] = defaultdict(set)
    for file, number in zip(_files(whole), numbers.tolist(), strict=False):
        folds[file].add(number)
    repeated = [file for file, found in folds.items() if len(found) > 1]
    if repeated:
        warn_user(
            f"Files that are listed more than once are in several folds: {len(repeated)}, the "
            f"first `{repeated[0]}`. Models are then judged by pictures that they were trained on. "
            "Remove the repeats, or keep them together: groups=str where items are paths, "
            'groups=lambda row: row["file"] where they are rows of a table.'
        )


def _files(whole: FoldedData) -> list[str]:
    """Return the file of each item, or of each row of a table; nothing where there are none."""
    found, inputs = whole.dsets.items, whole.dsets.tls[0]
    if hasattr(found, "iloc"):
        reader = inputs.tfms.fs[0].function if len(inputs.tfms) else None
        if not isinstance(reader, ColReader):
            return []
        found = [reader(inputs.item(i)) for i in range(len(inputs))]
    elif not isinstance(found[0], str | os.PathLike):
        return []
    return [str(file) for file in found]


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
