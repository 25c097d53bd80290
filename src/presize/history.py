"""What is known of how a learner's model came to be: for its report, and for its model file."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

from presize.core.environment import environment
from presize.core.output import in_notebook
from presize.core.randomness import loose_place
from presize.data.batchfiles import file_of
from presize.data.class_counts import class_counts
from presize.data.datasets import Datasets
from presize.data.marks import MOST, to_text
from presize.train.names import name_of
from presize.train.training_record import DataFacts, TrainingRecord

if TYPE_CHECKING:
    from presize.learner import Learner

_SPLITS = ("train", "valid")


def training_record(learn: "Learner") -> TrainingRecord:
    """Return how the model of a learner came to be.

    A learner that has trained tells it itself. One that was loaded from a model file and has not
    trained since tells what the file says.
    """
    if learn.record is not None and not learn.history.fits:
        known = learn.record  # a file that says nothing of it still has a model
        if known.model:
            return known
        return replace(known, model=_model_facts(learn), data=data_facts(learn))
    earlier = [] if learn.record is None else learn.record.fits
    return TrainingRecord(
        fits=[*earlier, *learn.history.fits],
        data=data_facts(learn),
        model=_model_facts(learn),
        seed=loose_place()[0],
        command=typed_command(),
        environment=environment() | {"device": str(learn.device)},
        started=learn.history.started,
    )


def data_facts(learn: "Learner") -> DataFacts:
    """Return the counts of the data that a learner has; labels are read, no pictures."""
    dls = learn.dls
    sets = {name: getattr(getattr(dls, name, None), "dataset", None) for name in _SPLITS}
    found = {name: one for name, one in sets.items() if _length(one) is not None}
    classes = {name: class_counts(one) for name, one in found.items()}
    path = getattr(dls, "path", None)
    return DataFacts(
        source=None if path is None or str(path) == "." else str(path),
        splits={name: _length(one) or 0 for name, one in found.items()},
        classes={name: counts for name, counts in classes.items() if counts},
        task=getattr(dls, "task", None),
        valid_marks=_marks(found.get("valid"), path),
    )


def typed_command() -> str | None:
    """Return the command line that runs, where it is that of a script or of presize itself."""
    if not sys.argv or sys.argv[0] in ("", "-", "-c", "-m"):
        return None
    if in_notebook() or "ipykernel" in sys.argv[0]:  # what was typed is in the notebook
        return None
    first = AnyPath(sys.argv[0])
    if first.name == "__main__.py":
        start = ["python", "-m", first.parent.name]
    elif first.suffix == ".py":
        start = ["python", str(first)]
    else:
        start = [first.name]
    return shlex.join([*start, *sys.argv[1:]])


def _model_facts(learn: "Learner") -> dict[str, str]:
    model: Any = learn.model
    spec = getattr(model, "spec", None)
    name = spec.get("name") if isinstance(spec, dict) else None
    total = sum(p.numel() for p in model.parameters())
    facts = {"name": str(name or type(model).__name__), "parameters": f"{total:,}"}
    if learn.record is not None:  # whose weights come from a file, and not as the model began
        facts |= {k: v for k, v in learn.record.model.items() if k == "weights"}
    elif hasattr(model, "pretrained"):
        facts["weights"] = "pretrained" if model.pretrained else "random at the start"
    facts["loss"] = name_of(learn.loss_func)
    facts["optimizer"] = _optimizer(learn)
    facts["batch size"] = str(getattr(learn.dls.train, "bs", "unknown"))
    facts["precision"] = learn.precision.kind
    return facts


def _marks(valid: Any, root: Any) -> str | None:
    """Return the marks of the files of a validation set; None if its items are no files."""
    n = _length(valid) or 0
    if not isinstance(valid, Datasets) or n > MOST:
        return None
    files = [file_of(valid, i) for i in range(n)]
    named = [file for file in files if file is not None]
    return to_text(named, root) if len(named) == n else None


def _optimizer(learn: "Learner") -> str:
    if learn.opt is not None:
        return type(learn.opt).__name__
    return name_of(learn.opt_func)


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None
