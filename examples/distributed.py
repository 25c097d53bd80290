"""One model, several processes: handwritten digits on two.

    torchrun --standalone --nproc-per-node 2 examples/distributed.py [EPOCHS]

Without torchrun it trains in one process, with batches that are half as large.
"""

import sys

from presize import ImageDataLoaders, Resize, aug_transforms, set_seed, vision_learner
from presize.core.ranks import is_main
from presize.data.digits import digits_folder
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy


def main(epochs: int = 5) -> float:
    """Train, and return the accuracy on the validation set, which all processes know."""
    set_seed(0)
    dls = ImageDataLoaders.from_folder(
        digits_folder(),
        valid="valid",
        item_tfms=Resize(32),
        batch_tfms=aug_transforms(do_flip=False, max_lighting=0, max_warp=0.1),
        bs=32,  # of each process
    )
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    with learn.distrib_ctx():
        learn.fit_one_cycle(epochs, 5e-3)
    reached = float(learn.recorder.values[-1][2])
    if is_main():
        print(f"{reached:.2%} of {len(dls.valid_ds)} digits are read correctly.")
    return reached


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
