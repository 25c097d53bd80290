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
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import nn

from presize.core.errors import TrainingError
from presize.data.blame import named_errors
from presize.data.datablock import DataBlock
from presize.data.folds import fold_numbers
from presize.data.loaders import DataLoaders
from presize.data.options import BlockOptions
from presize.data.refolded import FoldedData, folded
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
        data: loaders, whose training and validation items are put together and divided anew; or a
            DataBlock. A third, a test set is left alone.
        source: of the DataBlock: what `dataloaders` takes.
        learner: makes a new learner of the loaders that it is given.
        fit: trains it.
        k: how many folds.
        stratify: give each fold the same part of every class, where items have one class each.
        groups: what an item belongs to, such as a patient or a video, as a list or as a function
            of the item: all items of a group are in the same fold.
        split_seed: the same one gives the same folds.
        verbose: say which fold is trained, and print the table at the end.
        options: of a DataBlock's loaders: bs, num_workers, device ...

    Raises:
        ValueError: fewer than two folds, or groups that do not fit the items.
        DataError: fewer items, groups or items of a class than folds, or data that cannot be
            divided, such as shards.
        TrainingError: `learner` did not make a new learner of the loaders that it was given.
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
    outcomes: list[Outcome] = []
    learn: Learner | None = None
    before: weakref.ref[nn.Module] | None = None
    for i in range(k):
        learn = None  # the one before goes, and its optimizer, before there is another
        _free_memory()
        train, valid = (np.flatnonzero(at).tolist() for at in (numbers != i, numbers == i))
        if verbose:
            print(f"Fold {i + 1} of {k}: {len(train)} items to train on, {len(valid)} to judge by")
        dls = whole.loaders(train, valid)
        try:
            learn = learner(dls)
            _check_learner(learn, dls, None if before is None else before())
            fit(learn)
            outcomes.append(judged(learn, valid))
        except Exception as error:
            error.add_note(f"This was fold {i + 1} of {k}.")
            raise
        before = weakref.ref(learn.model)
    assert learn is not None
    result = put_together(learn, whole, numbers, outcomes)
    if verbose:
        print(result)
    return result


def _check_learner(learn: Any, dls: DataLoaders, before: nn.Module | None) -> None:
    """Refuse a learner that has seen the items that it is to be judged by.

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
    train = learn.dls.train
    if getattr(train, "dataset", None) is not dls.train.dataset:
        raise TrainingError(
            "The learner does not train on the items of this fold: it was made of other loaders "
            f"than those that the function was given. {how}"
        )
    if learn.model is before:
        raise TrainingError(
            "The learner has the model of the fold before, which has seen the items that it is to "
            f"be judged by. Make the model inside the function as well; {how}"
        )


def _classes(whole: FoldedData) -> Any:
    """Return the class of each item, int64 [n]; None where items have not one class each."""
    if whole.dsets.task != "classification":
        return None
    targets = whole.dsets.tls[whole.dsets.n_inp]
    return np.fromiter(map(int, named_errors(targets)), dtype=np.int64, count=len(targets))


def _groups(groups: Any, whole: FoldedData) -> list[Any] | None:
    if not callable(groups):
        return None if groups is None else list(groups)
    items = whole.dsets.items
    each = (row for _, row in items.iterrows()) if hasattr(items, "iloc") else items
    return [groups(item) for item in each]


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
