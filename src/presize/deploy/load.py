"""`load_learner`: from a model file to a learner that predicts, built from known names alone."""

from itertools import pairwise
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from presize.core.errors import ModelFileError
from presize.core.paths import Path
from presize.core.transform import Transform
from presize.data.datasets import Datasets
from presize.data.loaders import DataLoaders
from presize.deploy.described import CLASSIFIES, check_data
from presize.deploy.registry import build_transform, picture_kind
from presize.learner import Learner
from presize.models.arch import build_from_spec
from presize.models.budget import built_within, too_large
from presize.models.groups import default_split
from presize.models.spec import check_spec
from presize.train.losses import (
    BaseLoss,
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FocalLoss,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    MSELossFlat,
    loss_for_task,
)
from presize.train.model_file import ModelFile
from presize.train.training_record import TrainingRecord
from presize.train.weights_state import check_fit, load_weights

if TYPE_CHECKING:
    from presize.train.drift_reference import DriftReference

LOSSES: dict[str, type[BaseLoss]] = {
    kind.__name__: kind
    for kind in (
        CrossEntropyLossFlat,
        LabelSmoothingCrossEntropy,
        FocalLoss,
        BCEWithLogitsLossFlat,
        BCELossFlat,
        MSELossFlat,
        L1LossFlat,
    )
}
# Numbers that are built and are not in the file: what is cut away of a body, such as VGG's
# classifier of 124 million; in others, tables that are not saved.
CUT_AWAY, BESIDE_WEIGHTS = 150_000_000, 30_000_000
LARGE_SIDE = 512


def load_learner(path: str | AnyPath, *, model: nn.Module | None = None) -> Learner:
    """Return a learner from a file that `learn.export` wrote; it predicts at once.

    Nothing in the file is run: it names an architecture, transforms and a loss, which are built
    from presize's own tables, and holds weights, which are copied in.

    Args:
        path: the file.
        model: the network itself, for a file whose architecture is the user's own.

    Raises:
        FileNotFoundError: there is no such file; near names are shown.
        ModelFileError: the file is broken, foreign, changed, or names what is not known.
    """
    file = ModelFile.read(Path(path))
    if model is None and file.architecture.get("source") == "custom":
        raise ModelFileError(
            f"{path} holds the weights of a network of its author's own, "
            f"`{file.architecture.get('name')}`, and a file holds no code. Make that network and "
            "pass it: load_learner(path, model=…)."
        )
    n_out = check_spec(file.architecture)["n_out"] if model is None else None
    check_data(file.data, n_out, path)
    loss = _loss(file, n_out)
    net = _built(file) if model is None else model
    load_weights(net, file.weights)
    learn = Learner(_data(file.data), net, loss, path=AnyPath(path).parent, splitter=default_split)
    learn.model.eval()
    if file.calibration is not None:
        from presize.train.calibration import Calibration  # for the few who calibrated

        learn.calibration = Calibration.from_dict(file.calibration, file.calibration_tensors)
    if file.drift is not None:
        from presize.train.drift_reference import DriftReference  # for files that have one

        learn.drift_reference = DriftReference.read(file.drift, file.drift_tensors)
        _check_drift(learn.drift_reference, path, n_out)
    learn.record = _record(path, file)
    return learn


def _built(file: ModelFile) -> nn.Module:
    """Return the network that a file describes, if it is in proportion to the file's weights."""
    spec = check_spec(file.architecture)
    cut_away = spec["cut"] is not None or spec["name"].startswith(("vgg", "alexnet"))
    most = 2 * sum(tensor.numel() for tensor in file.weights.values())
    most += CUT_AWAY if cut_away else BESIDE_WEIGHTS
    side, head = spec["img_size"], spec["head"]
    widths = [*((head and head["lin_ftrs"]) or ()), spec["n_out"]]
    if sum(a * b for a, b in pairwise(widths)) > most:  # a single layer may be beyond any memory
        raise too_large(most)
    try:
        if side is not None and side > LARGE_SIDE:
            # A body is tried on a picture: of such a side only if the file's weights are.
            with built_within(most), torch.device("meta"):
                check_fit(build_from_spec(file.architecture), file.weights)
        with built_within(most):
            return build_from_spec(file.architecture)
    except (ModelFileError, ImportError):
        raise
    except Exception as error:  # builders of torchvision and timm raise of any kind
        raise ModelFileError(
            f"The network `{file.architecture['name']}` cannot be built as the model file "
            f"describes it: {type(error).__name__}: {error!s:.300}"
        ) from error


def _check_drift(
    reference: "DriftReference | None", path: str | AnyPath, n_out: int | None
) -> None:
    told = None if reference is None else reference.facts.n_classes
    if told is not None and n_out is not None and told != n_out:
        raise ModelFileError(
            f"The drift statistics in {path} are of {told} classes, but the network has {n_out} "
            "outputs: they are of another model. Export the model again."
        )


def _record(path: str | AnyPath, file: ModelFile) -> TrainingRecord:
    """Return how the model was trained, as far as the file says so."""
    try:
        return TrainingRecord.from_dict({} if file.training is None else file.training)
    except (TypeError, ValueError) as error:
        raise ModelFileError(
            f"What {path} says of how its model was trained is not valid: {error}. It was "
            "changed by hand, or written by another version of presize: export the model again."
        ) from error


class NoLabels(Transform):
    """Stands where `get_y` was: a model file does not say how the labels of items are found."""

    def encodes(self, x: Any) -> Any:
        """Refuse.

        Raises:
            ModelFileError: always.
        """
        raise ModelFileError(
            "A model file does not hold how labels are found (get_y, a function), so a loaded "
            "learner cannot label items itself. Predict without with_labels=True; or measure on "
            "loaders of your own DataBlock: learn.validate(dl=dls.valid)."
        )

    def decodes(self, x: Any) -> Any:
        """Pass what is shown."""
        return x


def _loss(file: ModelFile, n_out: int | None) -> BaseLoss:
    kind, task = LOSSES.get(file.loss or ""), file.data["task"]
    if kind is None:
        return loss_for_task(task)
    try:
        loss = kind(**file.loss_options)
        if n_out is not None and task in CLASSIFIES:
            # Numbers that an option cannot have come to light where it is used.
            rows = 3 if n_out == 2 else 2  # another number, so that an axis is not taken for one
            with torch.no_grad():
                answers = loss.decodes(loss.activation(torch.zeros(rows, n_out)))
            if len(answers) != rows:
                raise ValueError("it does not tell one answer for each picture")
    except (TypeError, ValueError, RuntimeError, IndexError, OverflowError) as error:
        raise ModelFileError(
            f"The model file's `{file.loss}({file.loss_options!s:.200})` is not valid: {error}"
        ) from error
    return loss


def _data(spec: dict[str, Any]) -> DataLoaders:
    """Return loaders without items, whose `test_dl` treats pictures as in training."""
    inputs = [[picture_kind(name).create] for name in spec["inputs"]]
    targets = [
        [NoLabels(), *(build_transform(**t) for t in pipeline)] for pipeline in spec["targets"]
    ]
    empty = Datasets(
        [],
        [*inputs, *targets],
        n_inp=len(inputs),
        splits=[[], []],
        do_setup=False,
        task=spec["task"],
    )
    return empty.dataloaders(
        bs=spec["bs"],
        after_item=[build_transform(**t) for t in spec["after_item"]],
        after_batch=[build_transform(**t) for t in spec["after_batch"]],
    )
