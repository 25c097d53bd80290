"""How well scores tell pictures of no known class from those of the classes that were learnt.

    python benchmarks/outliers.py IMAGENETTE --pets DIR --digits DIR --weights FILE [--seeds 3]

IMAGENETTE holds train/<class> and val/<class>. A MobileNetV2 with the pretrained weights of FILE is
frozen, and the usual head is trained on 200 pictures a class at 160 px. Then each score is asked to
tell its validation pictures from pets (of which one class of ten may be a dog, too), digits, noise,
blurred noise and inverted pictures; and, with a head that has not seen two of the classes, from the
validation pictures of those. Prints the mean area under the ROC curve over the seeds, and the
largest difference between two of them.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F

from presize.models.arch import create_vision_model
from presize.models.features import captured_features
from presize.models.head import create_head, init_head
from presize.train.outliers import Outliers

SIDE, N_CLASSES, A_CLASS, OTHERS = 160, 10, 200, 250
UNSEEN = ((0, 1), (4, 5), (8, 9))
Score = Callable[[Tensor, Tensor, Tensor], Tensor]  # features, pooled features, outputs


def picture(file: Path) -> Image.Image:
    return ImageOps.fit(Image.open(file).convert("RGB"), (SIDE, SIDE))


def some(folder: Path, n: int) -> list[Path]:
    """Return `n` files evenly spread over all below a folder."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [files[round(i)] for i in np.linspace(0, len(files) - 1, min(n, len(files)))]


def noises(kind: int, n: int = 200) -> list[Image.Image]:
    """Return pictures of noise of `kind` x `kind` squares, blurred up to the side."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (n, kind, kind, 3), dtype=np.uint8)
    return [Image.fromarray(m).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for m in made]


def pooled(body: nn.Module, stats: Tensor, pictures: list[Image.Image]) -> Tensor:
    """Return what the head gets of pictures: maxima and averages of the body's maps, [n, 2560]."""
    found = []
    for i in range(0, len(pictures), 32):
        pixels = np.stack([np.asarray(p) for p in pictures[i : i + 32]])
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            maps = body((x - stats[0]) / stats[1])
        found.append(torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1))
    return torch.cat(found)


def trained_head(x: Tensor, y: Tensor, n_classes: int, seed: int) -> nn.Module:
    """Return the usual head, behind its pooling, after 4 epochs of one cycle."""
    torch.manual_seed(seed)
    head = create_head(x.shape[1], n_classes, pooled=True)
    init_head(head, nn.init.kaiming_normal_)
    opt = torch.optim.AdamW(head.parameters(), weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=4 * (len(x) // 64))
    for _ in range(4):
        for rows in torch.randperm(len(x))[: len(x) // 64 * 64].split(64):
            F.cross_entropy(head(x[rows]), y[rows]).backward()
            opt.step()
            opt.zero_grad()
            plan.step()
    return head.eval()


def ask(head: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad(), captured_features(head) as seen:
        outputs = head(x)
        return seen.last, x, outputs


def nearest(known: Tensor, k: int = 10) -> Callable[[Tensor], Tensor]:
    """Return the distance to the k-th nearest of all known features, at unit length."""
    bank = F.normalize(known)
    return lambda x: torch.cdist(F.normalize(x), bank).topk(k, largest=False).values[:, -1]


def mahalanobis(known: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the distance to the nearest class with a whole covariance, features as they are."""
    n = int(y.max()) + 1
    centres = torch.stack([known[y == c].mean(0) for c in range(n)])
    spread = torch.cov((known - centres[y]).T)
    spread += 0.01 * spread.diagonal().mean() * torch.eye(len(spread))
    factor = torch.linalg.cholesky(torch.linalg.inv(spread))
    return lambda x: torch.cdist(x @ factor, centres @ factor).amin(1)


def scores(known: tuple[Tensor, Tensor, Tensor], y: Tensor) -> dict[str, Score]:
    features, whole, _ = known
    own, own_pooled = Outliers.fit(features, y), Outliers.fit(whole, y)
    distance, near = mahalanobis(features, y), nearest(features)
    size = sum(t.numel() for t in own.tensors().values()) * 4 / 1e6
    kept = features.numel() * 4 / 1e6
    return {
        "1 - largest probability (0 MB)": lambda f, p, o: 1 - o.softmax(1).amax(1),
        "energy (0 MB)": lambda f, p, o: -o.logsumexp(1),
        f"`Outliers`, last layer ({size:.2f} MB)": lambda f, p, o: own.score(f),
        "`Outliers`, pooled maps": lambda f, p, o: own_pooled.score(p),
        "Mahalanobis, not at unit length": lambda f, p, o: distance(f),
        f"10th neighbour of all ({kept:.0f} MB)": lambda f, p, o: near(f),
    }


def area(known: Tensor, strange: Tensor) -> float:
    from sklearn.metrics import roc_auc_score

    right = [0] * len(known) + [1] * len(strange)
    return float(roc_auc_score(right, torch.cat([known, strange])))


def areas(sets: dict[str, Tensor], y: Tensor, valid_y: Tensor, seed: int) -> dict[str, list[float]]:
    """Return for each score the areas for each kind of strange picture."""
    found: dict[str, list[float]] = {}
    head = trained_head(sets["train"], y, N_CLASSES, seed)
    measured = scores(ask(head, sets["train"]), y)
    known = ask(head, sets["val"])
    for name, score in measured.items():
        strange = [ask(head, x) for kind, x in sets.items() if kind not in ("train", "val")]
        found[name] = [area(score(*known), score(*other)) for other in strange]
    unseen: dict[str, list[float]] = {name: [] for name in found}
    for left_out in UNSEEN:
        gone, gone_valid = (torch.isin(t, torch.tensor(left_out)) for t in (y, valid_y))
        fewer = torch.unique(y[~gone], return_inverse=True)[1]
        x = sets["train"][~gone]
        head = trained_head(x, fewer, N_CLASSES - len(left_out), seed)
        seen, new = ask(head, sets["val"][~gone_valid]), ask(head, sets["val"][gone_valid])
        for name, score in zip(found, scores(ask(head, x), fewer).values(), strict=True):
            unseen[name].append(area(score(*seen), score(*new)))
    return {name: [*row, sum(unseen[name]) / len(UNSEEN)] for name, row in found.items()}


def read(wanted: argparse.Namespace) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    model = create_vision_model("mobilenet_v2", N_CLASSES, weights=str(wanted.weights)).eval()
    assert model.stats is not None
    stats = torch.tensor(model.stats)[:, None, :, None, None]
    folders = {split: sorted((wanted.imagenette / split).iterdir()) for split in ("train", "val")}
    files = {split: [some(f, A_CLASS) for f in there] for split, there in folders.items()}
    pictures = {split: [picture(f) for fs in there for f in fs] for split, there in files.items()}
    pictures["pets"] = [picture(f) for f in some(wanted.pets, OTHERS)]
    pictures["digits"] = [picture(f) for f in some(wanted.digits, OTHERS)]
    pictures["noise"], pictures["blurred noise"] = noises(SIDE), noises(8)
    pictures["inverted"] = [ImageOps.invert(p) for p in pictures["val"]]
    y, valid_y = (
        torch.tensor([c for c, fs in enumerate(files[split]) for _ in fs])
        for split in ("train", "val")
    )
    return {kind: pooled(model[0], stats, some) for kind, some in pictures.items()}, y, valid_y


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("imagenette", type=Path)
    for name in ("pets", "digits", "weights"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    wanted = parser.parse_args()
    started = time.perf_counter()
    sets, y, valid_y = read(wanted)
    runs = [areas(sets, y, valid_y, seed) for seed in range(wanted.seeds)]
    kinds = [kind for kind in sets if kind not in ("train", "val")]
    print(f"| score | {' | '.join(kinds)} | two classes left out | mean |")
    print("|---|" + "---|" * (len(kinds) + 2))
    widest = 0.0
    for name in runs[0]:
        table = np.array([run[name] for run in runs])
        widest = max(widest, float(np.ptp(table, axis=0).max()))
        row = [*table.mean(0), table.mean()]
        print(f"| {name} | {' | '.join(f'{v:.3f}' for v in row)} |")
    print(
        f"\n{wanted.seeds} seeds, which differ by {widest:.3f} at most; "
        f"{time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
