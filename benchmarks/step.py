"""Training steps of the Learner against a hand-written loop of the same kernels.

    python benchmarks/step.py [--arch resnet50] [--size 224] [--bs 128] [--precision bf16]
                              [--channels-last] [--compile] [--steps 100] [--runs 5] [--auto]

Both train the same network on batches that lie on the device already, with the same optimizer, the
same precision, the same order of values in memory, and compiled or not, in turns. On a CUDA GPU if
there is one, else on the CPU. Prints one line of JSON: pictures a second of each, median and range,
and the median of the Learner's share of the hand-written loop's over neighbouring runs. With
--auto the table of `learn.auto()` for the same network and batch comes before it.
"""

import argparse
import json
import platform
import statistics
import time

import torch
import torch.nn.functional as F
import torchvision.models
from torch import nn

from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.speed import auto
from presize.train.optim import Adam
from presize.train.precision import Precision


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cuda = torch.cuda.is_available()
    parser.add_argument("--arch", default="resnet50" if cuda else "resnet18")
    parser.add_argument("--size", type=int, default=224 if cuda else 64)
    parser.add_argument("--bs", type=int, default=128 if cuda else 32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--precision", default="bf16" if cuda else "fp32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=100 if cuda else 10)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--auto", action="store_true", help="show what learn.auto() measures")
    return parser.parse_args()


class Bare:
    """The loop that one would write for these settings, and nothing besides."""

    def __init__(self, net: nn.Module, given: argparse.Namespace, device: torch.device) -> None:
        net = net.to(device)
        if given.channels_last:
            net = net.to(memory_format=torch.channels_last)
        self.opt = Adam(list(net.parameters()), 1e-4)  # torch.optim.AdamW, fused
        self.net = torch.compile(net) if given.compile else net
        self.precision, self.device = Precision(given.precision), device
        self.last = given.channels_last

    def __call__(self, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Train on these batches."""
        self.net.train()
        with self.precision.applied(self.device):
            for x, y in batches:
                if self.last:
                    x = x.contiguous(memory_format=torch.channels_last)
                with self.precision.autocast(self.device):
                    loss = F.cross_entropy(self.net(x), y)
                self.precision.backward(loss)
                self.precision.step(self.opt)
                self.opt.zero_grad()


def seconds(work: object, device: torch.device) -> float:
    """Return how long a piece of work takes, to its last kernel."""
    assert callable(work)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    given = parsed()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x = torch.randn(given.bs, 3, given.size, given.size, device=device)
    y = torch.randint(0, given.classes, (given.bs,), device=device)
    batches = [(x, y)] * given.steps
    make = getattr(torchvision.models, given.arch)
    torch.manual_seed(0)
    bare = Bare(make(num_classes=given.classes), given, device)
    torch.manual_seed(0)
    learn = Learner(
        DataLoaders(batches, [], device=device),
        make(num_classes=given.classes),
        loss_func=F.cross_entropy,
        precision=given.precision,
        channels_last=given.channels_last,
        compile=given.compile,
    )
    if given.auto:
        other = Learner(
            DataLoaders(batches, [], device=device),
            make(num_classes=given.classes),
            loss_func=F.cross_entropy,
        )
        auto(other, compile=device.type == "cuda")

    def fitted() -> None:
        with learn.no_logging():
            learn.fit(1, 1e-4)

    times: dict[str, list[float]] = {"bare": [], "learner": []}
    for run in range(given.runs + 1):  # the first, in which kernels are chosen, does not count
        for name, work in (("bare", lambda: bare(batches)), ("learner", fitted)):
            taken = seconds(work, device)
            if run:
                times[name].append(given.bs * given.steps / taken)
    shares = [b / a for a, b in zip(times["bare"], times["learner"], strict=True)]
    result: dict[str, object] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "settings": {k: v for k, v in vars(given).items() if k not in ("auto", "runs")},
    }
    for name, rates in times.items():
        result[f"{name}_per_s"] = round(statistics.median(rates), 1)
        result[f"{name}_range"] = [round(min(rates), 1), round(max(rates), 1)]
    result["share"] = round(statistics.median(shares), 4)
    result["share_range"] = [round(min(shares), 4), round(max(shares), 4)]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
