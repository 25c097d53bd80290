"""The search for the largest size, and the memory that a forward pass keeps."""

import pytest
import torch
from torch import nn

from presize.train.memory_need import SavedBytes, largest, trained_bytes


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 8, 9, 100, 255, 256, 1000, 5000])
@pytest.mark.parametrize("start", [1, 8, 64])
def test_largest_is_right_to_a_sixteenth(most: int, start: int) -> None:
    tried: list[int] = []

    def fits(n: int) -> bool:
        tried.append(n)
        return n <= most

    found = largest(fits, start, 1024)
    limit = min(most, 1024)
    assert found <= limit
    assert limit - found < max(found // 16, 1)
    assert len(tried) == len(set(tried)) <= 18
    assert all(1 <= n <= 1024 for n in tried)
    too_large = [n for n in tried if n > most]
    assert too_large == sorted(too_large, reverse=True), (
        "what is larger than a failure is not tried"
    )


def test_what_fits_altogether_is_the_limit() -> None:
    assert largest(lambda n: True, 8, 100) == 100
    assert largest(lambda n: True, 800, 100) == 100
    assert largest(lambda n: True, 8, 1) == 1


def test_kept_bytes_count_shared_memory_once_and_no_weights() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    x = torch.randn(10, 4)
    with SavedBytes(net) as kept:
        loss = net(x).square().mean()
    # Kept are x, what ReLU made (by itself and by the layer after it), and what is squared.
    assert kept.total == 4 * 10 * (4 + 8 + 2)
    assert kept.most == 4 * 10 * 8
    loss.backward()
    nets = net[0].weight.grad
    assert nets is not None and nets.shape == (8, 4)


def test_what_training_takes_besides() -> None:
    assert trained_bytes(nn.Linear(4, 8, bias=False)) == 3 * 32 * 4
