"""Photos to measure with: cuts of the two sample photos of scikit-learn, each one different.

    python benchmarks/make_photos.py FOLDER [--count 512] [--long-side 500] [--quality 90]

Writes JPEGs named `breed_123.jpg`, of aspects from 2:3 to 3:2, with noise, so that they take as
long to decode as photos do. The same call writes the same pictures.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images

BREEDS = (
    "Abyssinian",
    "Bombay",
    "Maine_Coon",
    "Sphynx",
    "american_pit_bull_terrier",
    "great_pyrenees",
    "pug",
    "wheaten_terrier",
)
NOISE = 6.0  # standard deviation, of 255


def photo(source: Image.Image, long_side: int, rng: np.random.Generator) -> Image.Image:
    """Return a drawn cut of a photo, at a drawn aspect and colourfulness, with noise."""
    aspect = float(np.exp(rng.uniform(-np.log(1.5), np.log(1.5))))
    width, height = (long_side * min(1.0, v) for v in (aspect, 1 / aspect))
    share = rng.uniform(0.5, 0.9) * min(source.width / width, source.height / height)
    left = rng.uniform(0, source.width - share * width)
    top = rng.uniform(0, source.height - share * height)
    box = (left, top, left + share * width, top + share * height)
    cut = source.resize((round(width), round(height)), Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(ImageEnhance.Color(cut).enhance(rng.uniform(0.3, 1.7)), np.float32)
    noisy = pixels + rng.standard_normal(pixels.shape, dtype=np.float32) * NOISE
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def main() -> None:
    """Write the photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--long-side", type=int, default=500, help="pixels")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEGs, 1 to 95")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    sources = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for i in range(given.count):
        rng = np.random.default_rng(i)
        made = photo(sources[i % len(sources)], given.long_side, rng)
        made.save(given.folder / f"{BREEDS[i % len(BREEDS)]}_{i}.jpg", quality=given.quality)


if __name__ == "__main__":
    main()
