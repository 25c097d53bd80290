"""What only a GPU can show: the same pictures, and no step that waits for it."""

import pytest
import torch
from torch import Tensor

from presize.augment.normalize import Normalize, imagenet_stats
from presize.augment.presets import aug_transforms
from presize.core.pipeline import Pipeline
from presize.core.randomness import sample_context
from presize.data.tensorise import IntToFloatTensor
from presize.tensors import TensorImage

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def pipeline() -> Pipeline:
    tfms = aug_transforms(size=64, min_scale=0.75)
    return Pipeline([IntToFloatTensor(), *tfms, Normalize(*imagenet_stats)], split_idx=0)


def batch() -> TensorImage:
    small = torch.rand(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    big = torch.nn.functional.interpolate(small, (120, 120), mode="bicubic").clamp(0, 1)
    return TensorImage((big * 255).round().to(torch.uint8))


def test_both_devices_make_the_same_of_the_same_draws() -> None:
    pipe, x = pipeline(), batch()
    with sample_context(0, 1, range(8)):
        here = pipe(x).as_subclass(Tensor)
        there = pipe(TensorImage(x.as_subclass(Tensor).cuda())).as_subclass(Tensor)
    assert there.is_cuda
    # The CPU rounds to whole levels after reading, and the table of light is made in float64.
    assert (here - there.cpu()).abs().mul(0.226).max() < 0.01


def test_no_step_waits_for_the_gpu() -> None:
    pipe, x = pipeline(), TensorImage(batch().as_subclass(Tensor).cuda())
    pipe(x)  # the first call may set things up
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pipe(x)
    finally:
        torch.cuda.set_sync_debug_mode("default")
