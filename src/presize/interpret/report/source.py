"""What the sections of a report are made from: the learner, its record, its answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from presize.core.errors import PresizeError
from presize.data.warned import warn_user
from presize.interpret.report.parts import Album, Shown

if TYPE_CHECKING:
    from presize.interpret.label_errors import LabelErrors
    from presize.learner import Learner
    from presize.train.training_record import TrainingRecord


@dataclass
class Source:
    """Everything that a report tells of; what takes long is made when a section asks for it.

    Args:
        learn: the learner.
        k: how many pictures a section shows at most.
        label_errors: look for wrong labels.
        heat_maps: show what the model looked at.
        check: look for broken and doubled pictures.
        command: what repeats the run; None takes what is known of it.
    """

    learn: "Learner"
    k: int = 12
    label_errors: bool = True
    heat_maps: bool = True
    check: bool = True
    command: str | None = None
    album: Album = field(default_factory=Album)

    @cached_property
    def record(self) -> "TrainingRecord":
        """How the model came to be."""
        from presize.history import training_record

        return training_record(self.learn)

    @property
    def task(self) -> str | None:
        """What the targets are."""
        task: str | None = getattr(self.learn.dls, "task", None)
        return task

    @cached_property
    def _asked(self) -> tuple[Any, str]:
        from presize.interpret.choice import interpret

        if getattr(self.learn.dls, "valid", None) is None:
            return None, "There is no validation set: nothing tells how well the model does."
        try:
            return interpret(self.learn), ""
        except PresizeError as error:
            return None, str(error)
        except Exception as error:  # the model is the user's own
            what = f"{type(error).__name__}: {error}"
            warn_user(f"The report tells nothing of how well the model does. {what}")
            return None, f"The model could not be asked. {what}"

    @property
    def interp(self) -> Any:
        """The model's answers about the validation set; None where there are none."""
        return self._asked[0]

    @property
    def why_no_answers(self) -> str:
        """Why there are none."""
        return self._asked[1]

    @property
    def sure(self) -> bool:
        """Whether it is known how sure the model is of its answers."""
        return self.task == "classification" and bool(self.interp.probable)

    @cached_property
    def names(self) -> list[str]:
        """The names of the classes."""
        return [str(name) for name in self.interp.vocab or ()]

    @cached_property
    def row_of(self) -> Mapping[int, int]:
        """The row of each item of the validation set, by its index in the data set."""
        return {index: row for row, index in enumerate(self.interp.indices.tolist())}

    @cached_property
    def suspects(self) -> "LabelErrors":
        """Labels of the validation set that are probably wrong."""
        from presize.interpret.label_errors import find_label_errors

        return find_label_errors(self.learn)

    def picture(self, row: int) -> Shown | None:
        """Return the picture of a row of the answers; None if it cannot be read any more."""
        try:
            picture = self.interp.picture(row)
        except (PresizeError, OSError):
            return None
        return self.album.add(picture, f"Picture {self.file(row)}")

    def file(self, row: int) -> str:
        """Return the name of the file of a row, below the folder of the data."""
        return self.short(self.interp.files[row])

    def short(self, name: str) -> str:
        """Return the name of a file, below the folder of the data if it is in there."""
        root = str(getattr(self.learn.dls, "path", "."))
        return name.removeprefix(os.path.join(root, ""))  # noqa: PTH118 - with the slash
