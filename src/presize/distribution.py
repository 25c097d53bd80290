"""Several processes that train one model: `with learn.distrib_ctx(): learn.fine_tune(5)`.

The same script runs once for each device, started by PyTorch's `torchrun`:

    torchrun --standalone --nproc-per-node 2 script.py
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from presize.callbacks.base import Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.recorder import Recorder
from presize.callbacks.saving import SaveModelCallback
from presize.core.errors import TrainingError
from presize.core.randomness import default_seed
from presize.core.ranks import Rank, current_rank, local_rank, started_together
from presize.data.loader import DataLoader
from presize.data.share import Share, divide
from presize.data.warned import warn_user
from presize.train.collective import all_cat
from presize.train.distributed import DataParallel, from_first
from presize.train.process_group import Backend, joined
from presize.train.sync_norm import synced_norms

if TYPE_CHECKING:
    from presize.learner import Learner


@contextmanager
def distrib_ctx(
    learn: "Learner",
    *,
    sync_bn: bool = False,
    fsdp: bool = False,
    find_unused_parameters: bool = False,
    backend: Backend | None = None,
    timeout: float = 600.0,
) -> Iterator["Learner"]:
    """Train together with the other processes that `torchrun` has started, inside this block.

    Each process takes its part of every batch: with N processes a step is that of one process with
    a batch size N times as large. Gradients are averaged, metrics are those of all items, each
    counted once; the first process shows the table and writes files. In a script that was started
    without `torchrun`, the block does nothing.

    Args:
        sync_bn: let BatchNorm see the batches of all processes as one; on GPUs.
        fsdp: let each process keep but a part of the weights, their gradients and the optimizer's
            averages, for models that would fill a device. The optimizer begins anew with the block
            and after it. Save after the block, in one of the processes: inside of it none has the
            whole model, so that `Checkpoints` and `SaveModelCallback` are refused.
        find_unused_parameters: for a model that does not use all its parameters in every step.
        backend: how processes talk; by default "nccl" for GPUs and "gloo" for the CPU.
        timeout: seconds to wait for the others before that is an error.

    Raises:
        TrainingError: there is no GPU for this process; or the processes have different data.
        DataError: there is too little data for so many processes.
    """
    alone = not started_together() and not distributed.is_initialized()
    if alone or learn.ranks.world > 1:
        yield learn
        return
    device = _own_device(learn)
    synced = sync_bn and current_rank().world > 1
    norms = synced_norms(learn.model, device) if synced else nullcontext()
    with norms, joined(backend, device, timeout) as rank:
        if rank.world == 1:
            yield learn
            return
        before = learn.parallel
        with ExitStack() as stack:
            seed = from_first(default_seed())
            stack.enter_context(_own_draws(rank, device))
            if fsdp:
                from presize.train.sharding import ShardedParallel

                learn.model.to(device)
                learn.parallel, learn.opt = ShardedParallel(rank, learn.model), None
            else:
                learn.parallel = DataParallel(rank, find_unused_parameters=find_unused_parameters)
            together = _Together(rank, seed)
            stack.push(lambda kind, *_: _leave(learn, before, together, failing=kind is not None))
            learn.add_cb(together)
            together.divide(learn)
            yield learn


class _Together(Callback):
    """Divides the loaders, and keeps the processes alike, also where data or model are replaced.

    Args:
        rank: which process of how many.
        seed: of order and draws.
    """

    order = 9000  # after those that put other weights into the model

    def __init__(self, rank: Rank, seed: int) -> None:
        self.rank, self.seed = rank, seed
        self._shares: dict[int, tuple[DataLoader, Share | None]] = {}
        self._validated: tuple[DataLoader, Share | None] | None = None

    def divide(self, learn: "Learner") -> None:
        """Let the loaders of the learner give this process's part."""
        train, valid = learn.dls.train, learn.dls.valid
        for loader in (train, valid):
            if isinstance(loader, DataLoader):
                self._shares.setdefault(id(loader), (loader, loader.share))
                # One that is both is divided for validation when that begins.
                divide(loader, Share(self.rank, loader is train, self.seed))

    def give_back(self) -> None:
        """Let all loaders give everything again."""
        for loader, share in self._shares.values():
            loader.share = share
        self._shares.clear()

    def before_fit(self, learn: "Learner") -> None:
        """Look at the loaders, which may be others than when the block began.

        Raises:
            TrainingError: something would save a model that lies in parts.
        """
        savers = [cb for cb in learn.cbs if isinstance(cb, Checkpoints | SaveModelCallback)]
        if savers and learn.parallel.in_parts:
            raise TrainingError(
                f"With fsdp=True no process has the whole model, which {savers[0]!r} would save. "
                "Leave it out and save after the block, or train without fsdp=True."
            )
        self.divide(learn)
        train = learn.dls.train
        sampler = getattr(train, "sampler", None)
        whole = not isinstance(train, DataLoader) and not hasattr(sampler, "num_replicas")
        if whole and self.rank.is_main:
            warn_user(
                f"Each of {self.rank.world} processes trains on everything that the "
                f"{type(train).__module__}.{type(train).__name__} gives. Give it a "
                "torch.utils.data.DistributedSampler, or use presize's loaders, which are divided "
                "by themselves."
            )

    def before_epoch(self, learn: "Learner") -> None:
        """Divide new loaders; average the gradients of what is trained now."""
        self.divide(learn)
        learn.place_model()
        sampler: Any = getattr(learn.dls.train, "sampler", None)
        if not isinstance(learn.dls.train, DataLoader) and hasattr(sampler, "num_replicas"):
            sampler.set_epoch(learn.epoch)

    def before_train(self, learn: "Learner") -> None:
        """See that all have as many batches: else they would wait for each other without end."""
        learn.parallel.begin(learn.dl)
        items = learn.dl._length() if isinstance(learn.dl, DataLoader) else None
        counts = all_cat(torch.tensor([[learn.n_iter, -1 if items is None else items]]))
        assert counts is not None
        if bool((counts != counts[0]).any()):
            told = "; ".join(
                f"process {i} has {n} batches" + (f" of {m} items" if m >= 0 else "")
                for i, (n, m) in enumerate(counts.tolist())
            )
            raise TrainingError(
                f"Processes that train together need the same data, but {told}. Do all of them "
                "see the same files, and split them with the same seed?"
            )

    def after_train(self, learn: "Learner") -> None:
        """Let all have the same buffers, which BatchNorm has of each process's own batches."""
        learn.parallel.same_buffers(learn.model)

    def before_validate(self, learn: "Learner") -> None:
        """Divide what is measured together; what is predicted is whole in every process."""
        learn.parallel.begin_asking(learn.model)
        loader, measured = learn.dl, any(isinstance(cb, Recorder) for cb in learn.cbs)
        if measured and self.rank.is_main:
            _tell_of_padding(loader)
        if not isinstance(loader, DataLoader):
            return
        self._validated = loader, loader.share
        divide(loader, Share(self.rank, False, self.seed) if measured else None)
        learn.n_iter = len(loader)

    def after_validate(self, learn: "Learner") -> None:
        """Give a loader back as it was."""
        learn.parallel.end_asking(learn.model)
        if self._validated is not None:
            loader, before = self._validated
            loader.share, self._validated = before, None

    def after_fit(self, learn: "Learner") -> None:
        """Let all have the same buffers, also after a fit that was ended in an epoch."""
        if not learn.failing:  # else the others wait for something else
            learn.parallel.same_buffers(learn.model)


def _tell_of_padding(loader: Any) -> None:
    sampler: Any = getattr(loader, "sampler", None)
    taken, items = getattr(sampler, "total_size", 0), len(getattr(sampler, "dataset", ()))
    if taken > items:
        warn_user(
            f"The {type(sampler).__name__} gives {taken} of {items} items, some twice, so that all "
            "processes have as many, and the figures of validation count those twice. Leave the "
            "loader for validation whole, without a sampler that divides, or use presize's."
        )


def _leave(learn: "Learner", before: Any, together: _Together, *, failing: bool) -> None:
    learn.remove_cb(together)
    together.give_back()
    learn.parallel.leave(failing=failing)
    if learn.parallel.in_parts:
        learn.opt = None  # its averages are those of parts
    learn.parallel = before
    learn.forward = learn.model


def _own_device(learn: "Learner") -> torch.device:
    """Return the device of this process, and put data and model there.

    Raises:
        TrainingError: there are fewer GPUs than processes.
    """
    device = learn.device
    if device.type != "cuda":
        return device
    number, there = local_rank(), torch.cuda.device_count()
    if number >= there:
        raise TrainingError(
            f"This is process {number} of its machine, counted from 0, but there "
            f"{'is' if there == 1 else 'are'} {there} GPU{'s' * (there != 1)}. Start at most "
            f"{there} here, torchrun --nproc-per-node {there}, or train on the CPU: dls.cpu()."
        )
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    learn.dls.to(device)
    learn.model.to(device)
    for state in learn.opt.state.values() if learn.opt is not None else ():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.is_cuda:
                state[key] = value.to(device)
    return device


@contextmanager
def _own_draws(rank: Rank, device: torch.device) -> Iterator[None]:
    """Let dropout and the like draw otherwise in each process; the first draws as it would alone.

    What the loaders draw is keyed by the sample and needs nothing.
    """
    seed = from_first(_place_of_draws(device))
    if rank.is_main:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed + rank.number)
        yield


def _place_of_draws(device: torch.device) -> int:
    """Return a number that is another one when anything was drawn: a later block draws otherwise.

    It is the same in a run that is made again, and after `set_seed`.
    """
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    told = hashlib.blake2b(b"".join(bytes(state.tolist()) for state in states), digest_size=7)
    return int.from_bytes(told.digest())
