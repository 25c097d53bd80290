import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from presize.core.errors import ModelFileError
from presize.train.calibration import (
    Calibration,
    Unknown,
    drop_calibration,
    enough_for,
    threshold_for,
)
from presize.train.calibration_error import ProbabilityFigures
from presize.train.outliers import Outliers

BEFORE, AFTER = ProbabilityFigures(0.1, 0.2, 0.3), ProbabilityFigures(0.01, 0.15, 0.25)


def calibration(**values):
    given = {"temperature": 1.5, "n": 1234, "before": BEFORE, "after": AFTER} | values
    return Calibration(**given)


@pytest.mark.parametrize(
    "values", [{}, {"unknown": "confidence", "coverage": 0.95, "threshold": 0.25}]
)
def test_what_is_told_in_json_comes_back(values):
    told = calibration(**values)
    plain = json.loads(json.dumps(told.to_dict()))
    assert Calibration.from_dict(plain, told.tensors()) == told


def test_an_outlier_score_goes_into_tensors():
    outliers = Outliers.fit(torch.randn(40, 6), torch.arange(40) % 2)
    told = calibration(unknown="features", coverage=0.9, threshold=3.0, outliers=outliers)
    again = Calibration.from_dict(told.to_dict(), told.tensors())
    x = torch.randn(7, 6)
    assert torch.equal(again.strangeness(torch.rand(7, 2), x), outliers.score(x))


def test_its_text_is_a_table():
    assert repr(calibration(unknown="confidence", coverage=0.99, threshold=0.412)).splitlines() == [
        "temperature 1.5, fitted to 1,234 items",
        "                     before   after",
        "calibration error    0.1000  0.0100",
        "Brier score          0.2000  0.1500",
        "NLL                  0.3000  0.2500",
        "none of these: confidence below 0.588, which lets 0.99 of known items through",
    ]
    assert "none of these" not in repr(calibration())


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"temperature": "hot"},
        {"before": {"ece": 1}},
        {"unknown": "magic", "threshold": 1.0},
        {"unknown": "features", "threshold": 1.0},  # without tensors
        {"unknown": "confidence"},  # without a threshold
        {"threshold": 0.5},
        {"unknown": "confidence", "threshold": math.nan, "coverage": 0.9},
        {"unknown": "confidence", "threshold": math.inf, "coverage": 0.9},
        {"unknown": "confidence", "threshold": "0.5", "coverage": 0.9},
        {"unknown": "confidence", "threshold": True, "coverage": 0.9},
        {"unknown": "confidence", "threshold": 10**400, "coverage": 0.9},
        {"unknown": "confidence", "threshold": 0.5},  # without a coverage
        {"unknown": "confidence", "threshold": 0.5, "coverage": 7},
        {"unknown": "confidence", "threshold": 0.5, "coverage": "most"},
        {"unknown": ["confidence"], "threshold": 0.5, "coverage": 0.9},
        {"n": math.inf},
        {"n": -3},
        {"temperature": 10**400},
        {"after": {"ece": "low", "brier": 0.1, "nll": 0.1}},
        {"after": {"ece": None, "brier": 0.1, "nll": 0.1}},
    ],
)
def test_impossible_values_are_refused(change):
    plain = calibration().to_dict() | change
    with pytest.raises(ModelFileError, match="calibration in the model file is not valid"):
        Calibration.from_dict(plain, {})
    missing = calibration().to_dict()
    del missing["temperature"]
    with pytest.raises(ModelFileError, match="wants `temperature`: missing"):
        Calibration.from_dict(missing, {})


def test_an_item_above_the_threshold_is_unknown():
    told = calibration(unknown="confidence", coverage=0.99, threshold=0.5)
    p = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.25]])
    assert torch.equal(told.strangeness(p), torch.tensor([0.25, 0.5, 0.75]))
    assert told.judged(p) == [
        Unknown(False, 0.25, 0.5), Unknown(False, 0.5, 0.5), Unknown(True, 0.75, 0.5),
    ]  # fmt: skip
    # Outputs that are no numbers are those of nothing known.
    assert told.judged(torch.full((1, 2), math.nan))[0]
    assert calibration().strangeness(p) is None and calibration().judged(p) is None


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 300), coverage=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_a_part_of_the_items_stays_below_the_threshold(n, coverage, seed):
    scores = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    threshold = threshold_for(scores, coverage)
    assert float((scores <= threshold).double().mean()) >= coverage - 1e-9
    # One item less, and it would not: the threshold is as low as it can be, but for the new item.
    below = float((scores < threshold).double().mean())
    assert below <= coverage + 1 / n


def test_the_least_coverage_lets_the_least_strange_item_through():
    assert threshold_for(torch.tensor([3.0, 1.0, 2.0]), 1e-12) == 1


def test_new_items_are_known_as_often_as_was_asked_for():
    """Of 30 items each, 2,000 times: the threshold of the plain quantile would fall short."""
    draws = torch.Generator().manual_seed(0)
    known = [
        float(torch.rand(1, generator=draws)) <= threshold_for(torch.rand(30, generator=draws), 0.9)
        for _ in range(2000)
    ]
    assert 0.89 <= sum(known) / 2000 <= 0.93


def test_how_many_items_a_coverage_takes():
    for coverage in (0.5, 0.9, 0.99, 0.995):
        n = enough_for(coverage)
        assert math.ceil((n + 1) * coverage - 1e-9) <= n
        assert math.ceil(n * coverage - 1e-9) > n - 1  # one less is too few
    assert enough_for(0.99) == 99


def test_it_is_dropped_with_a_warning_once():
    class Some:
        calibration = calibration()

    learn = Some()
    with pytest.warns(UserWarning, match=r"The fit changes the weights.*learn.calibrate\(\)"):
        drop_calibration(learn, "The fit")
    assert learn.calibration is None
    drop_calibration(learn, "The fit")
