"""Several models of one task that answer together."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

from torch import nn

from presize.callbacks.base import Callbacks
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.recorder import Recorder
from presize.callbacks.train_eval import TrainEvalCallback
from presize.core.paths import Path
from presize.data.warned import warn_user
from presize.train.averaging import Averaged
from presize.train.losses import activation_of

if TYPE_CHECKING:
    from presize.learner import Learner

INDEX = "ensemble.json"


class Ensemble:
    """Several models of one task that answer together, with the mean of their probabilities.

    Args:
        learn: one of their learners, for the data and the loss; it is left as it is.
        models: the models.
    """

    def __init__(self, learn: "Learner", models: Sequence[nn.Module]) -> None:
        self._single = copy.copy(learn)
        self._single.opt = None
        self._single.calibration = None  # that of one model; the mean of several is another
        kinds = (TrainEvalCallback, Recorder, ProgressCallback)
        # Others have to do with the training of the one model that they were added for.
        self._single.cbs = Callbacks(cb for cb in learn.cbs if isinstance(cb, kinds))
        self._single.forget_batch()
        self._averaged = Averaged(models, activation_of(learn.loss_func)).eval()
        self._together = copy.copy(self._single)
        self._together.model = self._averaged
        self._together.compile = False

    def __len__(self) -> int:
        return len(self.models)

    @property
    def learn(self) -> "Learner":
        """A learner like any other, for tta, show_results and what else has no method here.

        A loss that is set on it, `ensemble.learn.loss_func = …`, holds from the next use of the
        ensemble on.
        """
        self._averaged.activation = activation_of(self._together.loss_func)
        return self._together

    @property
    def models(self) -> Sequence[nn.Module]:
        """The models, one for each fold."""
        return list(self._averaged.models)

    @property
    def vocab(self) -> Any:
        """The classes."""
        return self.learn.dls.vocab

    def predict(self, item: Any, *, with_input: bool = False) -> tuple[Any, ...]:
        """Return (label, class number, probabilities) of one item; see `Learner.predict`."""
        return self.learn.predict(item, with_input=with_input)

    def get_preds(self, dl: Any = None, *, with_decoded: bool = False) -> tuple[Any, ...]:
        """Return mean probabilities and targets over a loader; see `Learner.get_preds`.

        Args:
            dl: the loader, such as `ensemble.test_dl(files)`. None takes the fold that was left
                out last, which the other models have been trained on.
            with_decoded: add the decoded predictions, such as class numbers.
        """
        return self.learn.get_preds(dl=dl, with_decoded=with_decoded)

    def test_dl(self, items: Any, *, with_labels: bool = False) -> Any:
        """Return a loader of other items; see `DataLoaders.test_dl`."""
        return self.learn.dls.test_dl(items, with_labels=with_labels)

    def save(self, folder: str | AnyPath) -> Path:
        """Write a model file for each model, see `Learner.export`, and the list of them.

        Each file is also a model by itself, for `load_learner`. `load_ensemble` reads them all.
        What `ensemble.learn.calibrate()` found is of all models together, and not kept: that is
        warned of.
        """
        if self._together.calibration is not None:
            warn_user(
                "The calibration of the ensemble is not saved: it is of all models together, and "
                "each file is of one. Calibrate again what load_ensemble returns: "
                "ensemble.learn.calibrate(dl)."
            )
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        names = []
        for i, model in enumerate(self.models, 1):
            learn = copy.copy(self._single)
            learn.model, learn.loss_func = model, self.learn.loss_func
            names.append(learn.export(place.absolute() / f"fold_{i}.safetensors").name)
        # Last: a folder with a list is whole.
        (place / INDEX).write_text(json.dumps({"models": names}, indent=1), encoding="utf-8")
        return place

    def __repr__(self) -> str:
        return f"Ensemble of {len(self)} model{'s' * (len(self) != 1)}"
