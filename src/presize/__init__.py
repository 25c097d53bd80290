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
    from presize.deploy.exporting.onnx import export_onnx as export_onnx
    from presize.deploy.exporting.program import export_program as export_program
    from presize.deploy.hub import from_hub as from_hub
    from presize.deploy.hub import push_to_hub as push_to_hub
    from presize.deploy.inspection import inspect_file as inspect_file
    from presize.deploy.labelled import load_with_data as load_with_data
    from presize.deploy.load import load_learner as load_learner
    from presize.deploy.prediction import Prediction as Prediction
    from presize.deploy.predictor import Predictor as Predictor
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
    "Prediction",
    "Predictor",
    "PresizeError",
    "Resize",
    "URLs",
    "apply_decisions",
    "aug_transforms",
    "export_onnx",
    "export_program",
    "find_label_errors",
    "from_hub",
    "heat_maps",
    "inspect_file",
    "load_interpretation",
    "load_learner",
    "load_with_data",
    "push_to_hub",
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
    "Prediction": "presize.deploy.prediction",
    "Predictor": "presize.deploy.predictor",
    "PresizeError": "presize.core.errors",
    "Resize": "presize.data.resize",
    "URLs": "presize.data.urls",
    "apply_decisions": "presize.data.applying",
    "aug_transforms": "presize.augment.presets",
    "export_onnx": "presize.deploy.exporting.onnx",
    "export_program": "presize.deploy.exporting.program",
    "find_label_errors": "presize.interpret.label_errors",
    "from_hub": "presize.deploy.hub",
    "heat_maps": "presize.interpret.heat_map",
    "inspect_file": "presize.deploy.inspection",
    "load_interpretation": "presize.interpret.choice",
    "load_learner": "presize.deploy.load",
    "load_with_data": "presize.deploy.labelled",
    "push_to_hub": "presize.deploy.hub",
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
