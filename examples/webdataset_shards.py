"""Pictures in tar shards: written with webdataset, read with presize.

    python examples/webdataset_shards.py [EPOCHS]

The shards here are files in a folder. URLs in their place, such as `s3://...`, change nothing else,
but that the classes have to be given: `Shards(..., classes=[...])`.
"""

import sys
import tempfile
from pathlib import Path

import webdataset

from presize import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    Resize,
    aug_transforms,
    set_seed,
    vision_learner,
)
from presize.data.digits import digits_folder
from presize.data.items import get_image_files
from presize.data.stream.shardlist import shard_sizes
from presize.data.stream.shardsource import Shards
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy


def write_shards(part: str, folder: Path) -> None:
    """Write the pictures of one part of the digits into shards of 200."""
    # Mixed, because shards are read side by side but each from its start to its end.
    files = get_image_files(digits_folder() / part).shuffle()
    with webdataset.ShardWriter(f"{folder}/{part}-%03d.tar", maxcount=200, verbose=0) as shards:
        for number, file in enumerate(files):
            sample = {"png": file.read_bytes(), "cls": int(file.parent.name)}
            shards.write({"__key__": f"{number:05d}"} | sample)


def main(epochs: int = 5) -> float:
    """Train, and return the accuracy on the validation set."""
    set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "valid"):
            write_shards(part, Path(folder))
        shard_sizes(f"{folder}/*.tar", write=True)
        digits = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            item_tfms=Resize(32),
            batch_tfms=aug_transforms(do_flip=False, max_lighting=0, max_warp=0.1),
        )
        dls = digits.dataloaders(Shards(f"{folder}/train-*.tar", f"{folder}/valid-*.tar"))
        learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
        learn.fit_one_cycle(epochs, 5e-3)
        return float(learn.recorder.values[-1][2])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
