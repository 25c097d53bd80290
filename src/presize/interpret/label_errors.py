"""Which labels of a data set are probably wrong, most suspicious first.

errors = find_label_errors(learn)                # the validation set, by one held-out pass
errors = find_label_errors(cross_validate(...))  # all items, by models that never saw them
errors = find_label_errors(dls, learner=make, fit=lambda learn: learn.fine_tune(3))  # the same
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.data.loaders import DataLoaders
from presize.folding.crossval import cross_validate
from presize.folding.outcome import CrossValidation
from presize.inference import ask, warn_of_missing
from presize.interpret.kept_items import Items
from presize.interpret.suspected import LabelError as LabelError
from presize.interpret.suspected import LabelErrors as LabelErrors

if TYPE_CHECKING:
    from presize.learner import Learner

_TASKS = ("classification", "multilabel")
_WAYS = (
    "a learner, whose validation set is judged; the result of cross_validate; or DataLoaders, with "
    "learner= and fit= as cross_validate takes them"
)


def find_label_errors(
    source: "Learner | CrossValidation | DataLoaders",
    *,
    learner: "Callable[[DataLoaders], Learner] | None" = None,
    fit: "Callable[[Learner], object] | None" = None,
    k: int = 5,
    dl: Any = None,
    verbose: bool = True,
) -> LabelErrors:
    """Return the labels that are probably wrong, most suspicious first.

    They are judged by confident learning (arXiv:1911.00068), from the probabilities of models that
    were not trained on the items. With several labels an item, each label is judged by itself, and
    an item is as suspicious as its worst label. Items whose picture cannot be read are left out.

    Args:
        source: a learner, whose validation set is judged in one pass; the result of
            `cross_validate`, for all of its items; or loaders, of which it is made.
        learner: for loaders: makes a learner of those that it is given; see `cross_validate`.
        fit: for loaders: trains it.
        k: for loaders: how many folds.
        dl: for a learner: other items, with labels, that it was not trained on.
        verbose: for loaders: say which fold is trained.

    Raises:
        TypeError: a source of another kind, or arguments that do not go with it.
        DataError: no items, no labels, one class only, or targets that are no classes.
    """
    if isinstance(source, CrossValidation):
        _refuse("the result of cross_validate", learner=learner, fit=fit, dl=dl)
        return _of_folds(source)
    if isinstance(source, DataLoaders):
        _refuse("loaders", dl=dl)
        if learner is None or fit is None:
            raise TypeError(
                "Loaders have no model: pass learner= and fit=, of which models for all folds are "
                "made, as in find_label_errors(dls, learner=lambda dls: vision_learner(dls, "
                "resnet18), fit=lambda learn: learn.fine_tune(3)); or a learner in their place."
            )
        return _of_folds(cross_validate(source, learner=learner, fit=fit, k=k, verbose=verbose))
    if not hasattr(source, "dls"):
        raise TypeError(f"find_label_errors takes {_WAYS}; but it got a {type(source).__name__}.")
    _refuse("a learner", learner=learner, fit=fit)
    return _of_learner(source, dl)


def _refuse(what: str, **given: Any) -> None:
    names = [f"{name}=" for name, value in given.items() if value is not None]
    if names:
        raise TypeError(
            f"{' and '.join(names)} would have no effect beside {what}. find_label_errors takes "
            f"{_WAYS}."
        )


def _of_learner(learn: "Learner", dl: Any) -> LabelErrors:
    source, split = (learn.dls.valid, "valid") if dl is None else (dl, "the loader")
    if source is None or not len(source):
        what = "validation set" if dl is None else "loader"
        raise DataError(
            f"There are no labels to judge: the {what} is empty. Make loaders that keep some "
            "items for validation, such as valid_pct=0.2; or judge all items: "
            "find_label_errors(dls, learner=..., fit=...)."
        )
    answers = ask(learn, source)
    if answers.targets is None or answers.preds is None:
        raise DataError(
            "There are no labels to judge: the loader has no targets. For a test set whose labels "
            "are known use dls.test_dl(items, with_labels=True)."
        )
    warn_of_missing(answers.left_out)
    items = Items(answers.indices(), dl=source, split=split)
    return _judged(answers.preds, answers.targets, learn.dls, items)


def _of_folds(result: CrossValidation) -> LabelErrors:
    dls = result.ensemble.learn.dls
    judge = dls.valid.new(dls.valid.dataset.with_items(result.items), shuffle=False, n=None)
    items = Items(torch.arange(len(result.items)), dl=judge, split="the items")
    return _judged(result.preds, result.targets, dls, items)


def _judged(preds: Any, targets: Any, dls: Any, items: Items) -> LabelErrors:
    from presize.interpret.confident_learning import confident_learning  # for those who ask

    task, vocab = getattr(dls, "task", None), getattr(dls, "vocab", None)
    several = task == "multilabel"
    if not isinstance(preds, Tensor) or preds.ndim != 2 or task not in (*_TASKS, None):
        raise DataError(
            f"Wrong labels can be found where items have classes, but the targets are those of "
            f"{task or 'another task'}. Look at the largest losses instead: interp.top_losses()."
        )
    names = _names(vocab, preds.shape[1])
    if several:
        scores, suspected, given, likely = _of_each_label(preds, targets, names)
    else:
        found = confident_learning(preds, targets)
        scores, suspected = found.scores, found.suspected
        given = [names[t] for t in targets.flatten().tolist()]
        likely = [names[t] for t in found.likely.tolist()]
    return LabelErrors(
        scores=scores,
        suspected=suspected,
        indices=items.indices,
        files=items.files,
        given=given,
        likely=likely,
        picture_of=items.picture,
    )


def _names(vocab: Any, c: int) -> list[str]:
    names = [str(name) for name in vocab or ()]
    return names if len(names) == c else [str(i) for i in range(c)]


def _of_each_label(
    preds: Tensor, targets: Tensor, names: Sequence[str]
) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Judge each label by itself: whether it is there is one of two classes.

    Returns:
        The score of each item, float32 [n]; whether it is suspected, bool [n]; its labels, and
        what they may be, each joined by ";".
    """
    from presize.interpret.confident_learning import confident_learning  # for those who ask

    n, c = preds.shape
    hot = targets.reshape(n, c) > 0.5
    scores, flips = torch.zeros(n), torch.zeros(n, c, dtype=torch.bool)
    worst = torch.zeros(n, dtype=torch.int64)
    for label in range(c):
        p = preds[:, label].detach().cpu().float()
        found = confident_learning(torch.stack([1 - p, p], 1), hot[:, label].long())
        worse = found.scores > scores
        worst[worse] = label
        scores = torch.maximum(scores, found.scores)
        flips[:, label] = found.suspected
    suspected = flips.any(1)
    flips[torch.arange(n), worst] |= ~suspected
    return scores, suspected, _joined(hot, names), _joined(hot ^ flips, names)


def _joined(hot: Tensor, names: Sequence[str]) -> list[str]:
    return [";".join(itertools.compress(names, row)) for row in hot.tolist()]
