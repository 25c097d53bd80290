"""What is exported: a network that answers with probabilities, compared with its learner."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from presize.core.errors import ExportError
from presize.core.homography import HW
from presize.data.datasets import Datasets
from presize.deploy.exporting.compare import agreement, in_batches, refuse_other
from presize.deploy.exporting.pictures import Pictures, pictures_for, some_of_training
from presize.deploy.load import load_learner
from presize.learner import Learner
from presize.train.losses import activation_of
from presize.train.temperature import kind_of

if TYPE_CHECKING:
    from presize.deploy.predictor import Predictor

CHECKED = 64  # pictures that are compared: one forward of each on both sides, a second or two


class Answering(nn.Module):
    """A network whose outputs are what `get_preds` gives: probabilities, of classes.

    Args:
        learn: the learner; its network is copied, in float32 on the CPU, for evaluation.
    """

    def __init__(self, learn: Learner) -> None:
        super().__init__()
        self.network = copy.deepcopy(learn.model)
        self.network._compiled_call_impl = None
        self.network.cpu().float().eval().requires_grad_(False)
        self.activation = activation_of(learn.loss_func)
        self.kind = kind_of(self.activation)
        calibration = learn.calibration
        self.temperature = None if calibration is None else calibration.temperature
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Return probabilities of pictures as the loader prepares them: float32 [n,c,h,w]."""
        outputs = self.network(pictures)
        if self.temperature is not None:
            outputs = outputs / self.temperature
            if self.kind == "exp":
                outputs = outputs.log_softmax(1)
        if outputs.ndim == 2 and self.kind == "softmax":
            return outputs.softmax(1)  # type: ignore[no-any-return]
        made: Tensor = self.activation(outputs)
        return made


@dataclass(frozen=True, eq=False)
class Subject:
    """What is exported.

    Args:
        learn: the learner.
        network: what is written.
        pictures: what it is checked with.
        fixed: (height, width) of all pictures, where no transform brings them to one size.
    """

    learn: Learner
    network: Answering
    pictures: Pictures
    fixed: HW | None

    @property
    def task(self) -> str:
        """What the model is made for."""
        return str(self.learn.dls.task)

    @property
    def channels(self) -> int:
        """Of a picture as the model sees it."""
        return self.pictures.inputs.shape[1]

    def example(self) -> Tensor:
        """Return a batch for the exporters to follow; no picture, since files may keep it."""
        return torch.zeros((2, *self.pictures.inputs.shape[1:]))

    def some_of_training(self, most: int) -> Tensor:
        """Return training pictures as in validation, float32 [n,c,h,w]; else those of the check."""
        found = some_of_training(self.learn, most)
        return self.pictures.inputs[:most] if found is None else found


def subject_of(
    source: "Learner | Predictor | str | AnyPath", samples: Any = None, *, checked: int = CHECKED
) -> Subject:
    """Return what is to be exported, with the pictures to check it.

    Args:
        source: a learner, a predictor, or the path of a model file.
        samples: pictures, or a folder of them; by default those of the validation set.
        checked: how many pictures to take of the validation set, at most.

    Raises:
        ExportError: this is no model of pictures, or its answer is not one tensor.
    """
    learn = learner_of(source)
    _check_data(learn)
    pictures, fixed = pictures_for(learn, samples, checked)
    network = Answering(learn)
    _check_answer(learn, network, pictures)
    return Subject(learn, network, pictures, fixed)


def learner_of(source: Any) -> Learner:
    """Return the learner of a learner, a predictor, or a model file."""
    if isinstance(source, Learner):
        return source
    if isinstance(source, str | os.PathLike):
        return load_learner(AnyPath(source))
    learn = getattr(source, "learn", None)
    if isinstance(learn, Learner):
        return learn
    raise TypeError(
        "What can be exported is a Learner, a Predictor or the path of a model file, but this is a "
        f"{type(source).__name__}."
    )


def _check_data(learn: Learner) -> None:
    valid = learn.dls.valid
    samples = getattr(valid, "dataset", valid)
    if not isinstance(samples, Datasets) or samples.n_inp != 1:
        got = (
            f"one of {samples.n_inp} inputs"
            if isinstance(samples, Datasets)
            else f"a {type(samples).__name__}"
        )
        raise ExportError(
            "What is exported turns one picture into an answer, so the data has to say how a "
            f"picture becomes what the model sees; that of this learner is {got}. Build it with a "
            "DataBlock or ImageDataLoaders."
        )


def _check_answer(learn: Learner, network: Answering, pictures: Pictures) -> None:
    """Compare the copy that is exported with what the learner itself says."""
    with torch.inference_mode():
        answer = network(pictures.inputs[:2])
    if not isinstance(answer, Tensor):
        raise ExportError(
            "Only a network that answers with one tensor can be exported; "
            f"`{type(network.network).__name__}` gives a {type(answer).__name__}."
        )
    with torch.inference_mode():
        answers = in_batches(network, pictures.inputs, (16,))
    plain = learn.device.type == "cpu" and learn.precision.kind == "fp32"
    tolerance = 1e-3 if plain else 0.05  # of half precision, or a GPU's own
    found = agreement(
        pictures.preds, answers, pictures.names, str(learn.dls.task), tie=2 * tolerance
    )
    refuse_other(
        found,
        tolerance,
        "The network by itself in float32, as it would be exported, and learn.get_preds",
        "An export answers for each picture by itself, the same every time. Look for callbacks "
        "that change inputs or outputs, which have to be part of the network; for layers that mix "
        "the pictures of a batch or draw random numbers; and for outputs that are no numbers.",
    )
