"""The losses, and the one that fits the targets."""

from presize.core.errors import DataError, did_you_mean
from presize.core.types import Task
from presize.train.loss_base import BaseLoss as BaseLoss
from presize.train.loss_base import Reduction as Reduction
from presize.train.loss_checks import check_loss as check_loss
from presize.train.loss_checks import check_targets as check_targets
from presize.train.loss_checks import describe_pair as describe_pair
from presize.train.loss_classes import CrossEntropyLossFlat as CrossEntropyLossFlat
from presize.train.loss_classes import FocalLoss as FocalLoss
from presize.train.loss_classes import FocalLossFlat as FocalLossFlat
from presize.train.loss_classes import LabelSmoothingCrossEntropy as LabelSmoothingCrossEntropy
from presize.train.loss_classes import (
    LabelSmoothingCrossEntropyFlat as LabelSmoothingCrossEntropyFlat,
)
from presize.train.loss_kinds import activation_of as activation_of
from presize.train.loss_kinds import decodes_of as decodes_of
from presize.train.loss_kinds import unreduced as unreduced
from presize.train.loss_values import BCELossFlat as BCELossFlat
from presize.train.loss_values import BCEWithLogitsLossFlat as BCEWithLogitsLossFlat
from presize.train.loss_values import L1LossFlat as L1LossFlat
from presize.train.loss_values import MSELossFlat as MSELossFlat


def loss_for_task(task: Task | None) -> BaseLoss:
    """Return the usual loss for a kind of targets.

    Raises:
        DataError: `task` is None.
        ValueError: `task` is unknown.
    """
    match task:
        case "classification":
            return CrossEntropyLossFlat()
        case "segmentation":
            return CrossEntropyLossFlat(axis=1)
        case "multilabel":
            return BCEWithLogitsLossFlat()
        case "regression" | "points":
            return MSELossFlat()
    known = ("classification", "multilabel", "regression", "segmentation", "points")
    if task is None:
        raise DataError(
            "The data does not say what its targets are, so no loss can be chosen for it. Pass "
            "one, for example loss_func=nn.CrossEntropyLoss(), or build the data with a DataBlock."
        )
    raise ValueError(
        f"There is no usual loss for the task {task!r}.{did_you_mean(task, known)} "
        f"Tasks with one: {', '.join(known)}."
    )
