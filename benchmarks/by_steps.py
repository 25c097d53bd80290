"""A linear model and a small net on real 3s and 7s, by the Learner: accuracy after each epoch.

    python benchmarks/by_steps.py MNIST_SAMPLE_FOLDER [SEEDS]

The two models of a digit classifier from scratch: one layer on the pixels, trained for 10 epochs by
plain gradient descent at rate 1 on a loss that is the distance to the right answer; and two layers
with a ReLU between them, 40 epochs at 0.1. Batches of 256, first all 3s and then all 7s: the order
that the published figures (0.9676 and 0.9828) come from. Prints a line of JSON.
"""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from presize.core.randomness import set_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD

warnings.filterwarnings("ignore")
SIDE = 28


def pixels(folder: Path) -> Tensor:
    """Return the pictures of a folder in 0..1: float32 [n, 784]."""
    arrays = [np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))]
    return torch.from_numpy(np.stack(arrays)).float().view(-1, SIDE * SIDE) / 255


def pairs(folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Return pictures and whether each is a 3."""
    threes, sevens = pixels(folder / "3"), pixels(folder / "7")
    wanted = torch.cat([torch.ones(len(threes), 1), torch.zeros(len(sevens), 1)])
    return list(zip(torch.cat([threes, sevens]), wanted, strict=True))


def distance(scores: Tensor, wanted: Tensor) -> Tensor:
    """How far the answers are from the right ones, on average."""
    return torch.where(wanted == 1, 1 - scores.sigmoid(), scores.sigmoid()).mean()


def right(scores: Tensor, wanted: Tensor) -> Tensor:
    """The share of right answers."""
    return ((scores.sigmoid() > 0.5) == wanted.bool()).float().mean()


def accuracy_of(make: Callable[[], nn.Module], epochs: int, rate: float, data: object) -> float:
    """Train a model and return the accuracy of the last epoch."""
    train, valid = data  # type: ignore[misc]
    dls = DataLoaders(DataLoader(train, 256), DataLoader(valid, 256), device="cpu")
    learn = Learner(dls, make(), loss_func=distance, opt_func=SGD, metrics=right)
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs, rate)
    return float(learn.recorder.values[-1][2])


def main() -> None:
    """Train both models with each seed and print their accuracies."""
    folder, seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    data = pairs(folder / "train"), pairs(folder / "valid")
    found: dict[str, list[float]] = {"linear_10": [], "two_layers_40": []}
    for seed in range(seeds):
        set_seed(seed)
        found["linear_10"].append(accuracy_of(lambda: nn.Linear(SIDE * SIDE, 1), 10, 1.0, data))
        set_seed(seed)
        net = [nn.Linear(SIDE * SIDE, 30), nn.ReLU(), nn.Linear(30, 1)]
        made = nn.Sequential(*net)
        found["two_layers_40"].append(accuracy_of(lambda made=made: made, 40, 0.1, data))
    print(json.dumps({name: [round(v, 4) for v in values] for name, values in found.items()}))


if __name__ == "__main__":
    main()
