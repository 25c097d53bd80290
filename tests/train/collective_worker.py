"""One of two processes of test_collective.py; also what both and the test compute alike.

python collective_worker.py RANK WORLD MEETING_FILE ANSWERS.json
"""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from presize.core.errors import TrainingError
from presize.train.collective import all_cat, all_sum, world_size
from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    BrierScore,
    ConfusionMatrix,
    DiceMulti,
    F1Score,
    ForegroundAcc,
    Metric,
    Perplexity,
    RocAuc,
    accuracy,
    as_metric,
    rmse,
)
from presize.train.process_group import import_group_defaults

N, CLASSES, SIZE = 33, 3, 7
SPLITS = {"uneven": (25, 8), "one has nothing": (33, 0)}
DTYPES = (torch.bool, torch.bfloat16, torch.int8, torch.complex64, torch.uint16, torch.float64)


def batches(first: int, last: int) -> list[GivenBatch]:
    """Batches of some of the items, with a loss for each."""
    generator = torch.Generator().manual_seed(3)
    preds = torch.randn(N, CLASSES, generator=generator)
    targets = torch.randint(CLASSES, (N,), generator=generator)
    losses = torch.rand(N, generator=generator)
    cuts = [(i, min(i + SIZE, last)) for i in range(first, last, SIZE)]
    return [GivenBatch(preds[a:b], (targets[a:b],), losses[a:b].mean()) for a, b in cuts]


def metrics() -> dict[str, Metric]:
    """All kinds of metrics."""
    made = [
        *(AvgMetric(accuracy), AvgLoss(), Perplexity(), AvgMetric(lambda p, t: 0.3, "number")),
        *(F1Score(average="macro"), RocAuc(), ConfusionMatrix(), BrierScore()),
        *(as_metric(lambda p, t: rmse(p[:, 0], t), "root"), DiceMulti(), ForegroundAcc()),
    ]
    found = {metric.name: metric for metric in made}
    try:
        from torchmetrics import classification
    except ImportError:
        return found
    found["tm_f1"] = as_metric(classification.MulticlassF1Score(CLASSES, average="macro"))
    found["tm_auroc"] = as_metric(classification.MulticlassAUROC(CLASSES))
    return found


def value_of(metric: Metric, given: list[GivenBatch]) -> float | None:
    """The value over these batches, and those of the other processes."""
    metric.reset()
    for batch in given:
        metric.accumulate(batch)
    metric.gather()
    return None if metric.value is None else float(metric.value)


class Largest(Metric):
    """A user's metric that does not know of other processes."""

    def reset(self) -> None:
        """Forget everything."""
        self.most = 0.0

    def accumulate(self, learn: Any) -> None:
        """Take in a batch."""
        self.most = max(self.most, float(learn.pred.max()))

    @property
    def value(self) -> float:
        """The largest output."""
        return self.most


class Foreign:
    """What has the methods of a torchmetrics metric, and no way to join two of them."""

    def update(self, *args: Any) -> None:
        """Take in a batch."""

    def compute(self) -> float:
        """Return the value."""
        return 0.0

    def reset(self) -> None:
        """Forget everything."""


class Sloppy(AvgLoss):
    """It keeps something else than its parent, whose `gather` would be wrong."""

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.steps = 0


def smooth_loss(rank: int, world: int) -> list[float]:
    """The running mean after two epochs of batches taken in turn, seen after each."""
    metric, seen = AvgSmoothLoss(beta=0.5), []
    for epoch in range(2):
        for batch in batches(0, 28)[rank::world]:
            metric.accumulate(GivenBatch(None, (), batch.loss + epoch))
        metric.gather()
        assert metric.value is not None
        seen.append(float(metric.value))
    return seen


def joined(rank: int) -> list[str]:
    """Tensors of different lengths, of many kinds, joined."""
    answers = []
    for dtype in DTYPES:
        # The first has two rows, the second three.
        own = torch.arange(4 + 2 * rank).reshape(-1, 2).to(dtype)
        got = all_cat(own)
        rows = [torch.arange(4 + 2 * r).reshape(-1, 2).to(dtype) for r in range(2)]
        answers.append("" if got is not None and torch.equal(got, torch.cat(rows)) else str(dtype))
    answers.append(str(all_cat(torch.ones(2, 3) if rank else None)))
    answers.append(str(all_cat(None)))
    answers.append(str(all_cat(torch.empty(0, 4))))
    answers.append(str(all_sum(torch.tensor([[rank + 1.5, 2.0]])).tolist()))
    return answers


def message(call: Callable[[], object]) -> str:
    """The error that a call raises."""
    try:
        call()
    except TrainingError as error:
        return str(error)
    return "none"


def errors(rank: int) -> list[str]:
    """What is said where figures cannot be combined."""
    mixed: Tensor = torch.ones(2, 3 + rank, dtype=torch.float64 if rank else torch.float32)
    return [
        message(Largest().gather),
        message(Sloppy().gather),
        message(lambda: all_cat(mixed)),
        message(as_metric(Foreign()).gather),
    ]


def group_threads() -> list[str]:
    """The threads in which the group still works (known on Linux alone)."""
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text(encoding="utf-8") for task in tasks.glob("*")]
    return [name.strip() for name in names if "gloo_runloop" in name]


def main(rank: int, world: int, meeting: str, answers: str) -> None:
    """Answer all questions."""
    torch.set_num_threads(1)
    import_group_defaults()
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=60),
    )
    found: dict[str, Any] = {"world": world_size()}
    for split, counts in SPLITS.items():
        first = sum(counts[:rank])
        mine = batches(first, first + counts[rank])
        # The masks' metrics take classes on axis 1, as is the case here.
        found[split] = {name: value_of(metric, mine) for name, metric in metrics().items()}
    found["nothing at all"] = {name: value_of(metric, []) for name, metric in metrics().items()}
    found["smooth"] = smooth_loss(rank, world)
    found["joined"], found["errors"] = joined(rank), errors(rank)
    distributed.destroy_process_group()
    found["threads"] = group_threads()
    Path(answers).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
