"""One of two processes of test_speed.py: what is fast for it differs from what is for the other.

python speed_worker.py RANK MEETING_FILE
"""

import sys
import time
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from presize.core.ranks import Rank
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.speed import auto
from presize.train.process_group import import_group_defaults

rank = int(sys.argv[1])


class Slow(nn.Conv2d):
    """Waits, unless its input is as this process likes it."""

    def forward(self, x: Tensor) -> Tensor:
        last = x.is_contiguous(memory_format=torch.channels_last)
        if last != (rank == 0):
            time.sleep(0.04)
        return super().forward(x)


def main() -> None:
    """Measure, and print what is on then."""
    torch.set_num_threads(1)
    import_group_defaults()
    store = distributed.FileStore(sys.argv[2], 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    data = [(torch.randn(4, 3, 6, 6), torch.tensor([0, 1, 0, 1]))]
    net = nn.Sequential(Slow(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    learn = Learner(DataLoaders(data, data), net, loss_func=F.cross_entropy)
    learn.parallel = SimpleNamespace(rank=Rank(rank, 2), around=lambda model: model)
    auto(learn, 3, compile=False)
    print("channels_last", learn.channels_last, flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
