"""`learn.calibrate()`: how sure the model really is, and what is none of its classes."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from presize.callbacks.gather_features import gathered_features
from presize.core.errors import DataError
from presize.core.foundation import noop
from presize.data.eachonce import in_order
from presize.data.loader import DataLoader
from presize.data.warned import warn_user
from presize.train.calibration import Calibration, UnknownBy, enough_for, threshold_for
from presize.train.calibration_error import ProbabilityFigures
from presize.train.losses import activation_of
from presize.train.outliers import Outliers
from presize.train.temperature import Kind, fit_temperature, kind_of, scaled

if TYPE_CHECKING:
    from presize.learner import Learner

_FEW = 100  # items: below them a temperature is little more than a guess
_MOST_FEATURES = 5_000  # training items whose features are learnt; more hardly move a mean
_OF_A_CLASS = 10


def calibrate(
    learn: "Learner",
    dl: Any = None,
    *,
    unknown: UnknownBy | None = "confidence",
    coverage: float = 0.99,
) -> Calibration:
    """Do what `learn.calibrate` promises: see `presize.insight.calibrate`."""
    _check_choices(unknown, coverage)
    source = learn.dls.valid if dl is None else dl
    kind = _checked_kind(learn, source)
    with ExitStack() as stack:
        gather = stack.enter_context(gathered_features(learn)) if unknown == "features" else None
        seen = None if gather is None else gather.callback
        outputs, targets = learn.get_preds(dl=source, act=noop, cbs=seen)
        several = kind == "sigmoid" and _alike(outputs, targets)
        _check_answers(outputs, targets, several=several)
        if several and unknown == "features":
            raise ValueError(
                'unknown="features" is for one class an item. With several labels an item is none '
                "of them where no label is above 0.5: leave unknown out."
            )
        outliers = None if gather is None else _outliers(learn)
    found = _fitted(learn, outputs, targets.as_subclass(Tensor), kind, several=several)
    if unknown is not None and not several:
        probabilities = found.probabilities(outputs, activation_of(learn.loss_func))
        features = None if gather is None else gather.features()
        found = _with_threshold(found, unknown, coverage, outliers, probabilities, features)
    learn.calibration = found
    return found


def _check_choices(unknown: Any, coverage: float) -> None:
    if unknown not in ("confidence", "features", None):
        raise ValueError(
            f'unknown= is "confidence", "features" or None, but got {unknown!r}: see the '
            "documentation of calibrate."
        )
    if not 0 < coverage <= 1:
        raise ValueError(
            "coverage= is the share of known items that are taken for known, such as 0.99, above 0 "
            f"and up to 1, but got {coverage}."
        )


def _checked_kind(learn: "Learner", source: Any) -> Kind:
    """Return how the loss makes probabilities, of a task that has them."""
    task = getattr(learn.dls, "task", None)
    if task not in ("classification", "multilabel", None):
        raise DataError(
            f"calibrate is for classes, whose probabilities can be too high or too low; the task "
            f"of this data is {task}, which has none."
        )
    if source is None or (hasattr(source, "__len__") and not len(source)):
        what = "validation set" if source is None or source is learn.dls.valid else "loader"
        raise DataError(
            f"There is nothing to calibrate on: the {what} is empty. Pass labelled items "
            "that the model was not trained on: learn.calibrate(dl), with another data set's "
            "dls.valid, or dls.test_dl(items, with_labels=True)."
        )
    kind = kind_of(activation_of(learn.loss_func))
    if kind is None:
        name = getattr(learn.loss_func, "__name__", type(learn.loss_func).__name__)
        raise DataError(
            f"The loss `{name}` does not say how outputs become probabilities, by softmax or "
            "sigmoid, so that none can be calibrated. Train with CrossEntropyLossFlat, or "
            "BCEWithLogitsLossFlat for several labels; or give the loss an `activation` method."
        )
    return kind


def _alike(outputs: Any, targets: Any) -> bool:
    """Return whether there is a target for each output, 0 or 1; also for a single output."""
    both = isinstance(outputs, Tensor) and isinstance(targets, Tensor)
    return both and outputs.numel() == targets.numel()


def _check_answers(outputs: Any, targets: Any, *, several: bool) -> None:
    if outputs is None or (isinstance(outputs, Tensor) and not len(outputs)):
        raise DataError("There is nothing to calibrate on: no item could be read.")
    if targets is None:
        raise DataError(
            "calibrate compares predictions with targets, but this loader has none, as that of a "
            "test set. Use dls.valid, or dls.test_dl(items, with_labels=True)."
        )
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise DataError(
            "calibrate is for models with a score for each class, [n, classes], but this one gives "
            f"{list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__}."
        )
    if not isinstance(targets, Tensor):
        raise DataError(
            "calibrate is for items with one target each, but the loader gives a "
            f"{type(targets).__name__} of {len(targets)}."
        )
    c = outputs.shape[1]
    if c < 2 and not several:
        raise DataError("With one class alone the model is always sure, and always right.")
    if not several and targets.numel() != len(outputs):
        raise DataError(
            f"The targets {list(targets.shape)} do not go with the outputs {list(outputs.shape)}: "
            "calibrate wants the number of a class for each item, or 0 and 1 for each label."
        )
    if not several and not 0 <= int(targets.min()) <= int(targets.max()) < c:
        raise DataError(
            f"The targets are class numbers from {int(targets.min())} to {int(targets.max())}, but "
            f"the model has {c} classes. Is this the data of another model?"
        )


def _fitted(
    learn: "Learner", outputs: Tensor, true: Tensor, kind: Kind, *, several: bool
) -> Calibration:
    activation, n = activation_of(learn.loss_func), len(outputs)
    true = true.reshape(outputs.shape) if several else true.flatten().long()
    if (not several or outputs.shape[1] == 1) and int(true.min()) == int(true.max()):
        raise DataError(
            f"All {n} items to calibrate on are of one class: what the model makes of the others "
            "stays unknown. Pass items of several classes."
        )
    if n < _FEW:
        warn_user(
            f"A temperature fitted to {n} items is little more than a guess. With {_FEW} or more "
            "held-out items it can be relied on."
        )
    if kind == "sigmoid" and not several:  # one class against all others, as some losses have it
        true = F.one_hot(true, outputs.shape[1])
    temperature = fit_temperature(outputs, true, kind)
    return Calibration(
        temperature=temperature,
        n=n,
        before=ProbabilityFigures.of(activation(outputs), true),
        after=ProbabilityFigures.of(scaled(outputs, temperature, activation), true),
    )


def _with_threshold(
    found: Calibration,
    unknown: UnknownBy,
    coverage: float,
    outliers: Outliers | None,
    probabilities: Tensor,
    features: Tensor | None,
) -> Calibration:
    """Return the same with the threshold that a part `coverage` of known items stays below."""
    n, needed = len(probabilities), enough_for(coverage)
    if n < needed:
        warn_user(
            f"A threshold that lets {coverage:.4g} of known items through takes {needed} items or "
            f"more, but there are {n}: the highest score among them is taken. Pass more, or a "
            "lower coverage=."
        )
    scorer = replace(found, unknown=unknown, coverage=coverage, threshold=0.0, outliers=outliers)
    scores = scorer.strangeness(probabilities, features)
    assert scores is not None
    return replace(scorer, threshold=threshold_for(scores, coverage))


def _outliers(learn: "Learner") -> Outliers:
    """Return what is usual of the features of the training set."""
    train = learn.dls.train
    if train is None or not len(train):
        raise DataError(
            'unknown="features" compares with the training set, but the training loader is empty. '
            "A learner that was loaded from a model file has no data: learn.dls = dls; or use "
            'unknown="confidence".'
        )
    with gathered_features(learn) as gather:
        some = _some_of(train)
        targets = learn.get_preds(dl=some, act=noop, reorder=False, cbs=gather.callback)[1]
    if targets is None:
        raise DataError('unknown="features" needs the class of each training item.')
    return Outliers.fit(gather.features(), targets.as_subclass(Tensor).flatten())


def _some_of(train: Any) -> Any:
    """Return the training loader, without augmentation, with some items if there are many."""
    if not isinstance(train, DataLoader):
        return train
    whole = in_order(train.new(split_idx=1))
    if not whole.indexed:
        return whole
    n = len(whole.dataset)
    wanted = max(_MOST_FEATURES, _OF_A_CLASS * len(getattr(whole, "vocab", None) or ()))
    if n <= wanted:
        return whole
    # A generator of its own: nobody else's draws change.
    picks: Iterable[int] = np.sort(np.random.default_rng(0).permutation(n)[:wanted]).tolist()
    return whole.new(sampler=picks)
