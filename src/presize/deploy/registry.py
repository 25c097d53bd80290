"""The transforms that a model file may name. What is not in this table is never built."""

from typing import Any

from presize.augment.colour import Brightness, Contrast, Hue, Saturation
from presize.augment.erase import RandomErasing
from presize.augment.fused import AffineCoordTfm
from presize.augment.geometry import Dihedral, Flip, RandomResizedCropGPU, Rotate, Warp, Zoom
from presize.augment.policies import RandAugment, TrivialAugment
from presize.augment.presets import Normalize
from presize.core.errors import ModelFileError, did_you_mean
from presize.core.transform import Transform
from presize.data.blocks import AddMaskCodes
from presize.data.crops import CropPad, RandomCrop
from presize.data.images import PILBase, PILImage, PILImageBW, PILMask
from presize.data.points import PointScaler
from presize.data.resize import RandomResizedCrop, RatioResize, Resize
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.data.vocab import (
    Categorize,
    EncodedMultiCategorize,
    MultiCategorize,
    OneHotEncode,
    RegressionSetup,
)

TRANSFORMS: dict[str, type[Transform]] = {
    kind.__name__: kind
    for kind in (
        AddMaskCodes,
        AffineCoordTfm,
        Brightness,
        Categorize,
        Contrast,
        CropPad,
        Dihedral,
        EncodedMultiCategorize,
        Flip,
        Hue,
        IntToFloatTensor,
        MultiCategorize,
        Normalize,
        OneHotEncode,
        PointScaler,
        RandAugment,
        RandomCrop,
        RandomErasing,
        RandomResizedCrop,
        RandomResizedCropGPU,
        RatioResize,
        RegressionSetup,
        Resize,
        Rotate,
        Saturation,
        ToTensor,
        TrivialAugment,
        Warp,
        Zoom,
    )
}
PICTURES: dict[str, type[PILBase]] = {k.__name__: k for k in (PILImage, PILImageBW, PILMask)}


def build_transform(name: str, arguments: dict[str, Any]) -> Transform:
    """Return the transform of this name, made with these arguments.

    Raises:
        ModelFileError: the name is not in the table, or the arguments do not fit.
    """
    kind = TRANSFORMS.get(name)
    if kind is None:
        raise ModelFileError(
            f"The model file names a transform `{name:.80}` that this presize does not know."
            f"{did_you_mean(name, TRANSFORMS)} It was written by another version, or by hand."
        )
    try:
        return kind(**arguments)
    except (TypeError, ValueError, LookupError, RuntimeError, AttributeError) as error:
        raise ModelFileError(
            f"The model file's `{name}({arguments!s:.200})` is not valid: {error}"
        ) from error


def picture_kind(name: str) -> type[PILBase]:
    """Return the kind of picture of this name.

    Raises:
        ModelFileError: the name is not known.
    """
    if name not in PICTURES:
        raise ModelFileError(
            f"The model file is for pictures of the kind `{name:.80}`, which this presize does not "
            f"know.{did_you_mean(name, PICTURES)}"
        )
    return PICTURES[name]
