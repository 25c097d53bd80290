"""`load_ensemble`: the models that `Ensemble.save` wrote, as one that predicts."""

import copy
import json
from collections.abc import Callable
from pathlib import Path as AnyPath
from typing import Any

from torch import Tensor, nn

from presize.core.errors import ModelFileError
from presize.core.paths import Path
from presize.deploy.load import load_learner
from presize.folding.ensemble import INDEX, Ensemble
from presize.train.losses import check_loss


def load_ensemble(
    folder: str | AnyPath,
    *,
    model: nn.Module | None = None,
    loss_func: Callable[..., Tensor] | None = None,
) -> Ensemble:
    """Return the ensemble that `Ensemble.save` wrote to a folder; it predicts at once.

    Each model is loaded as `load_learner` does it: nothing in the files is run.

    Args:
        folder: holds the model files and their list.
        model: the network itself, where the architecture is the user's own.
        loss_func: the loss, where it is the user's own: it says how outputs become probabilities,
            of which the mean is taken. None takes the one that the files name, else the usual one
            for the data.

    Raises:
        FileNotFoundError: there is no such folder, no list in it, or a model is missing.
        ModelFileError: a file is broken, or the models are not of one task.
    """
    place = Path(folder)
    learners = [
        load_learner(place / name, model=None if model is None else copy.deepcopy(model))
        for name in _names(place)
    ]
    for i, learn in enumerate(learners[1:], 2):
        if _task(learn) != _task(learners[0]):
            raise ModelFileError(
                f"The models in `{place}` are not of one task: model {i} has the classes "
                f"{_task(learn)[1]}, the first one {_task(learners[0])[1]}. Save the ensemble "
                "again, or load the models one by one with load_learner."
            )
    if loss_func is not None:
        check_loss(loss_func, learners[0].dls.task)
        learners[0].loss_func = loss_func
    return Ensemble(learners[0], [learn.model for learn in learners])


def _names(place: Path) -> list[str]:
    try:
        found = json.loads((place / INDEX).read_text(encoding="utf-8"))
        names = found["models"]
        if not names or not all(isinstance(n, str) and AnyPath(n).name == n for n in names):
            raise ValueError("it has to name model files beside it")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no ensemble in `{place}`: it holds no `{INDEX}`, which "
            "`result.ensemble.save(folder)` writes. A single model file is for load_learner."
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"`{place / INDEX}` is not the list of an ensemble's models ({error})."
        ) from None
    return list(names)


def _task(learn: Any) -> tuple[Any, list[str]]:
    vocab = getattr(learn.dls, "vocab", None) or ()
    return learn.dls.task, [str(name) for name in vocab]
