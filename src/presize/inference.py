"""Asking a trained model: predictions over a loader, of one item, averaged over views."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.gather import GatherPredsCallback
from presize.callbacks.no_trace import copied_metric
from presize.callbacks.pass_bar import pass_bar
from presize.core.collections import L
from presize.core.device import map_tensors
from presize.core.errors import TrainingError
from presize.data.askeditem import asked_item
from presize.data.asking import asking, last_of
from presize.data.eachonce import in_order as in_order
from presize.data.eachonce import left_out as left_out
from presize.data.eachonce import without_stand_ins
from presize.data.loader import DataLoader
from presize.data.loaders import TfmdDL
from presize.tensors import TensorBase, TensorMask, TensorPoint
from presize.train.answers import Answers as Answers
from presize.train.answers import same_rows
from presize.train.answers import warn_of_missing as warn_of_missing
from presize.train.losses import activation_of, decodes_of, unreduced
from presize.train.metrics import AvgLoss

if TYPE_CHECKING:
    from presize.callbacks.gather_features import GatheredFeatures
    from presize.learner import Learner
    from presize.train.calibration import Calibration, Unknown

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
    source = without_stand_ins(learn.dls[ds_idx] if dl is None else dl)
    with pass_bar(learn, "validating") as shown:
        row = learn.run_validation(source, [*shown, *L(cbs)])
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
    learn.place_model(quick=True)
    with _beside_a_fit(learn), learn.added_cbs(cbs), learn.precision.applied(learn.device):
        learn.recorder.row = []
        try:
            learn.pass_validation(dl)
        except RuntimeError:
            learn.place_model()  # says so, if a part of it is somewhere else
            raise
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


def ask(
    learn: "Learner",
    dl: Any,
    *,
    with_input: bool = False,
    with_decoded: bool = False,
    with_loss: bool = False,
    with_unknown: bool = False,
    act: Callable[[Any], Any] | None = None,
    reorder: bool = True,
    cbs: Callback | Iterable[Callback] | None = None,
    label: str = "predicting",
) -> Answers:
    """Return what the model says of the items of a loader; see `get_preds`."""
    dl = in_order(dl) if reorder else without_stand_ins(dl)
    gather = GatherPredsCallback(with_input=with_input, with_loss=with_loss)
    told_by = _tells_unknown(learn) if with_unknown else None
    with _gathered(learn, told_by) as gathered:
        seen = [] if gathered is None else [gathered.callback]
        each_batch(learn, dl, [gather, *seen, *L(cbs)], with_loss=with_loss, label=label)
    decode: Callable[[Any], Any] = decodes_of(learn.loss_func)
    raw = gather.all_preds()
    preds = None if raw is None else activation_for(learn, act)(raw)
    decodes = with_decoded and raw is not None
    judged = preds
    if told_by is not None and act is not None and raw is not None:
        judged = activation_for(learn)(raw)
    return Answers(
        inputs=gather.all_inputs() if with_input else None,
        preds=preds,
        targets=gather.all_targets(),
        decoded=_displayed(learn, decode(preds)) if decodes else None,
        losses=gather.all_losses() if with_loss else None,
        left_out=left_out(dl),
        unknown=_unknown(told_by, judged, gathered),
    )


def each_batch(
    learn: "Learner",
    dl: Any,
    cbs: Callback | Iterable[Callback] | None,
    *,
    with_loss: bool = False,
    label: str = "predicting",
) -> None:
    """Pass a loader through the model for callbacks that look at each batch; nothing is logged.

    Args:
        learn: the learner.
        dl: the loader.
        cbs: what looks at the batches.
        with_loss: let the loss be one for each item, in place of their mean.
        label: of the bar, where there is one.
    """
    loss_func = learn.loss_func
    bar = pass_bar(learn, label)
    with bar as shown, learn.no_logging(), learn.removed_cbs([learn.recorder]):
        learn.loss_func = unreduced(loss_func) if with_loss else loss_func
        try:
            learn.run_validation(dl, [*shown, *L(cbs)])
        finally:
            learn.loss_func = loss_func


def activation_for(
    learn: "Learner", act: Callable[[Any], Any] | None = None
) -> Callable[[Any], Any]:
    """Return what turns the model's outputs into what a user reads.

    That is `act`, where it is given, on the outputs as they are; else the activation of the loss,
    of outputs at the temperature of `learn.calibration`, where there is one.
    """
    activation: Callable[[Any], Any] = activation_of(learn.loss_func)
    calibration = learn.calibration
    if act is not None or calibration is None:
        return act or activation
    return lambda outputs: calibration.probabilities(outputs, activation)


def _tells_unknown(learn: "Learner") -> "Calibration":
    """Return the calibration, if it can tell what is none of the classes."""
    calibration = learn.calibration
    if calibration is None or calibration.unknown is None:
        raise TrainingError(
            "The learner cannot tell what is none of its classes: nothing was fitted for that. "
            'Call learn.calibrate() first, or learn.calibrate(unknown="features"), with '
            "validation data; both are kept in the model file."
        )
    return calibration


@contextmanager
def _gathered(
    learn: "Learner", told_by: "Calibration | None"
) -> "Iterator[GatheredFeatures | None]":
    """Gather features in a pass, if what is unknown is told by them."""
    if told_by is None or told_by.unknown != "features":
        yield None
        return
    from presize.callbacks.gather_features import gathered_features  # for the few who calibrated

    with gathered_features(learn) as gathered:
        yield gathered


def _unknown(
    told_by: "Calibration | None",
    probabilities: Any,
    gathered: "GatheredFeatures | None",
) -> "Sequence[Unknown] | None":
    if told_by is None or probabilities is None:
        return None
    return told_by.judged(probabilities, None if gathered is None else gathered.features())


def get_preds(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    *,
    with_input: bool = False,
    with_decoded: bool = False,
    with_loss: bool = False,
    with_unknown: bool = False,
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
        with_unknown: add whether each item is none of the classes, bool [n]; see `calibrate`.
        act: what is applied to the model's output; None takes the activation of the loss, and the
            temperature of `learn.calibration`.
        reorder: read a loader that shuffles or samples whole, in the order of its data set.
        cbs: callbacks for this pass.

    Returns:
        ([inputs,] predictions, targets[, decoded][, losses][, unknown]); targets are None when the
        loader has none.
    """
    answers = ask(
        learn,
        learn.dls[ds_idx] if dl is None else dl,
        with_input=with_input,
        with_decoded=with_decoded,
        with_loss=with_loss,
        with_unknown=with_unknown,
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
    if with_unknown:
        unknown = answers.unknown
        found.append(None if unknown is None else torch.tensor([bool(u) for u in unknown]))
    return tuple(found)


def _displayed(learn: "Learner", decoded: Any) -> Any:
    """Return decoded predictions as the kind of tensor that can be drawn, where there is one."""
    kind = DISPLAYED.get(getattr(learn.dls, "task", None))
    return kind(decoded) if kind is not None and isinstance(decoded, Tensor) else decoded


def predict(
    learn: "Learner", item: Any, *, with_input: bool = False, with_unknown: bool = False
) -> tuple[Any, ...]:
    """Return (label, class number, probabilities) of one item.

    Args:
        item: what the data block's items are; or a picture: a path, the bytes of a picture file, a
            file opened in binary mode, a PIL image, an array or a tensor (uint8 or 0..1).
        with_input: put the item in front, as the model sees it.
        with_unknown: add an `Unknown` at the end, which is true if the item is none of the
            classes; `learn.calibrate` fits what tells it.

    Raises:
        ImageError: the picture cannot be read.
    """
    source = asked_item(getattr(last_of(learn.dls), "dataset", None), item)
    asks = asking(learn.dls, source)
    try:
        dl = learn.dls.test_dl([source], num_workers=0) if asks is None else asks.one(source)
        answers = ask(learn, dl, with_input=True, with_decoded=True, with_unknown=with_unknown)
    except Exception as error:
        if isinstance(item, list | tuple):
            error.add_note(
                "predict takes one item; for several: learn.get_preds(dl=learn.dls.test_dl(items))."
            )
        raise
    inputs, decoded = _several(answers.inputs), _several(answers.decoded)
    first = map_tensors(lambda t: t[0], (answers.decoded, answers.preds))
    unknown = answers.unknown or ()
    if not with_input:
        return _single(dl.decode_targets(decoded, inputs)), *first, *unknown
    whole = dl.decode_batch((*inputs, *decoded), max_n=1)[0]
    shown, label = _single(whole[: len(inputs)]), _single(whole[len(inputs) :])
    return shown, label, *first, *unknown


def _several(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


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
        augmented = in_order(dl).new(split_idx=0)
        augmented.set_epoch(view)
        # Reordering would begin at epoch 0.
        views.append(ask(learn, augmented, reorder=False, label=f"view {view + 1} of {n + 1}"))
    *views, plain = same_rows([*views, ask(learn, dl, label=f"view {n + 1} of {n + 1}")])
    warn_of_missing(plain.left_out)
    stacked = torch.stack([view.preds for view in views])
    average: Tensor = stacked.amax(0) if use_max else stacked.mean(0)
    if use_max:
        return torch.stack([average, plain.preds]).amax(0), plain.targets
    if beta is None:
        return (average, plain.preds), plain.targets
    return torch.lerp(average, plain.preds, beta), plain.targets


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
