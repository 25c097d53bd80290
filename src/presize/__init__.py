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
    from presize.data.applying import apply_decisions as apply_decisions
    from presize.data.applying import undo_moves as undo_moves
    from presize.data.blocks import CategoryBlock as CategoryBlock
    from presize.data.blocks import ImageBlock as ImageBlock
    from presize.data.datablock import DataBlock as DataBlock
    from presize.data.download import untar_data as untar_data
    from presize.data.folders import ImageDataLoaders as ImageDataLoaders
    from presize.data.loader import DataLoader as DataLoader
    from presize.data.loaders import DataLoaders as DataLoaders
    from presize.data.resize import Resize as Resize
    from presize.data.urls import URLs as URLs
    from presize.deploy.labelled import load_with_data as load_with_data
    from presize.deploy.load import load_learner as load_learner
    from presize.interpret.choice import load_interpretation as load_interpretation
    from presize.interpret.classification import (
        ClassificationInterpretation as ClassificationInterpretation,
    )
    from presize.interpret.heat_map import heat_maps as heat_maps
    from presize.interpret.interpretation import Interpretation as Interpretation
    from presize.interpret.label_errors import LabelErrors as LabelErrors
    from presize.interpret.label_errors import find_label_errors as find_label_errors
    from presize.interpret.multilabel import MultiLabelInterpretation as MultiLabelInterpretation
    from presize.interpret.suspects import suspects as suspects
    from presize.learner import Learner as Learner
    from presize.train.calibration import Calibration as Calibration
    from presize.vision.learner import vision_learner as vision_learner

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "Callback",
    "CategoryBlock",
    "ClassificationInterpretation",
    "DataBlock",
    "DataLoader",
    "DataLoaders",
    "ImageBlock",
    "ImageDataLoaders",
    "Interpretation",
    "LabelErrors",
    "Learner",
    "MultiLabelInterpretation",
    "PresizeError",
    "Resize",
    "URLs",
    "apply_decisions",
    "aug_transforms",
    "find_label_errors",
    "heat_maps",
    "load_interpretation",
    "load_learner",
    "load_with_data",
    "set_seed",
    "suspects",
    "undo_moves",
    "untar_data",
    "vision_learner",
]

_HOMES = {
    "Calibration": "presize.train.calibration",
    "Callback": "presize.callbacks.base",
    "CategoryBlock": "presize.data.blocks",
    "ClassificationInterpretation": "presize.interpret.classification",
    "DataBlock": "presize.data.datablock",
    "DataLoader": "presize.data.loader",
    "DataLoaders": "presize.data.loaders",
    "ImageBlock": "presize.data.blocks",
    "ImageDataLoaders": "presize.data.folders",
    "Interpretation": "presize.interpret.interpretation",
    "LabelErrors": "presize.interpret.label_errors",
    "Learner": "presize.learner",
    "MultiLabelInterpretation": "presize.interpret.multilabel",
    "PresizeError": "presize.core.errors",
    "Resize": "presize.data.resize",
    "URLs": "presize.data.urls",
    "apply_decisions": "presize.data.applying",
    "aug_transforms": "presize.augment.presets",
    "find_label_errors": "presize.interpret.label_errors",
    "heat_maps": "presize.interpret.heat_map",
    "load_interpretation": "presize.interpret.choice",
    "load_learner": "presize.deploy.load",
    "load_with_data": "presize.deploy.labelled",
    "set_seed": "presize.core.randomness",
    "suspects": "presize.interpret.suspects",
    "undo_moves": "presize.data.applying",
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
