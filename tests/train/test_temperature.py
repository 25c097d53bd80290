"""Temperature scaling against a general minimiser, and what has to hold whatever the scores are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from presize.core.errors import DataError
from presize.train.losses import activation_of
from presize.train.temperature import RANGE, fit_temperature, kind_of, scaled


def drawn(n=4000, c=5, sharper=1.0, seed=0):
    """Scores that are true to their probabilities at a temperature of `sharper`."""
    draws = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(n, c, generator=draws)
    true = torch.multinomial(z.softmax(1), 1, generator=draws).squeeze(1)
    return z * sharper, true


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_the_temperature_is_that_of_a_general_minimiser(sharper):
    from scipy.optimize import minimize_scalar

    z, true = drawn(sharper=sharper)
    found = fit_temperature(z, true, "softmax")

    def loss(t):
        return float(F.cross_entropy(z.double() / t, true))

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}).x
    # Platt's spread of the targets moves it by less than a part in a hundred here.
    assert found == pytest.approx(best, rel=0.01)
    assert loss(found) == pytest.approx(loss(best), rel=1e-4)
    assert found == pytest.approx(sharper, rel=0.05)


def test_of_several_labels_it_is_that_of_a_general_minimiser():
    from scipy.optimize import minimize_scalar

    draws = torch.Generator().manual_seed(1)
    z = 2 * torch.randn(3000, 4, generator=draws)
    true = torch.bernoulli(z.sigmoid(), generator=draws)
    z = z * 2.5
    found = fit_temperature(z, true, "sigmoid")

    def loss(t):
        return float(F.binary_cross_entropy_with_logits(z.double() / t, true.double()))

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}).x
    assert found == pytest.approx(best, rel=0.01)
    assert found == pytest.approx(2.5, rel=0.1)


def test_log_probabilities_have_the_temperature_of_their_scores():
    z, true = drawn(sharper=2.0)
    found = fit_temperature(z.log_softmax(1), true, "exp")
    assert found == pytest.approx(fit_temperature(z, true, "softmax"), rel=1e-4)
    probabilities = scaled(z.log_softmax(1), found, torch.exp)
    assert torch.allclose(probabilities, (z / found).softmax(1), atol=1e-6)
    assert torch.allclose(probabilities.sum(1), torch.ones(len(z)))


def test_a_few_items_that_are_all_right_do_not_make_a_model_certain():
    z = torch.eye(4).repeat(5, 1) * 3
    true = z.argmax(1)
    temperature = fit_temperature(z, true, "softmax")
    sure = (z / temperature).softmax(1).amax(1)
    assert temperature > RANGE[0]
    assert sure.max() == pytest.approx(1 - 3 / 4 / 21, abs=1e-4)  # 20 items, 4 classes


def test_it_stays_within_its_range_and_refuses_what_has_none():
    z = torch.randn(200, 3)
    assert fit_temperature(z * 1e-6, torch.randint(3, (200,)), "softmax") >= RANGE[0]
    wrong = (torch.eye(3) * 50).repeat(30, 1)
    high = fit_temperature(wrong, (wrong.argmax(1) + 1) % 3, "softmax")
    assert high == pytest.approx(RANGE[1], rel=1e-6)
    with pytest.raises(DataError, match="there are none"):
        fit_temperature(z[:0], torch.zeros(0), "softmax")
    z[3, 1] = float("nan")
    with pytest.raises(DataError, match="not all finite"):
        fit_temperature(z, torch.zeros(200), "softmax")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.05, 20), c=st.integers(2, 6))
def test_what_is_predicted_stays_the_same(seed, temperature, c):
    z = torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (50, c))).float()
    p = scaled(z, temperature, nn.Softmax(1))
    assert torch.equal(p.argmax(1), z.argmax(1))
    assert torch.allclose(p.sum(1), torch.ones(50))
    assert torch.equal(scaled(z, temperature, torch.sigmoid) > 0.5, z.sigmoid() > 0.5)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.CrossEntropyLoss(), "softmax"),
        (nn.NLLLoss(), "exp"),
        (nn.BCEWithLogitsLoss(), "sigmoid"),
        (nn.MSELoss(), None),
        (nn.BCELoss(), None),  # its outputs are probabilities already
    ],
)
def test_how_a_loss_makes_probabilities(loss, kind):
    assert kind_of(activation_of(loss)) == kind


def test_an_activation_for_other_outputs_is_of_no_kind():
    assert kind_of(lambda x: x["scores"]) is None
    assert kind_of(lambda x: x[:, :1].sigmoid()) is None
