"""`presize train --devices N`: one process for each device, by PyTorch's own launcher."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from presize.core.ranks import current_rank, started_together

Devices = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Train on so many GPUs of this machine, or with so many processes on its CPU; "
        "--bs is then the batch of each. For several machines use torchrun, see the docs.",
    ),
]
Restarts = Annotated[
    int,
    typer.Option(
        "--max-restarts",
        min=0,
        help="With --devices: start all processes again from the last checkpoint, so many times, "
        "when one of them has died.",
    ),
]
_WITH_VALUE = ("--devices", "--max-restarts")


def launch(devices: int | None, restarts: int) -> bool:
    """Run this command line once for each device, if it asks for several; return whether it did.

    Raises:
        typer.Exit: the processes ended with an error.
        ValueError: --devices in a process that has been started as one of several.
    """
    if devices is None or devices == 1:
        return False
    if started_together():
        raise ValueError(
            f"--devices {devices} starts processes, but this one was started by torchrun as one of "
            f"{current_rank().world}. Leave out --devices, or torchrun."
        )
    command = worker_command(devices, restarts, sys.argv[1:])
    cores = max((os.cpu_count() or 1) // devices, 1)
    # What torchrun would set to 1: the processes share the cores of the machine.
    environment = {"OMP_NUM_THREADS": str(cores)} | os.environ
    code = subprocess.run(command, check=False, env=environment).returncode
    if code:
        raise typer.Exit(1)
    return True


def worker_command(devices: int, restarts: int, arguments: Sequence[str]) -> list[str]:
    """Return the command that starts `devices` processes with these arguments of ours."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(devices), "--max-restarts", str(restarts)),
        *("-m", "presize", *without_launching(arguments)),
    ]


def without_launching(arguments: Sequence[str]) -> list[str]:
    """Return arguments without those that are for the launcher."""
    kept: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument in _WITH_VALUE:
            next(given, None)
        elif not argument.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            kept.append(argument)
    return kept


def started_again() -> bool:
    """Say whether the launcher has started this process in the place of one that died."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") not in ("", "0")
