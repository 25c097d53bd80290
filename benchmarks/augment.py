"""The augmentation of a batch alone, on the CPU: bytes of 460 px in, floats of 224 px out.

    LIB=presize|fastai python benchmarks/augment.py [--runs 9] [--batch 64] [--threads N]

`aug_transforms(size=224, min_scale=0.75)` on 64 random pictures that are one batch already. The
same script for two libraries. Prints one line of JSON: the median of the runs, after two that are
not counted, and their range, in milliseconds a batch.
"""

import argparse
import json
import os
import statistics
import time
import warnings

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *

UNCOUNTED = 2


def main() -> None:
    """Augment the same batch again and again, each time with other draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, help="of PyTorch; by default as it chooses")
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    set_seed(0)
    tfms = setup_aug_tfms(aug_transforms(size=224, min_scale=0.75))
    pipe = Pipeline([IntToFloatTensor(), *tfms], split_idx=0)
    pixels = torch.randint(0, 256, (given.batch, 3, 460, 460), dtype=torch.uint8)
    labels = torch.zeros(given.batch, dtype=torch.long)
    times = []
    for _ in range(given.runs + UNCOUNTED):
        batch = (TensorImage(pixels.clone()), TensorCategory(labels))
        start = time.perf_counter()
        made, _ = pipe(batch)
        times.append((time.perf_counter() - start) * 1e3)
    assert made.shape == (given.batch, 3, 224, 224)
    counted = sorted(times[UNCOUNTED:])
    result = {"lib": LIB, "augment_ms": round(statistics.median(counted), 1)}
    spread = f"{counted[0]:.1f}-{counted[-1]:.1f}"
    print(json.dumps(result | {"range": spread, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
