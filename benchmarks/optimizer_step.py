"""Milliseconds of one optimizer step on a resnet18, fused and as PyTorch chooses by itself.

    python benchmarks/optimizer_step.py

Prints one line of JSON for each: the median of 8 steps after three that are not counted.
"""

import json
import statistics
import time

import torch
from torchvision.models import resnet18


def milliseconds(kind: type[torch.optim.Optimizer], *, fused: bool, **options: float) -> float:
    """Return the median time of a step with random gradients."""
    net = resnet18()
    for weight in net.parameters():
        weight.grad = torch.randn_like(weight)
    opt = kind(net.parameters(), lr=1e-3, fused=fused, **options)
    times = []
    for _ in range(11):
        start = time.perf_counter()
        opt.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:]) * 1e3


def main() -> None:
    """Print the figures of AdamW and of SGD with momentum."""
    for kind, options in ((torch.optim.AdamW, {}), (torch.optim.SGD, {"momentum": 0.9})):
        for fused in (False, True):
            found = milliseconds(kind, fused=fused, **options)
            print(json.dumps({"what": kind.__name__, "fused": fused, "ms": round(found, 1)}))


if __name__ == "__main__":
    main()
