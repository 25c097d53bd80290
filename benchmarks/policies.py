"""What policies of augmentation cost on the CPU: bytes of 460 px in, floats of 224 px out.

    python benchmarks/policies.py [--runs 9] [--batch 64] [--threads N]

Each way makes standardised pictures of 224 px of a batch that is in memory already. `size` alone
only resizes; `usual` is `aug_transforms(size=224)`; `rand` and `trivial` are the policies in place
of its movements and light, with its flip; `saturation` is `usual` and one light that mixes
channels; `torchvision` is torchvision's TrivialAugmentWide, picture by picture, after a resize.
Prints one line of JSON: for each way the median of the runs, after two that are not counted, and
their range, in milliseconds a picture.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from presize.augment.colour import Saturation
from presize.augment.normalize import Normalize, imagenet_stats
from presize.augment.policies import RandAugment, TrivialAugment
from presize.augment.presets import aug_transforms
from presize.core.pipeline import Pipeline
from presize.core.randomness import set_seed
from presize.data.tensorise import IntToFloatTensor
from presize.tensors import TensorImage

UNCOUNTED = 2
SIZE = 224
FLIP_ALONE: dict[str, Any] = {"max_rotate": 0, "max_warp": 0, "max_zoom": 1.0, "max_lighting": 0}


def ways() -> dict[str, Callable[[Tensor], Tensor]]:
    """Return what makes the pictures, by name."""
    policies = {"rand": RandAugment(), "trivial": TrivialAugment()}
    chains = {
        "size": aug_transforms(size=SIZE, do_flip=False, **FLIP_ALONE),
        "usual": aug_transforms(size=SIZE),
        **{n: aug_transforms(size=SIZE, xtra_tfms=p, **FLIP_ALONE) for n, p in policies.items()},
        "saturation": aug_transforms(size=SIZE, xtra_tfms=Saturation()),
    }
    normalise = Normalize(*imagenet_stats)

    def ours(tfms: list[Any]) -> Callable[[Tensor], Tensor]:
        pipe = Pipeline([IntToFloatTensor(), *tfms, normalise], split_idx=0)
        return lambda pixels: pipe(TensorImage(pixels))

    theirs = v2.Compose(
        [
            v2.Resize((SIZE, SIZE)),
            v2.RandomHorizontalFlip(),
            v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*imagenet_stats),
        ]
    )
    made = {name: ours(tfms) for name, tfms in chains.items()}
    return {**made, "torchvision": lambda pixels: torch.stack([theirs(one) for one in pixels])}


def main() -> None:
    """Take the time of each way in turn, again and again, each time with other draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, help="of PyTorch; by default as it chooses")
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    set_seed(0)
    pixels = torch.randint(0, 256, (given.batch, 3, 460, 460), dtype=torch.uint8)
    made = ways()
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(given.runs + UNCOUNTED):
        for name, way in made.items():
            start = time.perf_counter()
            assert way(pixels).shape == (given.batch, 3, SIZE, SIZE)
            times[name].append((time.perf_counter() - start) * 1e3 / given.batch)
    result: dict[str, Any] = {"threads": torch.get_num_threads()}
    for name, all_of_them in times.items():
        counted = sorted(all_of_them[UNCOUNTED:])
        spread = f"{counted[0]:.2f}-{counted[-1]:.2f}"
        result[name] = {"ms": round(statistics.median(counted), 2), "range": spread}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
