"""What averaging before or while reading pixels is worth, where a picture shrinks: PSNR in dB.

    python benchmarks/antialias.py [PHOTO.jpg ...] [--shrink 1.1 1.5 2.1 2.7 5.3]

Squares of photos, by default the two samples of scikit-learn, are made smaller by each factor, and
compared with the exact mean of the area that each pixel covers. Prints a line of JSON for each
factor, means over the photos:

    sample_one, sample     `core.sampling.sample` (batches): one reading a pixel, and its rule
    warp_one, warp         `render.warp.warp` (single pictures, bytes): the same
    warp_1.2               the same, blocks averaged so that a factor of 1.2 is left to the reading
"""

import argparse
import json
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from presize.core.homography import resize, to_pixels
from presize.core.sampling import sample
from presize.render import warp as single

Pixels = np.ndarray  # float64 [h,w,3], 0 to 255


def exact(photo: Pixels, size: int) -> Pixels:
    """Return the mean of the area that each pixel of the smaller square covers."""
    bands = [Image.fromarray(photo[..., c].astype(np.float32)) for c in range(3)]
    made = [band.resize((size, size), Image.Resampling.BOX) for band in bands]
    return np.stack([np.asarray(band, np.float64) for band in made], -1)


def by_sample(photo: Pixels, size: int, *, antialias: bool) -> Pixels:
    """Return the smaller square as `sample` makes it."""
    x = torch.from_numpy(photo).permute(2, 0, 1)[None]
    maps = resize(1, photo.shape[:2], (size, size))
    return sample(x, maps, (size, size), antialias=antialias)[0].permute(1, 2, 0).numpy()


def by_warp(photo: Pixels, size: int, *, antialias: bool, left: float | None = None) -> Pixels:
    """Return the smaller square as `warp` makes it; `left`: what averaging leaves to reading."""
    hw = photo.shape[:2]
    matrix = to_pixels(resize(1, hw, (size, size)), hw, (size, size))[0]
    unshrunk = {"_shrunk": lambda pixels, matrix, size: (pixels, matrix)}
    chosen = {} if antialias else unshrunk
    with patch.multiple(single, **chosen, BLOCK_LEAVES=left or single.BLOCK_LEAVES):
        return single.warp(photo.astype(np.uint8), matrix, (size, size)).astype(np.float64)


WAYS: dict[str, Callable[[Pixels, int], Pixels]] = {
    "sample_one": lambda photo, size: by_sample(photo, size, antialias=False),
    "sample": lambda photo, size: by_sample(photo, size, antialias=True),
    "warp_one": lambda photo, size: by_warp(photo, size, antialias=False),
    "warp": lambda photo, size: by_warp(photo, size, antialias=True),
    "warp_1.2": lambda photo, size: by_warp(photo, size, antialias=True, left=1.2),
}


def decibels(a: Pixels, b: Pixels) -> float:
    """Return the PSNR of two pictures."""
    return float(10 * np.log10(255**2 / max(((a - b) ** 2).mean(), 1e-6)))


def main() -> None:
    """Print a line for each factor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*")
    parser.add_argument("--shrink", nargs="+", type=float, default=[1.1, 1.5, 2.1, 2.7, 5.3])
    given = parser.parse_args()
    read = [np.asarray(Image.open(photo).convert("RGB")) for photo in given.photos]
    photos = [photo.astype(np.float64) for photo in read or load_sample_images().images]
    for factor in given.shrink:
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        for photo in photos:
            size = int(min(photo.shape[:2]) / factor)
            side = round(size * factor)
            square = photo[:side, :side]
            want = exact(square, size)
            for name, way in WAYS.items():
                found[name].append(decibels(way(square, size), want))
        means = {name: round(float(np.mean(values)), 1) for name, values in found.items()}
        print(json.dumps({"shrink": factor, "photos": len(photos), **means}))


if __name__ == "__main__":
    main()
