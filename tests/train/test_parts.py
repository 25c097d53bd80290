"""What is told of a DTensor; tests/test_distribution.py trains with some."""

import torch
from torch import Tensor, nn

from presize.train.parts import lies_in_parts, own_parts


class Part:
    """A tensor of which this process has two elements."""

    def __init__(self) -> None:
        self.own = torch.zeros(2)

    def to_local(self) -> Tensor:
        return self.own


def test_whole_tensors_are_taken_as_they_are() -> None:
    whole, weight, part = torch.ones(3), nn.Parameter(torch.ones(1)), Part()
    assert [lies_in_parts(t) for t in (whole, weight, part)] == [False, False, True]
    got = own_parts([whole, part, weight])
    assert all(a is b for a, b in zip(got, (whole, part.own, weight), strict=True))
