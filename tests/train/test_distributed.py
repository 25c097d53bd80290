"""How one process computes a step; what several do is in tests/test_distribution.py."""

import torch
from torch import nn

from presize.core.ranks import Rank
from presize.train.distributed import Parallel


def test_one_process_needs_nothing() -> None:
    model, alone = nn.Linear(2, 3), Parallel()
    weights = [p.clone() for p in model.parameters()]
    assert alone.rank == Rank(0, 1)
    assert alone.around(model) is model
    assert alone.share(3, 5) == 1.0
    assert not alone.in_parts
    for on in (True, False):
        with alone.accumulating(on):
            model(torch.ones(1, 2)).sum().backward()
    for nothing in (alone.average, alone.broadcast, alone.same_buffers):
        nothing(model)
    alone.wait()
    alone.leave(failing=True)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=True))
    assert torch.equal(model.bias.grad, torch.full((3,), 2.0))
