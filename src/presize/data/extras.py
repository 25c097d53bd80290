"""Libraries that only some data needs, imported when it is read: webdataset, datasets, fsspec."""

import importlib
from types import ModuleType


def extra_library(name: str, *, extra: str, what: str) -> ModuleType:
    """Import a library that is no part of a plain installation.

    Args:
        name: of the module, as in `import name`.
        extra: which of presize's extras brings it.
        what: what it is needed for, the beginning of a sentence.

    Raises:
        ImportError: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as fault:
        package = name.partition(".")[0]
        raise ImportError(
            f"{what} needs the package {package}, which cannot be imported ({fault}). Install it: "
            f'`pip install "presize[{extra}]"`.'
        ) from fault
