"""Metric functions against NumPy."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from presize.train.metrics import (
    accuracy,
    accuracy_multi,
    error_rate,
    exp_rmspe,
    foreground_acc,
    mae,
    mse,
    msle,
    rmse,
    top_k_accuracy,
)


@given(st.integers(1, 30), st.integers(2, 7))
def test_accuracy(n: int, classes: int) -> None:
    scores, targets = torch.randn(n, classes), torch.randint(classes, (n,))
    right = scores.numpy().argmax(1) == targets.numpy()
    assert float(accuracy(scores, targets)) == pytest.approx(right.mean())
    assert float(accuracy(scores, targets[:, None])) == pytest.approx(right.mean())
    assert float(error_rate(scores, targets)) == pytest.approx(1 - right.mean(), abs=1e-6)


def test_accuracy_of_masks() -> None:
    scores, mask = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    expected = (scores.argmax(1) == mask).float().mean()
    assert accuracy(scores, mask, axis=1) == expected
    assert partial(accuracy, axis=1)(scores, mask[:, None]) == expected


@given(st.integers(1, 30), st.integers(1, 6))
def test_top_k(n: int, k: int) -> None:
    scores, targets = torch.randn(n, 6), torch.randint(6, (n,))
    best = np.argsort(-scores.numpy(), axis=1)[:, :k]
    expected = np.mean([t in row for t, row in zip(targets.numpy(), best, strict=True)])
    assert float(top_k_accuracy(scores, targets, k=k)) == pytest.approx(expected)


def test_accuracy_multi() -> None:
    scores, labels = torch.randn(5, 3), torch.randint(2, (5, 3))
    expected = ((scores.sigmoid() > 0.3) == labels.bool()).float().mean()
    assert accuracy_multi(scores, labels, thresh=0.3) == expected
    assert accuracy_multi(scores.sigmoid(), labels.float(), thresh=0.3, sigmoid=False) == expected


def test_regression() -> None:
    inp, targ = torch.rand(8, 1) + 1, torch.rand(8) + 1
    a, b = inp.numpy().ravel(), targ.numpy()
    assert float(mse(inp, targ)) == pytest.approx(np.mean((a - b) ** 2), rel=1e-5)
    assert float(rmse(inp, targ)) == pytest.approx(np.sqrt(np.mean((a - b) ** 2)), rel=1e-5)
    assert float(mae(inp, targ)) == pytest.approx(np.mean(np.abs(a - b)), rel=1e-5)
    logs = np.log1p(a) - np.log1p(b)
    assert float(msle(inp, targ)) == pytest.approx(np.mean(logs**2), rel=1e-4)
    relative = (np.exp(b) - np.exp(a)) / np.exp(b)
    assert float(exp_rmspe(inp, targ)) == pytest.approx(np.sqrt(np.mean(relative**2)), rel=1e-4)
    assert float(mse(inp, torch.ones(8).long())) == pytest.approx(np.mean((a - 1) ** 2), rel=1e-5)


def test_foreground() -> None:
    scores, mask = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    there = mask != 0
    expected = (scores.argmax(1)[there] == mask[there]).float().mean()
    assert float(foreground_acc(scores, mask)) == pytest.approx(float(expected))
    assert float(foreground_acc(scores, mask[:, None])) == pytest.approx(float(expected))


@pytest.mark.parametrize("function", [accuracy, error_rate, top_k_accuracy])
@pytest.mark.parametrize("shape", [(8, 1), (8,)])
def test_one_output_is_no_class_score(function: object, shape: tuple[int, ...]) -> None:
    # argmax over one output is always 0: the accuracy would be wrong without a word
    with pytest.raises(ValueError, match=r"needs a score for each of at least two classes"):
        function(torch.randn(shape), torch.zeros(8))


def test_another_number_of_targets() -> None:
    with pytest.raises(
        ValueError, match=r"`accuracy` .* shape \[8\] and targets of shape \[8, 3\]"
    ):
        accuracy(torch.randn(8, 3), torch.zeros(8, 3))


def test_more_than_all_classes() -> None:
    with pytest.raises(ValueError, match=r"the 5 best classes, but the model has 3.*k=2\)"):
        top_k_accuracy(torch.randn(8, 3), torch.zeros(8).long())


def test_accuracy_of_labels_and_masks_tells_the_way_out() -> None:
    with pytest.raises(ValueError, match="For several labels per item use accuracy_multi"):
        accuracy(torch.randn(8, 3), torch.zeros(8, 3))
    with pytest.raises(ValueError, match=r"partial\(accuracy, axis=1\)"):
        accuracy(torch.randn(2, 3, 8, 8), torch.zeros(2, 8, 8))


def test_quantities_of_half_precision_are_compared_in_single() -> None:
    inp, targ = torch.full((8,), 100.5).bfloat16(), torch.full((8,), 100.0)
    assert float(mse(inp, targ)) == 0.25
    assert float(mae(inp, targ)) == 0.5
    assert mse(inp, targ).dtype == torch.float32
    assert mse(inp.double(), targ).dtype == torch.float64


@pytest.mark.parametrize("function", [accuracy, error_rate, partial(top_k_accuracy, k=1)])
def test_one_output_for_yes_or_no(function: object) -> None:
    scores, targets = torch.randn(30, 1), torch.randint(2, (30,))
    right = float(((scores[:, 0] > 0) == targets).float().mean())
    expected = 1 - right if function is error_rate else right
    for like in (targets, targets[:, None], targets.bool()):
        assert float(function(scores, like)) == pytest.approx(expected)


def test_one_output_for_the_foreground() -> None:
    scores, mask = torch.randn(2, 1, 4, 4), torch.randint(2, (2, 4, 4)).to(torch.uint8)
    expected = (scores[:, 0] > 0)[mask == 1].float().mean()
    assert float(foreground_acc(scores, mask)) == pytest.approx(float(expected))


def test_void_is_no_foreground() -> None:
    scores, mask = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    clean = foreground_acc(scores[1:], mask[1:])
    mask[0, :2], mask[0, 2:] = 255, -100
    assert foreground_acc(scores, mask) == clean


def test_one_hot_targets_of_the_best_classes() -> None:
    with pytest.raises(ValueError, match=r"`top_k_accuracy` .* for one-hot targets class numbers"):
        top_k_accuracy(torch.randn(4, 10), torch.eye(10)[:4])
    with pytest.raises(ValueError, match=r"partial\(top_k_accuracy, axis=1\)"):
        top_k_accuracy(torch.randn(2, 3, 8, 8), torch.zeros(2, 8, 8))
