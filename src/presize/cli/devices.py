"""`presize train --devices N`: one process for each device, by PyTorch's own launcher."""

import contextlib
import logging
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from presize.cli.options import MACHINE
from presize.core.errors import TrainingError
from presize.core.ranks import current_rank, started_together

Devices = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Train on so many GPUs of this machine, or with so many processes on its CPU; "
        "--bs is then the batch of each. For several machines use torchrun, see the docs.",
        rich_help_panel=MACHINE,
    ),
]
Restarts = Annotated[
    int,
    typer.Option(
        "--max-restarts",
        min=0,
        help="With --devices: start all processes again from the last checkpoint, so many times, "
        "when one of them has died; not after an error in the data, the files or the settings.",
        rich_help_panel=MACHINE,
    ),
]
_WITH_VALUE = ("--devices", "--max-restarts")
# Where a process leaves what the launcher is to say, and how often all were started again.
_ERRORS, _RESTARTS = "PRESIZE_ERRORS", "PRESIZE_RESTARTS"
# They tell which process the launcher has ended, in the words of those who wrote it.
_NOISY = (
    "torch.distributed.elastic.multiprocessing.api",
    "torch.distributed.elastic.agent.server.api",
)


def launch(devices: int | None, restarts: int) -> bool:
    """Run this command line once for each device, if it asks for several; return whether it did.

    Raises:
        TrainingError: an error of the data, the files or the settings, as the processes told it.
        typer.Exit: a process died, and may not be started again.
        ValueError: --devices in a process that has been started as one of several.
    """
    if devices is None or devices == 1:
        return False
    if started_together():
        raise ValueError(
            f"--devices {devices} starts processes, but this one was started by torchrun as one of "
            f"{current_rank().world}. Leave out --devices, or torchrun."
        )
    # What torchrun would set to 1: the processes share the cores of the machine.
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // devices, 1)))
    arguments = ["-u", "-m", "presize", *without_launching(sys.argv[1:])]
    for start in range(restarts + 1):
        # A launch for each start: within one, torchrun would repeat an error of the user's as well.
        with TemporaryDirectory(prefix="presize-") as folder:
            os.environ |= {_ERRORS: folder, _RESTARTS: str(start)}
            died = run_together(devices, arguments)
            said = [file.read_text(encoding="utf-8") for file in sorted(Path(folder).iterdir())]
        if died is None:
            return True
        if said:
            raise TrainingError("\n".join(dict.fromkeys(said)))
        if start < restarts:
            way_on = f"All start again, from the last checkpoint ({start + 1} of {restarts})."
        else:
            way_on = "The same command with --resume goes on from the last checkpoint."
        typer.secho(f"presize: {died}. {way_on}", fg="red", err=True)
    raise typer.Exit(1)


def run_together(devices: int, arguments: Sequence[str]) -> str | None:
    """Run Python with these arguments once for each device; return which died, and how.

    Raises:
        SystemExit: a signal came, which all of them were sent.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)(*arguments)
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        code, signal = failure.exitcode, failure.signal_name()
        how = f"was ended by {signal}" if code < 0 else f"ended with exit code {code}"
        return f"Process {number} of {devices} {how}"
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    return None


def left_to_launcher(error: Exception) -> bool:
    """Leave an error to the process that has launched this one, which says it once; say if one has.

    So it knows, too, that starting again would not help.
    """
    folder = os.environ.get(_ERRORS)
    if folder is None or not started_together():
        return False
    with contextlib.suppress(OSError):
        (Path(folder) / os.environ["RANK"]).write_text(str(error), encoding="utf-8")
        return True
    return False


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
    """Say whether `launch` or torchrun has started this process in the place of one that died."""
    names = (_RESTARTS, "TORCHELASTIC_RESTART_COUNT")
    return any(os.environ.get(name, "0") not in ("", "0") for name in names)
