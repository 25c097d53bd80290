"""Which of several training processes this one is."""

import os
import sys
from typing import NamedTuple

from presize.core.errors import DataError


class Rank(NamedTuple):
    """Process `number` of `world` processes that train one model together."""

    number: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.number == 0


def current_rank() -> Rank:
    """Return the rank that torch.distributed gives, or the variables RANK and WORLD_SIZE.

    `torchrun` sets these before a program starts, so that data can be prepared before the processes
    have found each other.

    Raises:
        DataError: the variables are no numbers, or contradict each other.
    """
    # Without PyTorch there is no group, and the command line asks before it needs that.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return Rank(distributed.get_rank(), distributed.get_world_size())
    told = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not all(text.isdecimal() for text in told) or not int(told[0]) < int(told[1]):
        raise DataError(
            f"RANK={told[0]} and WORLD_SIZE={told[1]} should say which of how many processes this "
            "is, such as RANK=0 and WORLD_SIZE=2. Start the program with torchrun, which sets "
            "both, or remove them from the environment."
        )
    return Rank(int(told[0]), int(told[1]))


def is_main() -> bool:
    """Say whether this process prints and writes: the only one, or the first of several."""
    return current_rank().is_main


def started_together() -> bool:
    """Say whether the environment is that of a process that `torchrun` has started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def local_rank() -> int:
    """Return the number of this process on its machine, which is also that of its GPU."""
    told = os.environ.get("LOCAL_RANK", "")
    return int(told) if told.isdecimal() else current_rank().number
