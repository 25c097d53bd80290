"""Gradients of several batches, against those of one batch as large as all of them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from presize.train.accumulation import Accumulation


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5), batches=st.integers(1, 5))
def test_any_sizes_give_the_gradient_of_the_mean_over_all_items(sizes, batches):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    sizes = sizes[:batches]
    parts = [(torch.randn(n, 3), torch.randn(n, 1)) for n in sizes]
    group = Accumulation(batches)
    for number, (x, y) in enumerate(parts, 1):
        assert group.completes() == (number == batches)
        (F.mse_loss(model(x), y) * group.weight(len(x))).backward()
        group.add(len(x))
    assert group.pending
    group.finish(opt)
    assert not group.pending
    found = [p.grad.clone() for p in model.parameters()]
    opt.zero_grad()
    x, y = (torch.cat(column) for column in zip(*parts, strict=True))
    F.mse_loss(model(x), y).backward()
    for gradient, weight in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-4, atol=1e-6)


def test_a_group_that_is_begun_again_forgets_the_first_attempt():
    model = nn.Linear(3, 1)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    group = Accumulation(3)
    group.add(5)
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    weight = group.weight(len(x))  # before it is known that the others are lost
    group.restart()
    assert not group.pending
    (F.mse_loss(model(x), y) * weight).backward()
    group.add(len(x))
    group.finish(opt)
    found = model.weight.grad.clone()
    opt.zero_grad()
    F.mse_loss(model(x), y).backward()
    torch.testing.assert_close(found, model.weight.grad)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "4"])
def test_what_is_no_number_of_batches_is_refused(wrong):
    with pytest.raises(ValueError, match="accumulate is the number of batches that make one step"):
        Accumulation(wrong)
