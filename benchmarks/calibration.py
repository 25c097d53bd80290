"""How sure models are before and after `learn.calibrate`, on pictures that nobody has seen.

    python benchmarks/calibration.py PICTURES WEIGHTS.pth STRANGERS... [--seeds N] [--size S]

PICTURES holds train/<class> and val/<class>; WEIGHTS is a MobileNetV2 in torchvision's layout.
A head is trained on a fifth of the training pictures, for so long that it is too sure, the
temperature and the threshold are fitted to half of the others, and the figures are those of the
rest and of val. Each folder in STRANGERS holds pictures of none of the classes: the part of them
that is called "none of these" with a coverage of 0.95, by confidence and by features.
Prints a line of JSON for each seed.
"""

import argparse
import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

from label_errors import FrozenBody, hub_with
from torch import Tensor

warnings.filterwarnings("ignore")


def trained(files: list[Path], size: int) -> Any:
    """Return a learner whose head was trained on these pictures, for too long."""
    from presize.augment.presets import Normalize, imagenet_stats
    from presize.data.blocks import CategoryBlock, ImageBlock
    from presize.data.datablock import DataBlock
    from presize.data.labels import parent_label
    from presize.data.resize import Resize
    from presize.data.splits import RandomSplitter
    from presize.models.zoo import mobilenet_v2
    from presize.vision.learner import vision_learner

    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=lambda source: source,
        get_y=parent_label,
        splitter=RandomSplitter(0.05, seed=0),
        item_tfms=Resize(size),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
    )
    dls = block.dataloaders(files, bs=32, num_workers=1)
    learn = vision_learner(dls, mobilenet_v2, train_bn=False, ps=0, cbs=FrozenBody())
    with learn.no_logging():
        learn.fit_one_cycle(6, 3e-3)
    return learn


def measured(root: Path, strangers: list[Path], size: int, seed: int) -> dict[str, Any]:
    """Train, calibrate, and return the figures of pictures that nobody has seen."""
    from presize.core.foundation import noop
    from presize.core.randomness import set_seed
    from presize.data.items import get_image_files
    from presize.train.calibration_error import ProbabilityFigures

    set_seed(seed)
    files = sorted(map(Path, get_image_files(root / "train")))
    random.Random(seed).shuffle(files)
    part = len(files) // 5
    learn = trained(files[:part], size)
    fitted_to, rest = files[part : 3 * part], files[3 * part :]
    dls = learn.dls
    held_out = dls.test_dl(fitted_to, with_labels=True)
    fresh = dls.test_dl([*rest, *get_image_files(root / "val")], with_labels=True)
    raw, targets = learn.get_preds(dl=fresh, act=noop)
    targets = targets.as_subclass(Tensor)
    before = ProbabilityFigures.of(raw.softmax(1), targets)
    line: dict[str, Any] = {"seed": seed, "trained": part, "fitted_to": len(fitted_to)}
    others = {place.name: list(get_image_files(place))[:300] for place in strangers}
    for unknown in ("confidence", "features"):
        found = learn.calibrate(held_out, unknown=unknown, coverage=0.95)
        preds, _, is_unknown = learn.get_preds(dl=fresh, with_unknown=True)
        after = ProbabilityFigures.of(preds, targets)
        refused = {
            name: round(float(told.float().mean()), 3)
            for name, pictures in others.items()
            for told in (learn.get_preds(dl=dls.test_dl(pictures), with_unknown=True)[2],)
        }
        line[unknown] = {"known": round(1 - float(is_unknown.float().mean()), 3)} | refused
    line["temperature"] = round(found.temperature, 3)
    line["accuracy"] = round(float((raw.argmax(1) == targets).float().mean()), 4)
    for name in ("ece", "brier", "nll"):
        line[name] = [round(getattr(figures, name), 4) for figures in (before, after)]
    return line


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("strangers", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=160)
    wanted = parser.parse_args()
    hub_with(wanted.weights)
    for seed in range(wanted.seeds):
        line = measured(wanted.pictures, wanted.strangers, wanted.size, seed)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
