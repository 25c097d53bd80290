"""The errors that presize raises, and the near miss that they suggest."""

import difflib
from collections.abc import Iterable
from pathlib import Path as _Path


class PresizeError(Exception):
    """Anything that presize raises on purpose; each child is also the builtin one expects."""


class DataError(PresizeError, ValueError):
    """The data, or the description of it, does not fit: folders, labels, splits, shapes."""


class ImageError(DataError):
    """A picture that cannot be read; `path` is the file, or None for bytes in memory."""

    def __init__(self, message: str, path: _Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class PixelLimitError(ImageError):
    """A picture with more pixels than are allowed; told from its header, before it is decoded."""


class DownloadError(PresizeError, OSError):
    """An archive that could not be fetched, checked or unpacked."""


class WeightsError(PresizeError, OSError):
    """Pretrained weights that could not be found, fetched or matched to the model."""


class ModelFileError(PresizeError, ValueError):
    """A model file or checkpoint that is broken, foreign or unsafe."""


class HubError(PresizeError, OSError):
    """A repository of models that cannot be reached, read or written."""


class TrainingError(PresizeError, RuntimeError):
    """Training cannot start or go on: loss, targets, rates, devices."""


class ExportError(PresizeError, RuntimeError):
    """A model that cannot be exported, or whose export does not answer as it does."""


def did_you_mean(name: object, options: Iterable[object], *, n: int = 3) -> str:
    """Return " Did you mean `x`?" for the `options` nearest to `name`, or "" if none is near."""
    known = {str(o).lower(): str(o) for o in options}
    near = difflib.get_close_matches(str(name).lower(), known, n=n, cutoff=0.6)
    if not near:
        return ""
    return " Did you mean " + " or ".join(f"`{known[key]}`" for key in near) + "?"
