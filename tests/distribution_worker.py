"""One of two processes of test_distribution.py; also what one process computes for comparison.

torchrun sets RANK and the like:  python distribution_worker.py FOLDER [killed]
"""

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import DistributedSampler

from presize.callbacks.base import Callback, CancelBatch
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.ema import EMA
from presize.core.errors import TrainingError
from presize.core.randomness import draws, set_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.distribution import distrib_ctx
from presize.learner import Learner
from presize.train.metrics import F1Score, accuracy
from presize.train.optim import SGD

N, N_VALID, FEATURES, CLASSES = 29, 13, 6, 3
BS = 8  # in one process


def data(n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Items that a linear model can learn something of."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, FEATURES, generator=generator)
    y = (x[:, 0] + 0.3 * x[:, 1]).gt(0).long() + x[:, 2].gt(0.5).long()
    return list(zip(x, y, strict=True))


class Counted(nn.Module):
    """A weight more than SGD steps one by one, and a buffer that is no weight."""

    counted: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))
        self.register_buffer("counted", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Scale, and shift by the count of training batches."""
        if self.training:
            self.counted += 1
        return x * self.scale + 0.01 * self.counted


def learner(
    world: int,
    n: int = N,
    n_valid: int = N_VALID,
    last: Callable[[], nn.Module] = nn.Tanh,
    **options: Any,
) -> Learner:
    """A learner whose batches in all processes together have BS items."""
    torch.manual_seed(5)
    bs = BS // world
    train = DataLoader(data(n, 0), bs=bs, shuffle=True, after_item=_noise, split_idx=0)
    valid = DataLoader(data(n_valid, 1), bs=bs, split_idx=1)
    body, head = nn.Sequential(nn.Linear(FEATURES, 5), last()), nn.Linear(5, CLASSES)
    model = nn.Sequential(body, head)
    learn = Learner(
        DataLoaders(train, valid, device="cpu"),
        model,
        nn.CrossEntropyLoss(),
        SGD,
        lr=0.3,
        splitter=lambda m: [list(m[0].parameters()), list(m[1].parameters())],
        metrics=[accuracy, F1Score(average="macro")],
        **options,
    )
    learn.remove_cbs([cb for cb in learn.cbs if type(cb).__name__ == "ProgressCallback"])
    learn.logger = lambda cells: None
    return learn


def _noise(sample: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Change an input by a draw that is keyed by its sample: the same in one process and in two."""
    x, y = sample
    return x + 0.1 * float(draws("noise").normal()[0]), y


def result(learn: Learner) -> dict[str, Any]:
    """Weights, table and losses."""
    return {
        "weights": [p.tolist() for p in learn.model.parameters()],
        "values": [list(row) for row in learn.recorder.values],
        "losses": learn.recorder.losses,
    }


def two_epochs(world: int) -> dict[str, Any]:
    """The last batch has 5 items, so that one process has three of them."""
    learn = learner(world)
    with distrib_ctx(learn):
        learn.fit(2)
        checked = list(learn.validate())
        whole = learn.get_preds()[0].shape[0], learn.get_preds(reorder=False)[0].shape[0]
        of_train = list(learn.validate(ds_idx=0))
    after = len(learn.dls.train) * learn.dls.train.bs, learn.parallel.rank.world, len(learn.cbs)
    return {
        **result(learn),
        "checked": checked,
        "whole": whole,
        "of_train": of_train,
        "after": after,
    }


def accumulated(world: int) -> dict[str, Any]:
    """Steps of two batches, the last of one and of fewer items."""
    learn = learner(world, n=45, accumulate=2)
    with distrib_ctx(learn):
        learn.fit(1)
    return result(learn)


def tuned(world: int) -> dict[str, Any]:
    """The body is frozen, and then it is not."""
    learn = learner(world)
    with distrib_ctx(learn):
        learn.fine_tune(2, 0.3)
    return result(learn)


def hardly_validated(world: int) -> dict[str, Any]:
    """One item to validate: a process has none."""
    learn = learner(world, n=16, n_valid=1)
    with distrib_ctx(learn):
        learn.fit(2)
    return result(learn)


def sharded(world: int) -> dict[str, Any]:
    """Each process has a part of the weights; the body is frozen at first, and then it is not.

    Averages are kept of parts and of a buffer that is whole.
    """
    learn = learner(world, n_valid=9, last=Counted, cbs=EMA(0.8))
    model, parameters = learn.model, list(learn.model.parameters())
    with distrib_ctx(learn, fsdp=True):
        learn.fine_tune(1, 0.3)
        whole = learn.get_preds()[0].shape[0]
    again = [p is q for p, q in zip(learn.model.parameters(), parameters, strict=True)]
    learn.validate()
    return {**result(learn), "whole": whole, "same": [*again, learn.model is model]}


def looked_for(world: int) -> dict[str, Any]:
    """A rate is looked for until the loss diverges, which all have to see at once."""
    learn = learner(world)
    with distrib_ctx(learn):
        rate = learn.lr_find(num_it=40, end_lr=1e4, show_plot=False)
        learn.fit(1)
    return {**result(learn), "rate": list(rate)}


def averaged(world: int) -> dict[str, Any]:
    """The weights are averaged over the steps."""
    learn = learner(world)
    with distrib_ctx(learn):
        learn.fit_one_cycle(2, 0.3, cbs=EMA(0.8))
    return result(learn)


class _CancelLast(Callback):
    """Cancels the batch that would have ended a group."""

    def before_batch(self, learn: Learner) -> None:
        """The last one of an epoch."""
        if learn.training and learn.iter == learn.n_iter - 1:
            raise CancelBatch


def cancelled(world: int) -> dict[str, Any]:
    """Gradients that wait for a batch which does not come."""
    learn = learner(world, n=32, accumulate=2, cbs=_CancelLast())
    with distrib_ctx(learn):
        learn.fit(1)
    return result(learn)


def both(world: int) -> dict[str, Any]:
    """One loader to train and to validate; in training the last item is left out."""
    learn = learner(world, n=17)
    learn.dls = DataLoaders(learn.dls.train, learn.dls.train, device="cpu")
    with distrib_ctx(learn):
        learn.fit(2)
    return result(learn)


def limited(world: int) -> dict[str, Any]:
    """A fit ends when its time is over: after the same step in all processes."""
    learn = learner(world)
    with distrib_ctx(learn):
        learn.fit_one_cycle(10_000, 0.3, max_time=0.5)
    return result(learn)


def errors(world: int) -> dict[str, Any]:
    """What is said of data that differs, of too little of it, and of what cannot be saved."""
    said = []
    rank = int(os.environ["RANK"])
    for n, fsdp, cbs in ((29 + 16 * rank, False, []), (16, True, [Checkpoints()])):
        learn = learner(world, n=n)
        with distrib_ctx(learn, fsdp=fsdp):
            try:
                learn.fit(1, cbs=cbs)
            except TrainingError as error:
                said.append(str(error))
            learn.validate()
    try:
        with distrib_ctx(learner(world), sync_bn=True):
            pass
    except TrainingError as error:
        said.append(str(error))
    return {"said": said}


def retried(world: int) -> dict[str, Any]:
    """Training in an `except` block, with a last batch that would leave one item to a process."""
    found = {}
    for name, fsdp in (("whole", False), ("parts", True)):
        learn = learner(world, n=19, last=lambda: nn.BatchNorm1d(5))
        try:
            raise TrainingError
        except TrainingError:
            with distrib_ctx(learn, fsdp=fsdp):
                learn.fit(1, cbs=EMA(0.8))
        found[name] = {k: v.tolist() for k, v in learn.model.state_dict().items()}
        assert all(type(p.data) is Tensor for p in learn.model.parameters())
    return found


def drawn(world: int) -> dict[str, Any]:
    """What PyTorch draws in two blocks, and in two others with the same seed."""
    learn, found = learner(world), []
    for _ in range(2):
        set_seed(3)
        for _ in range(2):
            with distrib_ctx(learn):
                found.append(float(torch.rand(())))
    return {"drawn": found}


def padded(world: int) -> dict[str, Any]:
    """What is said of a sampler that gives items twice."""
    learn = learner(world)
    with distrib_ctx(learn), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        valid = learn.dls.valid.dataset
        divided = TorchLoader(valid, batch_size=4, sampler=DistributedSampler(valid, shuffle=False))
        learn.validate(dl=divided)
        said = [str(warning.message) for warning in caught]
        whole = list(learn.validate(dl=TorchLoader(valid, batch_size=4)))
    return {"said": said, "whole": whole, "more": len(caught) - len(said)}


class _Die(Callback):
    """Kills the second process in the middle of the second epoch, once."""

    def before_batch(self, learn: Learner) -> None:
        """Is it time?"""
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        place = learn.ranks.number, learn.epoch, learn.iter
        if first and learn.training and place == (1, 1, 2):
            os.kill(os.getpid(), signal.SIGKILL)


def killed(folder: Path) -> dict[str, Any]:
    """The run of `two_epochs`; one process dies in it, and all are started again."""
    learn = learner(2, path=folder, cbs=_Die())
    checkpoints = Checkpoints(every_steps=1)
    with distrib_ctx(learn):
        if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
            learn.fit(2, cbs=checkpoints)
        else:
            learn.resume(cbs=checkpoints)
    return result(learn)


SCENARIOS: dict[str, Callable[[int], dict[str, Any]]] = {
    f.__name__: f
    for f in (
        two_epochs,
        accumulated,
        tuned,
        hardly_validated,
        sharded,
        looked_for,
        averaged,
        cancelled,
    )
}


def main(folder: Path, name: str | None = None) -> None:
    """Compute a run that is killed, or all scenarios, and write down what came of it."""
    torch.set_num_threads(1)
    if name == "killed":
        found = killed(folder)
    else:
        found = {name: scenario(2) for name, scenario in SCENARIOS.items()}
        found |= {f.__name__: f(2) for f in (limited, errors, both, retried, drawn, padded)}
    rank = os.environ["RANK"]
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
