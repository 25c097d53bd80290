"""How well `find_label_errors` finds labels that were changed, where it is known which they are.

    python benchmarks/label_errors.py PICTURES WEIGHTS.pth [--way folds|pass] [--seeds N] [--size S]
    python benchmarks/label_errors.py --memory

PICTURES holds train/<class> and val/<class>; WEIGHTS is a MobileNetV2 in torchvision's layout. The
labels of 10 % of all pictures are replaced by another class, drawn at random; then they are judged
    folds  all training pictures, by five models that never saw them, one epoch of the head each;
    pass   the validation pictures, by one model of one epoch, trained on wrong labels as well.
The body is frozen, its norms with it: what it knows of ImageNet is to be judged, not a recipe.
A line of JSON for each seed: the area under the precision-recall curve of the scores of all
pictures, and precision and recall of the list. `--memory` judges 50,000 labels of 1,000 classes and
prints the seconds and the peak of memory.
"""

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from presize.callbacks.base import Callback

warnings.filterwarnings("ignore")


def hub_with(weights: Path) -> None:
    """Put the weights where torchvision looks for them."""
    checkpoints = Path(tempfile.mkdtemp()) / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name in ("mobilenet_v2-7ebf99e0.pth", "mobilenet_v2-b0353104.pth"):
        shutil.copy(weights, checkpoints / name)
    os.environ["TORCH_HOME"] = str(checkpoints.parent.parent)


def changed_labels(files: list[Path], part: float, seed: int) -> tuple[dict[Path, str], set[str]]:
    """Return a label for each file, and the files whose label is not their own."""
    draw = random.Random(seed)
    classes = sorted({f.parent.name for f in files})
    wrong = set(draw.sample(files, round(part * len(files))))
    labels = {f: f.parent.name for f in files}
    for f in sorted(wrong):
        labels[f] = draw.choice([c for c in classes if c != labels[f]])
    return labels, {str(f) for f in wrong}


def loaders(root: Path, labels: dict[Path, str], size: int) -> Any:
    """Return loaders of the pictures with these labels."""
    from presize.augment.presets import Normalize, imagenet_stats
    from presize.data.blocks import CategoryBlock, ImageBlock
    from presize.data.datablock import DataBlock
    from presize.data.items import get_image_files
    from presize.data.resize import Resize
    from presize.data.splits import GrandparentSplitter

    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=lambda file: labels[Path(file)],
        splitter=GrandparentSplitter("train", "val"),
        item_tfms=Resize(size),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
    )
    return block.dataloaders(root, bs=64, num_workers=1)


class FrozenBody(Callback):
    """Lets the body see pictures as when it is asked: norms by their own averages."""

    def before_train(self, learn: Any) -> None:
        """Leave the head alone in training mode."""
        learn.model[0].eval()


def measured(way: str, root: Path, size: int, seed: int) -> dict[str, Any]:
    """Change labels, look for them, and return how well they were found."""
    from sklearn.metrics import average_precision_score

    from presize.core.randomness import set_seed
    from presize.data.items import get_image_files
    from presize.data.loaders import DataLoaders
    from presize.folding.crossval import cross_validate
    from presize.interpret.label_errors import find_label_errors
    from presize.models.zoo import mobilenet_v2
    from presize.vision.learner import vision_learner

    set_seed(seed)
    labels, wrong = changed_labels(sorted(map(Path, get_image_files(root))), 0.1, seed)
    dls = loaders(root, labels, size)
    started = time.perf_counter()

    def make(data: DataLoaders) -> Any:
        return vision_learner(data, mobilenet_v2, train_bn=False, cbs=FrozenBody())

    def fit(learn: Any) -> None:
        with learn.no_logging():
            learn.fit_one_cycle(1, 3e-3)

    if way == "folds":
        training = DataLoaders(dls.train, None, path=dls.path, device=dls.device)
        source: Any = cross_validate(training, learner=make, fit=fit, verbose=False)
    else:
        source = make(dls)
        fit(source)
    errors = find_label_errors(source)
    is_wrong = [file in wrong for file in errors.files]
    hits = sum(e.file in wrong for e in errors)
    named = sum(e.likely == Path(e.file).parent.name for e in errors if e.file in wrong)
    return {
        "way": way,
        "seed": seed,
        "items": len(is_wrong),
        "wrong": sum(is_wrong),
        "area": round(float(average_precision_score(is_wrong, errors.scores.numpy())), 4),
        "listed": len(errors),
        "precision": round(hits / max(len(errors), 1), 4),
        "recall": round(hits / sum(is_wrong), 4),
        "named_right": round(named / max(hits, 1), 4),
        "s": round(time.perf_counter() - started, 1),
    }


def memory(n: int = 50_000, classes: int = 1_000) -> dict[str, Any]:
    """Judge made-up labels, and return seconds and memory."""
    from presize.interpret.confident_learning import confident_learning

    draws = torch.Generator().manual_seed(0)
    targets = torch.randint(classes, (n,), generator=draws)
    probabilities = torch.rand(n, classes, generator=draws)
    probabilities[torch.arange(n), targets] += 100
    probabilities /= probabilities.sum(1, keepdim=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    confident_learning(probabilities, targets)
    return {
        "items": n,
        "classes": classes,
        "s": round(time.perf_counter() - started, 2),
        "peak_mb_before": round(before / 1024),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("pictures", nargs="?", type=Path)
    parser.add_argument("weights", nargs="?", type=Path)
    parser.add_argument("--way", choices=("folds", "pass"), default="folds")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--memory", action="store_true")
    wanted = parser.parse_args()
    if wanted.memory:
        print(json.dumps(memory()))
        return
    if wanted.pictures is None or wanted.weights is None:
        parser.error("PICTURES and WEIGHTS are needed.")
    hub_with(wanted.weights)
    for seed in range(wanted.seeds):
        print(json.dumps(measured(wanted.way, wanted.pictures, wanted.size, seed)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
