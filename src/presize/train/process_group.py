"""How the processes that `torchrun` has started find each other, and part."""

import atexit
import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, Literal

import torch
from torch import distributed

from presize.core.ranks import Rank, current_rank

Backend = Literal["nccl", "gloo"]

_KEEP_THE_GROUP = (
    "torch.distributed.nn.functional",
    "torch.distributed.optim",
    "torch.distributed.fsdp.sharded_grad_scaler",
)


@contextmanager
def joined(backend: Backend | None, device: torch.device, timeout: float) -> Iterator[Rank]:
    """Join the others, for as long as the program runs: nobody can join a second time."""
    if not distributed.is_initialized():
        import_group_defaults()
        is_cuda = device.type == "cuda"
        distributed.init_process_group(
            backend or ("nccl" if is_cuda else "gloo"),
            timeout=timedelta(seconds=timeout),
            device_id=device if is_cuda and backend != "gloo" else None,
            **_meeting(timedelta(seconds=timeout)),
        )
        atexit.register(_end)
    try:
        yield current_rank()
    except BaseException:
        # With gloo the others learn at once that nobody answers any more. NCCL would wait for
        # them here: they learn it when this process ends.
        atexit.unregister(_end)
        if distributed.get_backend() == "gloo":
            _end()
        raise


def _meeting(timeout: timedelta) -> dict[str, Any]:
    """Return where the processes meet, if torchrun has started them again.

    It keeps the store in which they meet, with the addresses of those that are dead. On several
    machines the numbers of starts differ, see TORCH_DISABLE_SHARE_RDZV_TCP_STORE in the docs.
    """
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if start == "0" or os.environ.get("LOCAL_WORLD_SIZE") != os.environ.get("WORLD_SIZE"):
        return {}
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, number, world = next(rendezvous("env://", timeout=timeout))
    return {"store": PrefixStore(f"start_{start}", store), "rank": number, "world_size": world}


def import_group_defaults() -> None:
    """Import those modules of PyTorch whose functions have the group of that moment as a default.

    First imported while there is a group (by torchmetrics, say), they keep it for ever: its threads
    then outlive `destroy_process_group`, and one that is still busy when Python ends aborts the
    process ("terminate called without an active exception").
    """
    for name in _KEEP_THE_GROUP:
        import_module(name)


def _end() -> None:
    if distributed.is_initialized():
        is_gloo = distributed.get_backend() == "gloo"
        gc.collect()  # models in cycles whose hooks still talk: they hold the group as well
        distributed.destroy_process_group()
        if is_gloo:
            # FSDP holds the group inside PyTorch, so its threads are not joined: they let go of
            # their last message within microseconds, once they get the processor.
            time.sleep(0.05)
