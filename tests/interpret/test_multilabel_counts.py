import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from presize.interpret.multilabel_counts import (
    BINS,
    LabelCounts,
    bin_edges,
    bins_of,
    packed,
    unpacked,
)


def counted(probs, targets, parts=3):
    counts = LabelCounts(probs.shape[1])
    for some, true in zip(probs.chunk(parts), targets.chunk(parts), strict=True):
        counts.add(some, true)
    return counts


@pytest.mark.parametrize("rare", [0.5, 0.02])
def test_the_area_is_that_of_scikit_learn(rare):
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(3000, 5, generator=generator) < rare
    logits = torch.randn(3000, 5, generator=generator) * 3 + targets * 3 - 6 * (1 - rare)
    curves = counted(logits.sigmoid(), targets).curves()
    expected = [average_precision_score(targets[:, i], logits[:, i]) for i in range(5)]
    # 1,024 bins: 0.002 off at most, for 60 items of 3,000.
    np.testing.assert_allclose(curves.average_precision, expected, atol=0.003)


def test_curves_are_exact_at_each_threshold():
    generator = torch.Generator().manual_seed(2)
    probs = torch.rand(200, 3, generator=generator)
    targets = torch.rand(200, 3, generator=generator) < probs
    curves = counted(probs, targets).curves()
    for t in (0, 1, 300, 512, 600, 900):
        predicted = probs >= np.float32(curves.thresholds[t])
        hits = (predicted & targets).sum(0)
        recall = (hits / targets.sum(0)).numpy()
        np.testing.assert_allclose(curves.recall[:, t], recall, rtol=1e-6)
        if predicted.any(0).all():
            precision = (hits / predicted.sum(0)).numpy()
            np.testing.assert_allclose(curves.precision[:, t], precision, rtol=1e-6)
    assert curves.recall[:, 0].tolist() == [1, 1, 1]
    assert len(curves.thresholds) == len(bin_edges()) + 1
    assert (np.diff(curves.thresholds) > 0).all()


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50))
def test_bins_are_those_between_the_edges(values):
    probs = torch.tensor(values, dtype=torch.float64)
    found = bins_of(probs.float())
    logits, edges = probs.logit(), bin_edges().logit()
    # Of a probability within rounding of an edge either bin will do.
    lowest = torch.bucketize(logits - 1e-5 - 1e-5 * logits.abs(), edges)
    highest = torch.bucketize(logits + 1e-5 + 1e-5 * logits.abs(), edges)
    ends = (probs == 0) | (probs == 1)
    assert ((lowest <= found) & (found <= highest) | ends).all()
    assert (found[probs == 0] == 0).all() and (found[probs == 1] == BINS - 1).all()


def test_the_ends_of_the_range_and_a_label_that_nobody_has():
    probs = torch.tensor([[0.0, 0.5], [1.0, 0.1], [1.0, 0.9]])
    targets = torch.tensor([[0, 0], [1, 0], [1, 0]]).bool()
    curves = counted(probs, targets, 1).curves()
    assert curves.average_precision[0] == 1
    assert np.isnan(curves.average_precision[1]) and np.isnan(curves.recall[1]).all()


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 100))
def test_bits_come_back(n, c, seed):
    values = torch.rand(n, c, generator=torch.Generator().manual_seed(seed)) < 0.5
    bits = packed(values)
    assert bits.shape == (n, -(-c // 8)) and bits.dtype == torch.uint8
    assert torch.equal(unpacked(bits, c), values)
