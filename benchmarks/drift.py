"""How often a watch for drift gives a false alarm, and what it notices, in how many pictures.

    python benchmarks/drift.py PICTURES WEIGHTS.pth [--others FOLDER...] [--draws 1000] [--size 128]
    python benchmarks/drift.py --cost

PICTURES holds train/<class> and val/<class>; WEIGHTS is a MobileNetV2 in torchvision's layout. A
head is trained on a third of the pictures, at random. A reference is made of 200 of those and 400
others, ten times anew; then some of the rest are drawn, as they are, changed in some way, or all of
one class, and the share of the draws that is flagged is printed: a line of JSON for each kind, with
what was found most often. Each folder in --others holds pictures of something else; digits are
among them in any case. `--cost` times what is noted of each picture beside the forward pass.
"""

import argparse
import io
import json
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from label_errors import FrozenBody, hub_with
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from presize.train.drift_reference import DriftReference
from presize.train.drift_seen import Seen
from presize.train.drift_verdict import verdict
from presize.train.drift_watch import DriftWatch

warnings.filterwarnings("ignore")

REFERENCES, SIZES = 10, (30, 100, 300)
Change = Callable[[Image.Image], Image.Image]


def noisy(deviation: float) -> Change:
    rng = np.random.default_rng(0)

    def change(picture: Image.Image) -> Image.Image:
        x = np.asarray(picture) + 255 * rng.normal(0, deviation, (*picture.size[::-1], 3))
        return Image.fromarray(x.clip(0, 255).astype(np.uint8))

    return change


def recompressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=10)
    return Image.open(file).convert("RGB")


CHANGES: dict[str, Change] = {
    "inverted": ImageOps.invert,
    "blurred, 1 pixel": lambda p: p.filter(ImageFilter.GaussianBlur(1)),
    "noise of 4 %": noisy(0.04),
    "darker by half": lambda p: ImageEnhance.Brightness(p).enhance(0.5),
    "darker by a quarter": lambda p: ImageEnhance.Brightness(p).enhance(0.75),
    "half the contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.5),
    "gray": lambda p: p.convert("L").convert("RGB"),
    "red and blue swapped": lambda p: Image.fromarray(np.asarray(p)[..., ::-1].copy()),
    "turned by 90 degrees": lambda p: p.rotate(90),
    "turned by 180 degrees": lambda p: p.rotate(180),
    "JPEG of quality 10": recompressed,
    "enlarged from a third": lambda p: p.resize((p.width // 3, p.height // 3)).resize(p.size),
}


def pictures_in(folder: Path) -> list[Path]:
    endings = (".jpg", ".jpeg", ".png")
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in endings)


def trained(files: list[Path], size: int) -> Any:
    """Return a learner whose head was trained on these pictures."""
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
    learn = vision_learner(dls, mobilenet_v2, train_bn=False, cbs=FrozenBody())
    with learn.no_logging():
        learn.fit_one_cycle(3, 3e-3)
    learn.model.eval()
    return learn


class Eye:
    """Notes what a model sees of pictures."""

    def __init__(self, learn: Any, size: int) -> None:
        from presize.augment.presets import imagenet_stats

        self.learn, self.size = learn, size
        self.pixels = torch.tensor(imagenet_stats)

    def opened(self, file: Path) -> Image.Image:
        """Return a picture as it is looked at."""
        return ImageOps.fit(Image.open(file).convert("RGB"), (self.size, self.size))

    def see(self, pictures: list[Image.Image]) -> Seen:
        """Return what is noted of pictures."""
        from presize.models.features import captured_features

        found = []
        mean, std = self.pixels[..., None, None]
        for i in range(0, len(pictures), 32):
            arrays = [np.array(p.resize((self.size, self.size))) for p in pictures[i : i + 32]]
            x = (torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 255 - mean) / std
            with torch.no_grad(), captured_features(self.learn.model) as features:
                p = self.learn.model(x).softmax(1)
            found.append(Seen.of(x, features.last, p, pixels=self.pixels, one_class=True))
        return Seen.joined(found)


def rows_of(seen: Seen, rows: Tensor) -> Seen:
    return Seen(**{f.name: getattr(seen, f.name)[rows] for f in fields(Seen)})


class Tally:
    """Counts how many draws of each kind are flagged, and for what."""

    def __init__(self) -> None:
        self._draws: Counter[tuple[str, int]] = Counter()
        self._flagged: Counter[tuple[str, int]] = Counter()
        self._found: dict[tuple[str, int], Counter[str]] = {}

    def ask(self, kind: str, n: int, reference: DriftReference, seen: Seen) -> None:
        """Ask for a verdict on n pictures of a kind."""
        found = verdict(reference, reference.rows(seen), seen.classes)
        self._draws[kind, n] += 1
        self._flagged[kind, n] += found.drifted
        self._found.setdefault((kind, n), Counter()).update(f.what for f in found.findings)

    def show(self) -> None:
        """Print what was counted."""
        for (kind, n), draws in self._draws.items():
            often = [what for what, _ in self._found[kind, n].most_common(3)]
            flagged = round(self._flagged[kind, n] / draws, 4)
            line = {"kind": kind, "pictures": n, "flagged": flagged, "draws": draws}
            print(json.dumps(line | {"found": often}), flush=True)


def some(n_of: int, n: int, g: torch.Generator) -> Tensor:
    return torch.randperm(n_of, generator=g)[:n]


def measure(root: Path, others: list[Path], size: int, draws: int) -> None:
    files = pictures_in(root)
    random.Random(0).shuffle(files)
    own, rest = files[: len(files) // 3], files[len(files) // 3 :]
    learn = trained(own, size)
    eye, vocab = Eye(learn, size), list(learn.dls.vocab)
    train = eye.see([eye.opened(file) for file in own[:600]])
    opened = [eye.opened(file) for file in rest]
    whole = eye.see(opened)
    labels = torch.tensor([vocab.index(file.parent.name) for file in rest])
    changed = {k: eye.see([change(p) for p in opened[:400]]) for k, change in CHANGES.items()}
    for folder in others:
        changed[folder.name] = eye.see([eye.opened(f) for f in pictures_in(folder)[:400]])
    from sklearn.datasets import load_digits

    digits = [Image.fromarray((d * 15.9).astype(np.uint8)) for d in load_digits().images[:400]]
    changed["digits"] = eye.see([d.convert("RGB") for d in digits])
    g, tally = torch.Generator().manual_seed(0), Tally()
    for _ in range(REFERENCES):
        order = some(len(rest), len(rest), g)
        reference = DriftReference.fit(
            rows_of(train, some(len(train.looks), 200, g)),
            rows_of(whole, order[:400]),
            pixels=eye.pixels,
            n_classes=len(vocab),
        )
        new = order[400:]
        for n in SIZES:
            for _ in range(draws // REFERENCES):
                tally.ask("held out", n, reference, rows_of(whole, new[some(len(new), n, g)]))
            for c in range(len(vocab)):
                of_class = new[labels[new] == c]
                if len(of_class) >= n:
                    picked = of_class[some(len(of_class), n, g)]
                    tally.ask("held out, one class", n, reference, rows_of(whole, picked))
            for kind, seen in changed.items():
                if len(seen.looks) < n:
                    continue
                for _ in range(max(1, draws // 10 // REFERENCES)):
                    tally.ask(kind, n, reference, rows_of(seen, some(len(seen.looks), n, g)))
    tally.show()


def cost() -> None:
    """Print the time that noting takes, beside the forward pass of a resnet18 at 224 px."""
    from torchvision.models import resnet18

    net = resnet18(num_classes=10).eval()
    pixels = torch.tensor([[0.5] * 3, [0.25] * 3])
    torch.manual_seed(0)
    x, features = torch.randn(64, 3, 224, 224), torch.rand(64, 512)
    p = torch.randn(64, 10).softmax(1)
    seen = Seen.of(x, features, p, pixels=pixels, one_class=True)
    watch = DriftWatch(DriftReference.fit(seen, seen, pixels=pixels, n_classes=10))
    for n in (1, 32):
        batch, times = (x[:n], features[:n], p[:n]), {"forward": [], "noting": []}
        for _ in range(12):
            with torch.no_grad():
                started = time.perf_counter()
                net(batch[0])
                times["forward"].append(time.perf_counter() - started)
            started = time.perf_counter()
            watch.observe(*batch)
            times["noting"].append(time.perf_counter() - started)
        ms = {k: round(1e3 * sorted(v)[len(v) // 2], 2) for k, v in times.items()}
        print(json.dumps({"batch": n, **ms, "share": round(ms["noting"] / ms["forward"], 4)}))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--others", type=Path, nargs="*", default=[])
    parser.add_argument("--draws", type=int, default=1000, help="of held-out pictures, of each n")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    if arguments.cost:
        cost()
        return 0
    if arguments.pictures is None or arguments.weights is None:
        parser.error("PICTURES and WEIGHTS are needed")
    hub_with(arguments.weights)
    measure(arguments.pictures, arguments.others, arguments.size, arguments.draws)
    return 0


if __name__ == "__main__":
    sys.exit(main())
