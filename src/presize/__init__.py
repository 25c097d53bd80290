"""Train image classifiers: few lines of code, a fast input pipeline, files that never unpickle.

In a notebook `from presize.vision.all import *` brings every name. A program imports the few it
needs from here, or from the module that is their home. Nothing is imported before it is asked
for: `import presize` alone loads no PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from presize.augment.presets import aug_transforms as aug_transforms
    from presize.callbacks.base import Callback as Callback
    from presize.core.errors import PresizeError as PresizeError
    from presize.core.randomness import set_seed as set_seed
    from presize.data.blocks import CategoryBlock as CategoryBlock
    from presize.data.blocks import ImageBlock as ImageBlock
    from presize.data.datablock import DataBlock as DataBlock
    from presize.data.download import untar_data as untar_data
    from presize.data.folders import ImageDataLoaders as ImageDataLoaders
    from presize.data.loader import DataLoader as DataLoader
    from presize.data.loaders import DataLoaders as DataLoaders
    from presize.data.resize import Resize as Resize
    from presize.data.urls import URLs as URLs
    from presize.deploy.load import load_learner as load_learner
    from presize.interpret.classification import (
        ClassificationInterpretation as ClassificationInterpretation,
    )
    from presize.learner import Learner as Learner
    from presize.vision.learner import vision_learner as vision_learner

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "CategoryBlock",
    "ClassificationInterpretation",
    "DataBlock",
    "DataLoader",
    "DataLoaders",
    "ImageBlock",
    "ImageDataLoaders",
    "Learner",
    "PresizeError",
    "Resize",
    "URLs",
    "aug_transforms",
    "load_learner",
    "set_seed",
    "untar_data",
    "vision_learner",
]

_HOMES = {
    "Callback": "presize.callbacks.base",
    "CategoryBlock": "presize.data.blocks",
    "ClassificationInterpretation": "presize.interpret.classification",
    "DataBlock": "presize.data.datablock",
    "DataLoader": "presize.data.loader",
    "DataLoaders": "presize.data.loaders",
    "ImageBlock": "presize.data.blocks",
    "ImageDataLoaders": "presize.data.folders",
    "Learner": "presize.learner",
    "PresizeError": "presize.core.errors",
    "Resize": "presize.data.resize",
    "URLs": "presize.data.urls",
    "aug_transforms": "presize.augment.presets",
    "load_learner": "presize.deploy.load",
    "set_seed": "presize.core.randomness",
    "untar_data": "presize.data.download",
    "vision_learner": "presize.vision.learner",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        from presize.core.errors import did_you_mean

        raise AttributeError(
            f"presize has no name {name!r}.{did_you_mean(name, __all__)} "
            "All names of a notebook are in presize.vision.all."
        )
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value  # so that the next use is a plain look-up
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
