"""Fine-tune a MobileNetV2 on pet breeds: error rate and time, the same script for two libraries.

    LIB=presize|fastai python benchmarks/finetune_pets.py PICTURES WEIGHTS.pth [SEED] [EPOCHS]

PICTURES is a folder of `breed_name_123.jpg`; WEIGHTS a MobileNetV2 in torchvision's layout.
Prints one line of JSON. presize measures first which way of computing is faster, within the time.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path as AnyPath

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
hub = AnyPath(tempfile.mkdtemp())
(hub / "hub" / "checkpoints").mkdir(parents=True)
for file in ("mobilenet_v2-7ebf99e0.pth", "mobilenet_v2-b0353104.pth"):
    shutil.copy(sys.argv[2], hub / "hub" / "checkpoints" / file)
os.environ["TORCH_HOME"] = str(hub)
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *


def backbone(*args: object, **options: object) -> nn.Module:
    """The same network in a form that fastai can cut: it does not find the end of this body."""
    from torchvision.models import mobilenet_v2 as create

    net = create(weights="DEFAULT")
    return nn.Sequential(net.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.classifier)


def main() -> None:
    """Train with the recipe of fine-tuning and print error rate and seconds."""
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    epochs = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    set_seed(seed)
    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=[
            *aug_transforms(size=224, min_scale=0.75),
            Normalize.from_stats(*imagenet_stats),
        ],
    )
    dls = pets.dataloaders(Path(sys.argv[1]), bs=32, num_workers=2)
    learn = vision_learner(dls, backbone if LIB == "fastai" else mobilenet_v2, metrics=error_rate)
    start = time.perf_counter()
    if LIB == "presize":
        learn.auto(epochs=epochs, verbose=False)  # its own time counts
    with learn.no_bar():
        learn.fine_tune(epochs)
    seconds = time.perf_counter() - start
    values = [round(float(v), 4) for v in learn.recorder.values[-1]]
    sizes = [len(dls.train_ds), len(dls.valid_ds)]
    print(
        json.dumps({"lib": LIB, "seed": seed, "values": values, "s": round(seconds, 1), "n": sizes})
    )


if __name__ == "__main__":
    main()
