import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from presize.core.errors import DataError
from presize.train.calibration_error import ProbabilityFigures, calibration_error


def by_hand(confidence, correct, n_bins):
    """The definition, bin by bin, with NumPy."""
    edges, total = np.linspace(0, 1, n_bins + 1), 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high) | ((confidence == 0) & (low == 0))
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return total


@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_the_error_is_that_of_the_definition(n_bins):
    rng = np.random.default_rng(0)
    confidence = np.concatenate([rng.random(500), [0.0, 1.0, 0.5]])
    correct = rng.random(503) < confidence**2
    found = calibration_error(torch.tensor(confidence), torch.tensor(correct), n_bins=n_bins)
    assert found == pytest.approx(by_hand(confidence, correct, n_bins), abs=1e-12)


def test_what_is_as_sure_as_it_is_right_has_no_error():
    confidence = torch.tensor([0.75] * 4 + [0.5] * 2)
    correct = torch.tensor([1, 1, 1, 0, 1, 0])
    assert calibration_error(confidence, correct) == 0
    assert calibration_error(torch.ones(3), torch.zeros(3)) == 1
    with pytest.raises(DataError, match="but got 0 and 0"):
        calibration_error(torch.zeros(0), torch.zeros(0))
    with pytest.raises(DataError, match="but got 2 and 3"):
        calibration_error(torch.zeros(2), torch.zeros(3))


@pytest.mark.parametrize("c", [2, 5])
def test_the_figures_are_those_of_scikit_learn(c):
    from sklearn.metrics import brier_score_loss, log_loss

    draws = torch.Generator().manual_seed(0)
    p = torch.randn(300, c, generator=draws, dtype=torch.float64).softmax(1)
    true = torch.randint(c, (300,), generator=draws)
    figures = ProbabilityFigures.of(p.float(), true)
    assert figures.nll == pytest.approx(log_loss(true, p, labels=range(c)), rel=1e-5)
    hot = F.one_hot(true, c)
    if c == 2:
        assert figures.brier == pytest.approx(brier_score_loss(true, p[:, 1]), rel=1e-5)
    assert figures.brier * (2 if c == 2 else 1) == pytest.approx(
        float((p - hot).square().sum(1).mean()), rel=1e-5
    )
    sure, chosen = p.max(1)
    wanted = by_hand(sure.numpy(), (chosen == true).numpy(), 15)
    assert figures.ece == pytest.approx(wanted, abs=1e-6)
    assert figures.to_dict() == {"ece": figures.ece, "brier": figures.brier, "nll": figures.nll}


def test_of_several_labels_each_counts():
    from sklearn.metrics import log_loss

    draws = torch.Generator().manual_seed(0)
    p = torch.rand(200, 3, generator=draws)
    true = torch.bernoulli(p, generator=draws)
    figures = ProbabilityFigures.of(p, true)
    flat, outcome = p.flatten().double().numpy(), true.flatten().numpy()
    assert figures.brier == pytest.approx(float(((flat - outcome) ** 2).mean()), rel=1e-5)
    assert figures.nll == pytest.approx(log_loss(outcome, flat), rel=1e-5)
    assert figures.ece == pytest.approx(by_hand(flat, outcome, 15), abs=1e-6)


def test_a_probability_of_none_for_what_is_true_is_no_infinite_figure():
    figures = ProbabilityFigures.of(torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    assert figures.ece == 1 and figures.brier == 1 and 80 < figures.nll < 100
