"""Why a loss would not take its targets, in the user's words."""

import warnings

import torch
from torch import Tensor, nn

from presize.core.errors import TrainingError
from presize.core.types import Task
from presize.train.loss_kinds import takes_alike, takes_classes
from presize.train.names import name_of


def describe_pair(pred: object, targ: object) -> str:
    """Return the shape and dtype of outputs and targets, for an error or a note on one."""
    return f"outputs {_describe(pred)}, targets {_describe(targ)}"


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def check_loss(loss: object, task: Task | None) -> None:
    """Warn of a loss that would learn something else than the data asks for.

    Args:
        loss: the loss function, as a learner gets it.
        task: what the targets of the data are.

    Raises:
        TypeError: it is no function, or a class that has not been called.
    """
    if isinstance(loss, type) and issubclass(loss, nn.Module):
        raise TypeError(
            f"loss_func got the class {loss.__name__}. Pass an object of it: "
            f"loss_func={loss.__name__}()."
        )
    if not callable(loss):
        raise TypeError(f"loss_func is a function of outputs and targets, but got {loss!r}.")
    if task == "multilabel" and (getattr(loss, "kind", None) == "classes" or takes_classes(loss)):
        warnings.warn(
            f"The items have any number of labels, but {name_of(loss)} looks for one class per "
            "item: the labels would compete. Leave loss_func= out, or use BCEWithLogitsLossFlat().",
            stacklevel=3,
        )


def check_targets(pred: object, targ: object, loss: object) -> None:
    """Raise an error that says why `targ` does not go with `pred` in `loss`; else do nothing.

    For when a loss has failed, or once before training: it reads the values of class targets,
    which waits for the device, so it has no place in the step.

    Args:
        pred: the model's output.
        targ: the targets of the same batch.
        loss: the loss function; ours and PyTorch's are understood, others are not judged.

    Raises:
        TrainingError: with both shapes and dtypes, and the way out.
    """
    kind = getattr(loss, "kind", None)
    classes = kind == "classes" or takes_classes(loss)
    if not classes and kind != "alike" and not takes_alike(loss):
        return
    name = name_of(loss)
    if not isinstance(pred, Tensor) or not isinstance(targ, Tensor):
        raise TrainingError(
            f"{name} compares two tensors, but got {describe_pair(pred, targ)}. Targets become "
            "tensors through a block such as CategoryBlock; a model with several outputs needs a "
            "loss function of your own."
        )
    if pred.ndim and targ.ndim and pred.shape[0] != targ.shape[0]:
        raise TrainingError(
            f"{name} needs one output for each item, but got {describe_pair(pred, targ)}: "
            f"{pred.shape[0]} against {targ.shape[0]} items. Does the model keep the batch as its "
            "first axis?"
        )
    if classes:
        _check_classes(name, pred, targ, loss)
    else:
        _check_alike(name, pred, targ, loss)


def fits(weight: Tensor, pred: Tensor) -> bool:
    """Tell whether `weight` can be broadcast to `pred`, which is not to grow by that."""
    sizes = zip(reversed(weight.shape), reversed(pred.shape), strict=False)
    return weight.ndim <= pred.ndim and all(size in (1, n) for size, n in sizes)


def _check_alike(name: str, pred: Tensor, targ: Tensor, loss: object) -> None:
    both = describe_pair(pred, targ)
    if pred.numel() != targ.numel():
        per_item = targ[0].numel() if targ.ndim and targ.shape[0] else 1
        raise TrainingError(
            f"{name} compares each output with one target value, but got {both}. Make the model "
            f"end in {per_item} output(s) per item (n_out={per_item}), or, if the targets are "
            "class numbers, use CrossEntropyLossFlat()."
        )
    if not targ.is_floating_point():
        raise TrainingError(
            f"{name} takes targets that are floating-point numbers, but got {both}. Use the loss "
            "of that name ending in Flat, which converts them, or call .float() on the targets."
        )
    for option in ("weight", "pos_weight"):
        weight = getattr(loss, option, None)
        if isinstance(weight, Tensor) and not fits(weight, pred):
            raise TrainingError(
                f"{name} has {option}= of shape {list(weight.shape)}, which does not go with "
                f"{both}. Give one for each label, in the order of dls.vocab; for masks "
                "[N, labels, H, W] in the shape [labels, 1, 1]."
            )


def _check_classes(name: str, pred: Tensor, targ: Tensor, loss: object) -> None:
    both = describe_pair(pred, targ)
    axis = int(getattr(loss, "axis", 1))
    classes = pred.shape[axis if pred.ndim > 1 else -1]
    weight = getattr(loss, "weight", None)
    if isinstance(weight, Tensor) and weight.numel() != classes:
        raise TrainingError(
            f"{name} has {weight.numel()} class weights, but the model has {classes} outputs. Give "
            "one for each class: weight=class_weights(dls), or a list in the order of dls.vocab."
        )
    if targ.is_floating_point():
        if targ.shape == pred.shape:
            return
        raise TrainingError(
            f"{name} takes the number of the right class as a whole number, but got {both}. Use "
            "CategoryBlock or .long() for classes, or MSELossFlat() if the targets are quantities."
        )
    if targ.numel() != pred.numel() // max(classes, 1):
        hint = "For pictures of classes (masks) use CrossEntropyLossFlat(axis=1)."
        if targ.shape == pred.shape:
            hint = "For several labels per item use BCEWithLogitsLossFlat()."
        raise TrainingError(
            f"{name} takes one class number for each row of {classes} scores, but got {both}. "
            f"{hint}"
        )
    _check_range(name, classes, targ, int(getattr(loss, "ignore_index", -100)))


def _check_range(name: str, classes: int, targ: Tensor, ignore_index: int) -> None:
    try:
        numbers = torch.unique(targ.detach().cpu())
    except RuntimeError as error:  # CUDA refuses every call after an index out of range
        raise TrainingError(
            f"{name} failed on the GPU, most often because a target is not one of the {classes} "
            "classes; the device does not say which. Run once on the CPU to see it."
        ) from error
    wrong = [
        int(number)
        for number in numbers
        if int(number) != ignore_index and not 0 <= int(number) < classes
    ]
    if not wrong:
        return
    if min(wrong) < 0:
        raise TrainingError(
            f"{name} got target {min(wrong)}, but classes are numbered from 0 to {classes - 1}."
        )
    raise TrainingError(
        f"{name} got target {max(wrong)} but the model has {classes} outputs, for the classes 0 to "
        f"{classes - 1}. Make the model with n_out={max(wrong) + 1}, or check the vocabulary."
    )
