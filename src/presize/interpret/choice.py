"""The interpretation that fits the targets: of classes, of labels, or of losses alone."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from presize.core.errors import ModelFileError
from presize.interpret.classification import ClassificationInterpretation
from presize.interpret.interpretation import Interpretation
from presize.interpret.multilabel import MultiLabelInterpretation
from presize.interpret.saved import made, read

if TYPE_CHECKING:
    from presize.learner import Learner

_BY_TASK: dict[str | None, type[Interpretation]] = {
    "classification": ClassificationInterpretation,
    "multilabel": MultiLabelInterpretation,
}
_BY_KIND: dict[str, type[Interpretation]] = {
    made_of.kind: made_of
    for made_of in (ClassificationInterpretation, MultiLabelInterpretation, Interpretation)
}


def interpret(
    learn: "Learner",
    ds_idx: int = 1,
    dl: Any = None,
    act: Callable[[Any], Any] | None = None,
) -> Interpretation:
    """Ask a learner about every item of a loader, in the way that fits its targets.

    Args:
        ds_idx: which loader of the data, if `dl` is not given.
        dl: any loader with targets.
        act: what is applied to the model's output; None takes the activation of the loss.

    Returns:
        A `ClassificationInterpretation` for one class, a `MultiLabelInterpretation` for several
        labels an item, else an `Interpretation`, which knows the losses.

    Raises:
        DataError: there is nothing to interpret, or there are no targets.
    """
    kind = _BY_TASK.get(getattr(learn.dls, "task", None), Interpretation)
    return kind.from_learner(learn, ds_idx, dl, act)


def load_interpretation(
    path: str | os.PathLike[str], learn: "Learner | None" = None, *, dl: Any = None
) -> Interpretation:
    """Read what the `save` of any interpretation wrote.

    Args:
        path: the file.
        learn: the learner that was asked; see `Interpretation.load`.
        dl: the loader that was asked about, where it was none of the learner's own.

    Raises:
        FileNotFoundError: there is no such file; near names are shown.
        ModelFileError: the file is broken, or holds something else.
        DataError: the learner's data is not what the answers were about.
    """
    tensors, meta = read(path)
    kind = _BY_KIND.get(meta["of"])
    if kind is None:
        raise ModelFileError(f"{path} holds {meta['of']!r}, which this presize does not know.")
    return made(kind, tensors, meta, path, learn, dl)
