"""What training pictures are like, for the model file: see `presize.train.drift_reference`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from presize.augment.normalize import Normalize
from presize.callbacks.base import Callback
from presize.callbacks.no_trace import no_trace
from presize.callbacks.pass_bar import pass_bar
from presize.data.eachonce import in_order
from presize.data.loader import DataLoader
from presize.data.warned import warn_user
from presize.models.features import SeenFeatures, captured_features
from presize.train.drift_reference import FEWEST, DriftReference
from presize.train.drift_seen import Seen
from presize.train.losses import activation_of
from presize.train.temperature import Activation

if TYPE_CHECKING:
    from presize.learner import Learner
    from presize.train.calibration import Calibration

# Pictures that are looked at. More find little more: see benchmarks/drift.py.
MOST_TRAIN, MOST_HELD_OUT = 200, 400
_FEW = f"there are fewer than {FEWEST} pictures"


class _Part(NamedTuple):
    """What is noted of a batch, or of a part of it."""

    n: int
    features: Tensor | None
    probabilities: Tensor | None


def _joined(values: list[Tensor | None]) -> Tensor | None:
    known = [value for value in values if value is not None]
    return torch.cat(known) if known and len(known) == len(values) else None


class _Notes(Callback):
    """Keeps the figures of the pictures of validation passes.

    Args:
        features: what the last layer sees.
        calibration: of the learner.
        pixels: mean and deviation of the normalisation, [2, channels]; None where there is none.
        task: of the data.
        activation: turns outputs into probabilities.
    """

    run_train = False

    def __init__(
        self,
        features: SeenFeatures,
        calibration: "Calibration | None",
        pixels: Tensor | None,
        task: Any,
        activation: Activation,
    ) -> None:
        self._features, self._calibration, self._task = features, calibration, task
        self._activation = activation
        self.pixels, self.n_classes = pixels, cast(int | None, None)
        self._seen: list[Seen] = []
        self._parts: list[_Part] = []

    def before_batch(self, learn: "Learner") -> None:
        """Start a batch, which may come in parts."""
        self._parts = []

    def after_pred(self, learn: "Learner") -> None:
        """Keep features and probabilities of the batch, or of a part of it."""
        features = self._features.last if self._features.any else None
        if features is not None and len(features) != len(learn.pred):
            features = None  # tokens or pieces of pictures, and not a row for each
        self._parts.append(_Part(len(learn.pred), features, self._probabilities(learn)))

    def after_batch(self, learn: "Learner") -> None:
        """Keep the figures of the whole batch."""
        if learn.batch_cancelled:
            return
        inputs, parts = learn.xb[0], self._parts
        if self.pixels is None:
            zero = torch.zeros(inputs.shape[1])
            self.pixels = torch.stack([zero, zero + 1])
        while sum(part.n for part in parts) > len(inputs):
            parts = parts[1:]  # it came again, in smaller parts
        joined = _joined([part.probabilities for part in parts])
        if joined is not None and self._task == "classification":
            self.n_classes = joined.shape[1]
        seen = Seen.of(
            inputs,
            _joined([part.features for part in parts]),
            joined,
            pixels=self.pixels,
            one_class=self.n_classes is not None,
        )
        self._seen.append(Seen.joined([seen]))

    def taken(self) -> Seen | None:
        """Return what was noted since this was asked last; None if there were no pictures."""
        seen, self._seen = self._seen, []
        return Seen.joined(seen) if seen else None

    def _probabilities(self, learn: "Learner") -> Tensor | None:
        if self._task not in ("classification", "multilabel") or learn.pred.ndim != 2:
            return None
        outputs = learn.pred.detach().float()
        if self._calibration is not None:
            return self._calibration.probabilities(outputs, self._activation)
        return self._activation(outputs)


def reference_for(learn: "Learner") -> "DriftReference | str":
    """Return what is usual of the pictures of a learner, or why that cannot be told.

    A part of the training pictures, as in validation, and of the validation set goes through the
    model. Nothing of the learner changes, its random states neither.
    """
    loaders = [dl for dl in (learn.dls.train, learn.dls.valid) if isinstance(dl, DataLoader)]
    if len(loaders) < 2 or not all(dl.indexed for dl in loaders):
        return "the data is a stream, or has loaders of another library"
    if learn.ranks.world > 1:
        return "it was exported by several processes at once"
    if sum(len(dl.dataset) for dl in loaders) < FEWEST:
        return _FEW
    try:
        return _fitted(learn)
    except Exception as error:  # whatever it is: a model that was trained gets its file
        told = next(iter(str(error).splitlines()), "")[:300].rstrip(".: ")
        warn_user(
            "The model file is written without drift statistics, since the pictures could not be "
            f"looked at again ({type(error).__name__}: {told}). To leave them out on purpose: "
            "learn.export(path, drift=False)."
        )
        return f"the pictures could not be looked at again: {type(error).__name__}"


def _fitted(learn: "Learner") -> "DriftReference | str":
    calibration, task = learn.calibration, learn.dls.task
    with no_trace(learn), captured_features(learn.model) as features:
        activation = activation_of(learn.loss_func)
        notes = _Notes(features, calibration, _pixels(learn), task, activation)
        sides = []
        for dl, most in ((learn.dls.train, MOST_TRAIN), (learn.dls.valid, MOST_HELD_OUT)):
            if len(dl.dataset):
                _pass(learn, some_of(dl, most), notes)
            sides.append(notes.taken())
    train, held_out = sides
    if train is None or notes.pixels is None:
        return "there are no training pictures"
    if len(train.looks) + (0 if held_out is None else len(held_out.looks)) < FEWEST:
        return _FEW  # some could not be read, or the last batch is dropped
    return DriftReference.fit(train, held_out, pixels=notes.pixels, n_classes=notes.n_classes)


def _pass(learn: "Learner", dl: DataLoader, notes: Callback) -> None:
    bar, loss_func = pass_bar(learn, "noting what is usual"), learn.loss_func
    with bar as shown, learn.no_logging(), learn.removed_cbs([learn.recorder]):
        learn.loss_func = _no_loss
        try:
            learn.run_validation(dl, [*shown, notes])
        finally:
            learn.loss_func = loss_func


def _no_loss(outputs: Tensor, *targets: Any) -> Tensor:
    """Stand in for the loss, which nobody asks for."""
    return torch.zeros(())


def some_of(dl: DataLoader, most: int) -> DataLoader:
    """Return a loader of at most so many items, always the same, treated as in validation."""
    whole = in_order(dl.new(split_idx=1, cache=None))
    n = len(whole.dataset)
    if n <= most:
        return whole  # type: ignore[no-any-return]
    # A generator of its own: nobody else's draws change.
    picks: Iterable[int] = np.sort(np.random.default_rng(0).permutation(n)[:most]).tolist()
    return whole.new(sampler=picks)  # type: ignore[no-any-return]


def _pixels(learn: "Learner") -> Tensor | None:
    """Return mean and deviation of the normalisation of the pictures, [2, channels], if any."""
    for transform in learn.dls.valid.after_batch:
        if isinstance(transform, Normalize) and transform.mean is not None:
            assert transform.std is not None
            return torch.stack([transform.mean.flatten(), transform.std.flatten()]).float().cpu()
    return None
