"""How good the rates are that `lr_find` suggests, and what a search costs.

    python benchmarks/lr_find.py [--seeds 3] [--scan] [--epochs 3] [--folder MNIST_SAMPLE]

For each task: a search from each of a few seeds; then a short one-cycle training at each of many
rates, and at each suggestion. A suggestion is judged by its excess: its validation loss over the
best of all rates, as a part of what there is to gain, (loss - best) / (loss untrained - best). 0 is
the best rate of all, 1 as if nothing were learnt. `--scan` does the same for windows and parts of
`slide`. The tasks are scikit-learn's handwritten digits, with three networks and two optimizers,
the same with other units of the loss, and, if a folder is given, the threes and sevens in it.
"""

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from presize.callbacks.lr_finder import LRFinder, no_trace
from presize.callbacks.progress import ProgressCallback
from presize.core.randomness import set_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train import rate_suggestions
from presize.train.optim import SGD, Adam

FUNCTIONS = ("minimum", "steep", "valley", "slide")
SETTINGS = [(w, p) for w in (0.3, 0.5, 0.75, 1.0, 1.5) for p in (0.25, 0.5, 0.75, 0.9)]
RATES = np.geomspace(1e-4, 10, 16)


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def dense():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def convolutions():
    def layer(a, b, stride):
        conv = nn.Conv2d(a, b, 3, stride=stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(b), nn.ReLU()]

    body = [*layer(1, 16, 1), *layer(16, 32, 2), *layer(32, 32, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def in_other_units(pred, target):
    return 100 * F.cross_entropy(pred, target)


def mean_squares(pred, target):
    return F.mse_loss(pred, F.one_hot(target, pred.shape[-1]).float())


TASKS = {
    "linear, SGD": (linear, SGD, F.cross_entropy),
    "dense, SGD": (dense, SGD, F.cross_entropy),
    "dense, Adam": (dense, Adam, F.cross_entropy),
    "convolutions, SGD": (convolutions, SGD, F.cross_entropy),
    "convolutions, Adam": (convolutions, Adam, F.cross_entropy),
    "convolutions, Adam, loss x 100": (convolutions, Adam, in_other_units),
    "dense, Adam, mean squares": (dense, Adam, mean_squares),
}


def digits():
    pictures, labels = load_digits(return_X_y=True)
    x = torch.tensor(pictures, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    return x, torch.tensor(labels)


def folder_data(folder):
    from pathlib import Path

    from PIL import Image

    files = sorted(Path(folder).glob("train/*/*.png"))[::8]
    pixels = np.stack([np.asarray(Image.open(f).convert("L").resize((8, 8))) for f in files])
    names = sorted({f.parent.name for f in files})
    x = torch.tensor(pixels, dtype=torch.float32)[:, None] / 128 - 1
    return x, torch.tensor([names.index(f.parent.name) for f in files])


def loaders(data, seed):
    x, y = data
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = len(x) // 4
    valid, train = (list(zip(x[i], y[i], strict=True)) for i in (order[:cut], order[cut:]))
    return DataLoaders(
        DataLoader(train, 32, shuffle=True, seed=seed, drop_last=True),
        DataLoader(valid, 256),
        device="cpu",
    )


def learner(task, data, seed):
    model, opt, loss = TASKS[task]
    set_seed(seed)
    learn = Learner(loaders(data, seed), model(), loss, opt)
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda cells: None
    return learn


def search(learn):
    finder = LRFinder()
    begun = time.perf_counter()
    with no_trace(learn), learn.no_logging():
        learn.fit(-(-100 // len(learn.dls.train)), cbs=[finder])
    return finder.lrs, finder.losses, time.perf_counter() - begun


def loss_after(task, data, seed, rate, epochs):
    learn = learner(task, data, seed)
    try:
        learn.fit_one_cycle(epochs, rate)
    except Exception as error:
        if "loss became" not in str(error).lower():
            raise
        return float("inf")
    return learn.validate()[0]


def excess(task, data, seed, rate, epochs, known):
    start, best = known
    loss = loss_after(task, data, seed, rate, epochs)
    return min(max((loss - best) / (start - best), 0.0), 1.0)


def suggested_by_slide(lrs, losses, window, part):
    before = rate_suggestions._WINDOW, rate_suggestions._PART
    rate_suggestions._WINDOW, rate_suggestions._PART = window, part
    try:
        return rate_suggestions.suggested(lrs, losses, 100, [rate_suggestions.slide])[0][0]
    finally:
        rate_suggestions._WINDOW, rate_suggestions._PART = before


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rates", type=int, default=len(RATES))
    parser.add_argument("--tasks", type=int, default=len(TASKS))
    parser.add_argument("--folder")
    parser.add_argument("--scan", action="store_true", help="try thresholds of slide")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = folder_data(options.folder) if options.folder else digits()
    judged = {name: [] for name in FUNCTIONS}
    scanned, seconds = {}, []
    for task in list(TASKS)[: options.tasks]:
        print(task)
        for seed in range(options.seeds):
            learn = learner(task, data, seed)
            start = learn.validate()[0]
            lrs, losses, took = search(learn)
            seconds.append(took)
            grid = np.geomspace(RATES[0], RATES[-1], options.rates)
            grid_losses = [loss_after(task, data, seed, r, options.epochs) for r in grid]
            known = start, min(grid_losses)
            functions = [getattr(rate_suggestions, name) for name in FUNCTIONS]
            found, _ = rate_suggestions.suggested(lrs, losses, 100, functions)
            row = []
            for name, rate in zip(FUNCTIONS, found, strict=True):
                judged[name].append(excess(task, data, seed, rate, options.epochs, known))
                row.append(f"{name} {rate:.1e} ({judged[name][-1]:.2f})")
            best = grid[int(np.argmin(grid_losses))]
            print(f"  seed {seed}: best rate {best:.1e}; {', '.join(row)}; {len(lrs)} steps")
            if options.scan:
                for setting in SETTINGS:
                    rate = suggested_by_slide(lrs, losses, *setting)
                    # The loss between two rates of the grid is good enough to choose by.
                    loss = np.interp(np.log(rate), np.log(grid), np.minimum(grid_losses, start))
                    over = min(max((loss - known[1]) / (start - known[1]), 0.0), 1.0)
                    scanned.setdefault(setting, []).append(over)
    print("\nexcess: mean, worst")
    for name, values in judged.items():
        print(f"  {name:8} {statistics.mean(values):.3f} {max(values):.3f}  n = {len(values)}")
    for (window, part), values in scanned.items():
        print(
            f"  slide, window {window} decades, part {part}: "
            f"{statistics.mean(values):.3f} {max(values):.3f}"
        )
    print(f"\na search of 100 steps: {statistics.median(seconds):.2f} s (median)")


if __name__ == "__main__":
    main()
