from typing import Any

import pytest
import torch
from torch import Tensor

from presize.augment.colour import Brightness, Contrast, Hue, Saturation
from presize.augment.geometry import Flip, RandomResizedCropGPU, Rotate, Zoom
from presize.augment.normalize import Normalize, imagenet_stats
from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.core.randomness import sample_context
from presize.core.transform import Transform
from presize.data.tensorise import IntToFloatTensor
from presize.render.transform import Fused, PixelTransform
from presize.tensors import TensorImage, TensorMask, TensorPoint

CHAINS: list[list[Transform]] = [
    [IntToFloatTensor(), Flip(p=1.0)],
    [IntToFloatTensor(), RandomResizedCropGPU(24, min_scale=0.5), Brightness(p=1.0)],
    [IntToFloatTensor(), Rotate(p=1.0, size=24), Contrast(p=1.0), Normalize(*imagenet_stats)],
    [IntToFloatTensor(), Rotate(p=1.0), Saturation(p=1.0), Normalize(*imagenet_stats)],
    [IntToFloatTensor(), Flip(p=1.0), Hue(p=1.0), Contrast(p=1.0), Normalize(*imagenet_stats)],
    [IntToFloatTensor(), Normalize(*imagenet_stats)],
]


def smooth(n: int = 3, hw: tuple[int, int] = (48, 48)) -> Tensor:
    small = torch.rand(n, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    big = torch.nn.functional.interpolate(small, hw, mode="bicubic", align_corners=False)
    return (big.clamp(0, 1) * 255).round().to(torch.uint8)


def apart(pipeline: Pipeline, x: Any) -> Any:
    for f in pipeline:
        x = f(x, split_idx=0)
    return x


@pytest.mark.parametrize("chain", CHAINS, ids=lambda c: "+".join(f.name for f in c))
def test_a_batch_of_bytes_becomes_what_the_transforms_make_one_by_one(
    chain: list[Transform],
) -> None:
    pipeline = Pipeline(chain)
    assert [type(f) for f in pipeline.fused()] == [Fused]
    mask = TensorMask(torch.arange(3 * 48 * 48).reshape(3, 48, 48).to(torch.uint8) % 5)
    batch = (TensorImage(smooth()), mask, TensorPoint(torch.rand(3, 4, 2)))
    with sample_context(1, 2, [3, 4, 5]):
        image, numbers, points = pipeline(batch, split_idx=0)
        image_apart, numbers_apart, points_apart = apart(pipeline, batch)
    assert (type(image), type(numbers)) == (TensorImage, TensorMask)
    inside = (..., slice(6, -6), slice(6, -6))
    difference = (image.as_subclass(Tensor) - image_apart.as_subclass(Tensor))[inside].abs()
    # Reading rounds to whole levels, and saturation makes one next to black or white up to four.
    assert difference.max() < (0.1 if any(isinstance(f, Saturation) for f in chain) else 0.03)
    assert difference.mean() < 0.01
    assert torch.equal(numbers, numbers_apart)
    torch.testing.assert_close(points.as_subclass(Tensor), points_apart.as_subclass(Tensor))


def test_bytes_on_the_cpu_and_floats_read_the_same() -> None:
    pipeline = Pipeline([IntToFloatTensor(), Rotate(p=1.0), Zoom(p=1.0), Contrast(p=1.0)])
    for x in (smooth(), smooth(2, (40, 64))):
        with sample_context(0, 0, list(range(len(x)))):
            bytes_, floats = (pipeline(TensorImage(v)) for v in (x, x.float() / 255))
        # One rounding to whole levels, made larger by contrast 1.25 at most.
        difference = (bytes_.as_subclass(Tensor) - floats.as_subclass(Tensor)).abs()
        assert difference.max() < 0.004


class Halve(Transform):
    order = 35

    def encodes(self, x: TensorImage) -> Tensor:
        return x / 2


def test_a_users_transform_keeps_its_place_between() -> None:
    pipeline = Pipeline([IntToFloatTensor(), Flip(p=1.0), Halve(), Contrast(draw=1.0, p=1.0)])
    x = TensorImage(smooth(1))
    expected = x.as_subclass(Tensor).flip(-1) / 510
    torch.testing.assert_close(pipeline(x, split_idx=0).as_subclass(Tensor), expected)


def test_what_is_missing_is_said() -> None:
    class Nothing(PixelTransform):
        pass

    with pytest.raises(NotImplementedError, match="Nothing has no `extend`"):
        Fused([Nothing(), Nothing()])(TensorImage(smooth()))
    with pytest.raises(DataError, match="statistics of 3 channels, but these pictures have 1"):
        Pipeline([IntToFloatTensor(), Normalize(*imagenet_stats)])(TensorImage(smooth()[:, :1]))
    with pytest.raises(TypeError, match="Normalize takes floats"):
        Pipeline([Flip(p=1.0), Normalize(*imagenet_stats)])(TensorImage(smooth()))
    assert Fused([Flip(), Contrast()]).name == "Flip + Contrast"
    assert Pipeline([Flip(), Rotate()])("a text") == "a text"
