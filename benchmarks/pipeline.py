"""Pictures a second through the input pipeline: files -> presize 460 -> augmented 224, no model.

    LIB=presize|fastai python benchmarks/pipeline.py FOLDER [WORKERS] [PASSES]

FOLDER holds photos named `label_123.jpg`. The same script for two libraries. Prints one line of
JSON.
"""

import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *


def main() -> None:
    """Walk through the training loader and print the rate of each pass."""
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    passes = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=aug_transforms(size=224, min_scale=0.75),
    ).dataloaders(Path(sys.argv[1]), bs=64, num_workers=workers)
    rates = []
    for _ in range(passes):
        start, n = time.perf_counter(), 0
        for x, _y in dls.train:
            n += len(x)
        rates.append(round(n / (time.perf_counter() - start), 1))
    print(json.dumps({"lib": LIB, "workers": workers, "img_per_s": rates}))


if __name__ == "__main__":
    main()
