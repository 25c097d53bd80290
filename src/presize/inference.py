"""Asking a trained model: predictions over a loader, of one item, averaged over views."""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.gather import GatherPredsCallback
from presize.callbacks.no_trace import copied_metric
from presize.core.collections import L
from presize.core.device import map_tensors
from presize.core.errors import TrainingError
from presize.data.badlist import BadPicture
from presize.data.loader import DataLoader
from presize.data.loaders import TfmdDL
from presize.data.options import LoaderOptions
from presize.data.warned import warn_user
from presize.tensors import TensorBase, TensorMask, TensorPoint
from presize.train.losses import activation_of, decodes_of, unreduced
from presize.train.metrics import AvgLoss

if TYPE_CHECKING:
    from presize.learner import Learner

_SHOWN = 4
# What a pass over a loader sets on the learner.
_OF_A_PASS = (
    *("dl", "training", "iter", "n_iter", "share", "batch_cancelled", "stepped"),
    *("xb", "yb", "typed_batch", "pred", "loss"),
)
# Loaders find the kinds of what they show in their first item; those of a model file have none.
DISPLAYED: dict[Any, type[TensorBase]] = {"segmentation": TensorMask, "points": TensorPoint}


def validate(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    cbs: Callback | Iterable[Callback] | None = None,
) -> L[Any]:
    """Return the loss and the metrics on a loader: `dl`, or number `ds_idx` of the data.

    Where the loader has a quarantine, they are those of the items that can be read.

    Raises:
        TrainingError: the loader has no batches, or no targets to compare with.
    """
    row = learn.run_validation(_without_stand_ins(learn.dls[ds_idx] if dl is None else dl), cbs)
    if row and row[0] is None:
        raise TrainingError(
            "validate saw no targets: the loader is empty, or one of a test set without labels. "
            "Pass one that has them, such as dls.valid or dls.test_dl(items, with_labels=True)."
        )
    return L(row)


def run_validation(
    learn: "Learner", dl: Any, cbs: Callback | Iterable[Callback] | None = None
) -> list[Any]:
    """Pass a loader through the model, with the events of validation and no training.

    Returns:
        The loss and the metrics, if the recorder takes part.
    """
    learn.place_model()
    with _beside_a_fit(learn), learn.added_cbs(cbs), learn.precision.applied(learn.device):
        learn.recorder.row = []
        try:
            learn.pass_validation(dl)
        finally:
            learn.forget_batch()
        return learn.recorder.row


@contextmanager
def _beside_a_fit(learn: "Learner") -> Iterator[None]:
    """Let a fit whose callback asks go on with its own batch, modes, row and metrics."""
    if learn.run.call is None:
        learn.parts.begin()
        yield
        return
    recorder, metrics = learn.recorder, learn.metrics
    own = {name: vars(learn)[name] for name in _OF_A_PASS}
    row, loss = recorder.row, recorder.loss
    modes = [(module, module.training) for module in learn.model.modules()]
    learn.metrics, recorder.loss = L(copied_metric(metric) for metric in metrics), AvgLoss()
    try:
        yield
    finally:
        vars(learn).update(own)
        learn.metrics, recorder.row, recorder.loss = metrics, row, loss
        for module, training in modes:
            module.training = training


@dataclass(frozen=True)
class Answers:
    """What a model says of the items of a loader, a row for each that could be read.

    Args:
        inputs: as the model saw them; None if they were not asked for.
        preds: predictions after the activation; None if there were no batches.
        targets: None if the loader has none.
        decoded: decoded predictions, such as class numbers; None if they were not asked for.
        losses: the loss of each item; None if they were not asked for.
        left_out: what could not be read and has no row, by its index in the data set.
    """

    inputs: Any
    preds: Any
    targets: Any
    decoded: Any
    losses: Tensor | None
    left_out: Mapping[int, BadPicture]

    def indices(self) -> Tensor:
        """Return the index in the data set of each row: int64 [n]."""
        one = self.preds if isinstance(self.preds, Tensor) else self.preds[0]
        n = len(one) + len(self.left_out)
        return torch.tensor([i for i in range(n) if i not in self.left_out], dtype=torch.int64)


def ask(
    learn: "Learner",
    dl: Any,
    *,
    with_input: bool = False,
    with_decoded: bool = False,
    with_loss: bool = False,
    act: Callable[[Any], Any] | None = None,
    reorder: bool = True,
    cbs: Callback | Iterable[Callback] | None = None,
) -> Answers:
    """Return what the model says of the items of a loader; see `get_preds`."""
    dl = _in_order(dl) if reorder else _without_stand_ins(dl)
    gather = GatherPredsCallback(with_input=with_input, with_loss=with_loss)
    loss_func = learn.loss_func
    with learn.no_logging(), learn.removed_cbs([learn.recorder]):
        learn.loss_func = unreduced(loss_func) if with_loss else loss_func
        try:
            learn.run_validation(dl, [gather, *L(cbs)])
        finally:
            learn.loss_func = loss_func
    activation: Callable[[Any], Any] = act or activation_of(loss_func)
    decode: Callable[[Any], Any] = decodes_of(loss_func)
    raw = gather.all_preds()
    preds = None if raw is None else activation(raw)
    decodes = with_decoded and raw is not None
    return Answers(
        inputs=gather.all_inputs() if with_input else None,
        preds=preds,
        targets=gather.all_targets(),
        decoded=_displayed(learn, decode(preds)) if decodes else None,
        losses=gather.all_losses() if with_loss else None,
        left_out=_left_out(dl),
    )


def get_preds(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    *,
    with_input: bool = False,
    with_decoded: bool = False,
    with_loss: bool = False,
    act: Callable[[Any], Any] | None = None,
    reorder: bool = True,
    cbs: Callback | Iterable[Callback] | None = None,
) -> tuple[Any, ...]:
    """Return predictions and targets over a loader, in the order of its data set.

    Items that the loader leaves out, because their picture cannot be read, have no row; a warning
    says which they are. Pictures of a test set that cannot be read are always raised.

    Args:
        ds_idx: which loader of the data, if `dl` is not given.
        dl: any loader, also a plain list of batches.
        with_input: put the inputs in front.
        with_decoded: add the decoded predictions, such as class numbers.
        with_loss: add the loss of each item.
        act: what is applied to the model's output; None takes the activation of the loss.
        reorder: read a loader that shuffles or samples whole, in the order of its data set.
        cbs: callbacks for this pass.

    Returns:
        ([inputs,] predictions, targets[, decoded][, losses]); targets are None when the
        loader has none.
    """
    answers = ask(
        learn,
        learn.dls[ds_idx] if dl is None else dl,
        with_input=with_input,
        with_decoded=with_decoded,
        with_loss=with_loss,
        act=act,
        reorder=reorder,
        cbs=cbs,
    )
    warn_of_missing(answers.left_out)
    found: list[Any] = [answers.inputs] if with_input else []
    found += [answers.preds, answers.targets]
    if with_decoded:
        found.append(answers.decoded)
    if with_loss:
        found.append(answers.losses)
    return tuple(found)


def warn_of_missing(left_out: Mapping[int, BadPicture]) -> None:
    """Warn of items that have no row, because they could not be read."""
    if not left_out:
        return
    shown = [
        f"item {i}" + (f", {bad.where}" if bad.path or bad.name else "")
        for i, bad in list(left_out.items())[:_SHOWN]
    ]
    more = f"; and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    is_one = len(left_out) == 1
    warn_user(
        f"{len(left_out)} item{'' if is_one else 's'} could not be read and "
        f"{'has' if is_one else 'have'} no row: {'; '.join(shown)}{more}. The rows are those of "
        "all other items, in the order of the data set."
    )


def _in_order(dl: Any) -> Any:
    """Return a loader that gives each item once, in the order of the data set."""
    if not isinstance(dl, DataLoader):
        return dl
    options: LoaderOptions = {"shuffle": False, "drop_last": False}
    if dl.sampler is not None or dl.weights is not None:
        options |= {"sampler": None, "weights": None}
    return _without_stand_ins(dl.new(**options))


def _without_stand_ins(dl: Any) -> Any:
    """Return a loader that puts no other item in the place of one that cannot be read."""
    if not isinstance(dl, DataLoader) or dl.quarantine is None:
        return dl
    other = copy.copy(dl)  # also where it leaves out: what it left out before is not counted
    other.on_bad = "skip"
    return other


def _left_out(dl: Any) -> Mapping[int, BadPicture]:
    quarantine = dl.quarantine if isinstance(dl, DataLoader) else None
    return {} if quarantine is None else quarantine.left_out(dl)


def _displayed(learn: "Learner", decoded: Any) -> Any:
    """Return decoded predictions as the kind of tensor that can be drawn, where there is one."""
    kind = DISPLAYED.get(getattr(learn.dls, "task", None))
    return kind(decoded) if kind is not None and isinstance(decoded, Tensor) else decoded


def predict(learn: "Learner", item: Any, *, with_input: bool = False) -> tuple[Any, ...]:
    """Return (label, class number, probabilities) of one item: a path, a picture, an array.

    Args:
        item: what the data block's items are, or a picture itself.
        with_input: put the item in front, as the model sees it.
    """
    dl = learn.dls.test_dl([item], num_workers=0)
    try:
        inputs, preds, _, decoded = get_preds(learn, dl=dl, with_input=True, with_decoded=True)
    except Exception as error:
        if isinstance(item, list | tuple):
            error.add_note(
                "predict takes one item; for several: learn.get_preds(dl=learn.dls.test_dl(items))."
            )
        raise
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    answers = decoded if isinstance(decoded, tuple) else (decoded,)
    whole = dl.decode_batch((*inputs, *answers), max_n=1)[0]
    shown, label = _single(whole[: len(inputs)]), _single(whole[len(inputs) :])
    first = map_tensors(lambda t: t[0], (decoded, preds))
    return (shown, label, *first) if with_input else (label, *first)


def _single(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values


def tta(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    *,
    n: int = 4,
    beta: float | None = 0.25,
    use_max: bool = False,
) -> tuple[Any, Any]:
    """Return predictions averaged over `n` augmented views and the plain one, and targets.

    Args:
        ds_idx: which loader of the data, if `dl` is not given.
        dl: any loader with a training side.
        n: how many augmented views.
        beta: the weight of the plain view; None returns both averages (augmented, plain).
        use_max: take the highest probability of the views in place of their mean.
    """
    dl = learn.dls[ds_idx] if dl is None else dl
    if not isinstance(dl, DataLoader):
        raise TypeError(
            f"tta needs one of presize's loaders, whose training side it uses for augmentation, "
            f"but got {type(dl).__name__}. Use learn.dls.valid or learn.dls.test_dl(items)."
        )
    views = []
    for view in range(n):
        augmented = _in_order(dl).new(split_idx=0)
        augmented.set_epoch(view)
        views.append(ask(learn, augmented, reorder=False))  # reordering would begin at epoch 0
    *views, plain = _same_rows([*views, ask(learn, dl)])
    warn_of_missing(plain.left_out)
    stacked = torch.stack([view.preds for view in views])
    average: Tensor = stacked.amax(0) if use_max else stacked.mean(0)
    if use_max:
        return torch.stack([average, plain.preds]).amax(0), plain.targets
    if beta is None:
        return (average, plain.preds), plain.targets
    return torch.lerp(average, plain.preds, beta), plain.targets


def _same_rows(passes: list[Answers]) -> list[Answers]:
    """Return the answers of several passes for the items that each of them could read.

    A picture may be read in one pass and not in the next, as where a network drive comes and goes.
    """
    found = {i: bad for answers in passes for i, bad in answers.left_out.items()}
    missing = {i: found[i] for i in sorted(found)}
    if all(len(answers.left_out) == len(missing) for answers in passes):
        return passes
    gone = torch.tensor(list(missing))
    made = []
    for answers in passes:
        kept = ~torch.isin(answers.indices(), gone)
        of_kept = functools.partial(_rows, kept)
        preds, targets = map_tensors(of_kept, (answers.preds, answers.targets))
        made.append(replace(answers, preds=preds, targets=targets, left_out=missing))
    return made


def _rows(kept: Tensor, values: Tensor) -> Tensor:
    return values[kept]


def show_results(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    max_n: int = 9,
    *,
    shuffle: bool = True,
    **options: Any,
) -> Any:
    """Show pictures with their targets and predictions, one above the other."""
    source = learn.dls[ds_idx] if dl is None else dl
    if not isinstance(source, TfmdDL):
        raise TypeError(
            f"show_results needs a loader that knows how to show its items, as a DataBlock makes "
            f"it, but this one is a {type(source).__module__}.{type(source).__name__}."
        )
    source = source.new(shuffle=shuffle, drop_last=False)
    batch = next(iter(source))
    decoded = get_preds(learn, dl=[batch], with_decoded=True)[2]
    return source.show_results(batch, decoded, max_n=max_n, **options)
