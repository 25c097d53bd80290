"""Passes batches through the model of a learner, and says of each picture what the answer is."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize import inference
from presize.callbacks.base import Callback
from presize.deploy.prediction import Prediction
from presize.train.answers import Answers
from presize.train.losses import decodes_of

if TYPE_CHECKING:
    from presize.learner import Learner
    from presize.models.features import SeenFeatures
    from presize.train.calibration import Unknown
    from presize.train.drift_watch import DriftWatch


def answers_of(learn: "Learner", dl: Any, watch: "DriftWatch | None" = None) -> Answers:
    """Return what the model says of the items of a loader, or of `[batch]`; shows no bar.

    Args:
        learn: has the model.
        dl: gives the batches.
        watch: notes what goes through the model.
    """
    with ExitStack() as around:
        around.enter_context(learn.no_bar())
        cbs: list[Callback] = []
        if watch is not None:
            seen = None
            if len(watch.reference.centre):
                from presize.models.features import captured_features  # for files with them

                seen = around.enter_context(captured_features(learn.model))
            cbs.append(_Watching(watch, seen))
        return inference.ask(
            learn, dl, with_decoded=True, with_unknown=tells_unknown(learn), cbs=cbs
        )


def averaged(learn: "Learner", dl: Any, views: int) -> Answers:
    """Return the same averaged over augmented views and the plain one; see `learn.tta`."""
    calibration = learn.calibration
    with learn.no_bar():
        preds, targets = inference.tta(learn, dl=dl, n=views)
        unknown: Sequence[Unknown] | None = None
        if tells_unknown(learn) and calibration is not None:
            if calibration.unknown == "features":  # of the plain view: others are stranger
                unknown = inference.ask(learn, dl, with_unknown=True).unknown
            else:
                unknown = calibration.judged(preds)
    decoded = decodes_of(learn.loss_func)(preds)
    return Answers(None, preds, targets, decoded, None, {}, unknown)


def tells_unknown(learn: "Learner") -> bool:
    """Say whether the learner tells what is none of its classes."""
    return learn.calibration is not None and learn.calibration.unknown is not None


def predictions(
    answers: Answers, vocab: Sequence[str], sources: Iterable[str | None]
) -> list[Prediction]:
    """Return a `Prediction` for each row of answers.

    Args:
        answers: of a classifier.
        vocab: its classes.
        sources: the file of each row.
    """
    if answers.preds is None:
        return []
    unknown: Sequence[Unknown | None] = answers.unknown or [None] * len(answers.preds)
    rows = zip(answers.preds.tolist(), answers.decoded.tolist(), unknown, sources, strict=True)
    return [_prediction(vocab, *row) for row in rows]


def _prediction(
    vocab: Sequence[str],
    row: list[float],
    decoded: int | list[bool],
    unknown: "Unknown | None",
    source: str | None,
) -> Prediction:
    told = None if unknown is None else bool(unknown)
    chances = dict(zip(vocab, row, strict=True))
    if not isinstance(decoded, list):
        return Prediction(vocab[decoded], decoded, row[decoded], chances, told, source)
    index = tuple(i for i, yes in enumerate(decoded) if yes)
    confidence = min((row[i] for i in index), default=1 - max(row))
    return Prediction(tuple(vocab[i] for i in index), index, confidence, chances, told, source)


class _Watching(Callback):
    """Lets a watch see what goes through the model.

    Args:
        watch: notes it.
        seen: the features of the batch that went through last; None leaves them out.
    """

    run_train = False

    def __init__(self, watch: "DriftWatch", seen: "SeenFeatures | None") -> None:
        self._watch, self._seen = watch, seen
        self._parts: list[Tensor] = []

    def before_batch(self, learn: "Learner") -> None:
        """Start a batch, which may come in parts."""
        self._parts = []

    def after_pred(self, learn: "Learner") -> None:
        """Keep the features of the batch, or of a part of it."""
        if self._seen is not None:
            self._parts.append(self._seen.last)

    def after_batch(self, learn: "Learner") -> None:
        """Show the batch."""
        if learn.batch_cancelled:
            return
        features = torch.cat(self._parts) if self._parts else None
        with torch.no_grad():
            chances = inference.activation_for(learn)(learn.pred.float())
        if features is not None:
            # A part for whose loss there was no memory came again, in smaller ones: the last count.
            features = features[-len(learn.xb[0]) :]
        self._watch.observe(learn.xb[0], features, chances)
