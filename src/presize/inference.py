"""Asking a trained model: predictions over a loader, of one item, averaged over views."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.gather import GatherPredsCallback
from presize.core.collections import L
from presize.core.device import map_tensors
from presize.core.errors import TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import TfmdDL
from presize.tensors import TensorBase, TensorMask, TensorPoint
from presize.train.losses import activation_of, decodes_of, unreduced

if TYPE_CHECKING:
    from presize.learner import Learner

# Loaders find the kinds of what they show in their first item; those of a model file have none.
DISPLAYED: dict[Any, type[TensorBase]] = {"segmentation": TensorMask, "points": TensorPoint}


def validate(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    cbs: Callback | Iterable[Callback] | None = None,
) -> L[Any]:
    """Return the loss and the metrics on a loader: `dl`, or number `ds_idx` of the data.

    Raises:
        TrainingError: the loader has no batches, or no targets to compare with.
    """
    learn.run_validation(learn.dls[ds_idx] if dl is None else dl, cbs)
    row = learn.recorder.row
    if row and row[0] is None:
        raise TrainingError(
            "validate saw no targets: the loader is empty, or one of a test set without labels. "
            "Pass one that has them, such as dls.valid or dls.test_dl(items, with_labels=True)."
        )
    return L(row)


def run_validation(
    learn: "Learner", dl: Any, cbs: Callback | Iterable[Callback] | None = None
) -> None:
    """Pass a loader through the model, with the events of validation and no training."""
    learn.place_model()
    learn.recorder.row = []
    with learn.added_cbs(cbs):
        try:
            learn.pass_validation(dl)
        finally:
            learn.forget_batch()


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

    Args:
        ds_idx: which loader of the data, if `dl` is not given.
        dl: any loader, also a plain list of batches.
        with_input: put the inputs in front.
        with_decoded: add the decoded predictions, such as class numbers.
        with_loss: add the loss of each item.
        act: what is applied to the model's output; None takes the activation of the loss.
        reorder: read a shuffling loader in the order of its data set.
        cbs: callbacks for this pass.

    Returns:
        ([inputs,] predictions, targets[, decoded][, losses]); targets are None when the
        loader has none.
    """
    dl = learn.dls[ds_idx] if dl is None else dl
    if reorder and isinstance(dl, DataLoader):
        dl = dl.new(shuffle=False, drop_last=False)
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
    found: list[Any] = [gather.all_inputs()] if with_input else []
    found += [preds, gather.all_targets()]
    if with_decoded:
        found.append(None if raw is None else _displayed(learn, decode(preds)))
    if with_loss:
        found.append(gather.all_losses())
    return tuple(found)


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
        augmented = dl.new(shuffle=False, drop_last=False, split_idx=0)
        augmented.set_epoch(view)
        views.append(get_preds(learn, dl=augmented)[0])
    plain, targets = get_preds(learn, dl=dl)
    stacked = torch.stack(views)
    average: Tensor = stacked.amax(0) if use_max else stacked.mean(0)
    if use_max:
        return torch.stack([average, plain]).amax(0), targets
    if beta is None:
        return (average, plain), targets
    return torch.lerp(average, plain, beta), targets


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
