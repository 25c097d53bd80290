"""What a training loop costs beyond the computation: microseconds a batch on a tiny model.

    LIB=presize|fastai python benchmarks/loop.py [EPOCHS]

A linear layer on batches that lie in memory, one thread; 500 batches to train and 50 to validate
an epoch, without bars and log. Beside it, in the same process and in turn, a loop written by hand
that computes the same. Prints one line of JSON: medians of five pairs, per batch of either kind.
"""

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *

TRAIN, VALID, PAIRS = 500, 50, 5


class InMemory:
    """Batches that cost nothing to get."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def loss_of(scores: Tensor, wanted: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, wanted)


def share_right(scores: Tensor, wanted: Tensor) -> Tensor:
    return ((scores > 0) == (wanted > 0.5)).float().mean()


def by_hand(batches: list[tuple[Tensor, Tensor]], epochs: int) -> None:
    """Train and validate as the shortest loop does."""
    model = nn.Linear(784, 1)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(epochs):
        for x, y in batches:
            loss_of(model(x), y).backward()
            opt.step()
            opt.zero_grad()
        with torch.no_grad():
            for x, y in batches[:VALID]:
                scores = model(x)
                loss_of(scores, y)
                share_right(scores, y)


def by_library(batches: list[tuple[Tensor, Tensor]]) -> Callable[[int], None]:
    """Return what trains and validates with the library."""
    dls = DataLoaders(InMemory(batches), InMemory(batches[:VALID]))
    model = nn.Linear(784, 1)
    learn = Learner(dls, model, opt_func=SGD, loss_func=loss_of, metrics=share_right)

    def fit(epochs: int) -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit(epochs, 0.1)

    return fit


def microseconds(work: Callable[[int], None], epochs: int) -> float:
    """Return the time a batch takes."""
    start = time.perf_counter()
    work(epochs)
    return (time.perf_counter() - start) / epochs / (TRAIN + VALID) * 1e6


def main() -> None:
    """Measure both in turn and print the difference."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.manual_seed(0)
    torch.set_num_threads(1)
    batches = [(torch.randn(64, 784), torch.randint(0, 2, (64, 1)).float()) for _ in range(TRAIN)]
    fit = by_library(batches)
    bare, ours = [], []
    fit(1)
    for _ in range(PAIRS):
        bare.append(microseconds(lambda n: by_hand(batches, n), epochs))
        ours.append(microseconds(fit, epochs))
    hand, library = statistics.median(bare), statistics.median(ours)
    print(
        json.dumps(
            {
                "lib": LIB,
                "by_hand_us": round(hand, 1),
                "library_us": round(library, 1),
                "over_us": round(library - hand, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
