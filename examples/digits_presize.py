"""Handwritten digits with presize; `digits_plain_torch.py` does the same in plain PyTorch.

    python examples/digits_presize.py [EPOCHS]

One epoch takes a few seconds on two cores.
"""

import sys

from presize import ImageDataLoaders, Resize, aug_transforms, set_seed, vision_learner
from presize.data.digits import digits_folder
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy


def main(epochs: int = 5) -> float:
    """Train, and return the accuracy on the validation set."""
    set_seed(0)
    dls = ImageDataLoaders.from_folder(
        digits_folder(),
        valid="valid",
        item_tfms=Resize(32),
        batch_tfms=aug_transforms(do_flip=False, max_lighting=0, max_warp=0.1),
    )
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    learn.fit_one_cycle(epochs, 5e-3)
    return float(learn.recorder.values[-1][2])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
