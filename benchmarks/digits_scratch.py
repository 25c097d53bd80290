"""A resnet18 from scratch on 3s and 7s, one epoch of one-cycle: accuracy and seconds.

    LIB=presize|fastai python benchmarks/digits_scratch.py MNIST_SAMPLE_FOLDER [SEED] [RATE]

The same script for two libraries. Prints one line of JSON.
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
    """Train one epoch and print accuracy and seconds."""
    set_seed(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    dls = ImageDataLoaders.from_folder(Path(sys.argv[1]), num_workers=2)
    learn = vision_learner(
        dls, resnet18, pretrained=False, loss_func=F.cross_entropy, metrics=accuracy
    )
    start = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, float(sys.argv[3]) if len(sys.argv) > 3 else 0.1)
    seconds = time.perf_counter() - start
    result = {"lib": LIB, "accuracy": round(float(learn.recorder.values[-1][2]), 4)}
    print(json.dumps(result | {"s": round(seconds, 1)}))


if __name__ == "__main__":
    main()
