"""Pictures a second through the input pipeline: files -> presize 460 -> augmented 224, no model.

    LIB=presize|fastai python benchmarks/pipeline.py FOLDER [--workers 2] [--passes 3]

FOLDER holds photos named `label_123.jpg` (`make_photos.py` writes some). The same script for two
libraries; `--cache` (auto, ram, disk, off) is for presize alone. Prints one line of JSON: the
seconds until the loaders stand, and the rate of each pass. The first pass reads and decodes every
picture, as the cache is empty at the start; with one, later passes do not.
"""

import argparse
import json
import os
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *


def main() -> None:
    """Print the rate of each pass through the training loader."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--cache", choices=("auto", "ram", "disk", "off"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["PRESIZE_HOME"] = home  # where a cache would be found again
        print(
            json.dumps({"lib": LIB, "workers": given.workers, "cache": given.cache} | walk(given))
        )


def walk(given: argparse.Namespace) -> dict[str, object]:
    """Return the seconds until the loaders stand, and the pictures a second of each pass."""
    options = {"bs": given.batch, "num_workers": given.workers}
    if given.cache is not None and LIB == "presize":
        options["cache"] = False if given.cache == "off" else given.cache
    start = time.perf_counter()
    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=aug_transforms(size=224, min_scale=0.75),
    ).dataloaders(given.folder, **options)
    setup = time.perf_counter() - start
    rates = []
    for _ in range(given.passes):
        start, n = time.perf_counter(), 0
        for x, _y in dls.train:
            n += len(x)
        rates.append(round(n / (time.perf_counter() - start), 1))
    return {"setup_s": round(setup, 3), "img_per_s": rates}


if __name__ == "__main__":
    main()
