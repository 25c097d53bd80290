"""A record goes through JSON whole, and survives versions that know more or less."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.train.training_record import (
    DataFacts,
    FitRecord,
    TrainingRecord,
    number,
    taken,
    thinned,
)

FIT = FitRecord(
    method="fine_tune",
    trained="all layers",
    n_epoch=2,
    n_steps=3,
    names=["epoch", "train_loss", "time"],
    rows=[[0, 0.5, "00:01"]],
    epoch_steps=[3],
    loss_steps=[0, 1, 2],
    losses=[0.9, None, 0.5],
    hyper={"lr": [0.1, 0.2]},
    hyper_steps=[0, 2],
    seconds=1.5,
)
RECORD = TrainingRecord(
    fits=[FIT],
    data=DataFacts(source="pets", splits={"train": 3}, classes={"train": {"cat": 3}}),
    model={"name": "resnet18"},
    seed=42,
    command="presize train pets",
)


def test_a_record_comes_back_from_json():
    assert TrainingRecord.from_dict(json.loads(json.dumps(RECORD.to_dict()))) == RECORD


def test_what_another_version_wrote_is_read_as_far_as_it_is_known():
    plain = RECORD.to_dict() | {"mood": "good"}
    plain["fits"][0]["mood"] = "good"
    plain["data"]["mood"] = "good"
    del plain["seed"], plain["data"]["source"], plain["fits"][0]["waited"]
    found = TrainingRecord.from_dict(plain)
    assert found.fits == [FIT]
    assert found.seed is None and found.data.source is None
    assert TrainingRecord.from_dict({}) == TrainingRecord()


def test_a_fit_without_its_table_is_no_fit():
    with pytest.raises(TypeError, match="rows"):
        TrainingRecord.from_dict({"fits": [{"method": "fit"}]})


@pytest.mark.parametrize(
    "change",
    [
        {"fits": 3},
        {"fits": ["fit"]},
        {"environment": 3},
        {"model": "<b>"},
        {"data": {"splits": 7}},
        {"data": {"valid_marks": 7}},
        {"seed": {"a": 1}},
        {"started": [1]},
    ],
)
def test_values_of_another_type_are_refused(change):
    with pytest.raises(TypeError, match="wants"):
        TrainingRecord.from_dict(RECORD.to_dict() | change)
    with pytest.raises(TypeError, match=r"TrainingRecord wants values by name, but got \[\]"):
        TrainingRecord.from_dict([])


@given(st.integers(0, 3000), st.integers(2, 600))
def test_thinned_positions_are_few_even_and_keep_the_ends(n, most):
    found = thinned(n, most)
    assert len(found) == min(n, most)
    assert found == sorted(set(found))
    assert not found or (found[0] == 0 and found[-1] == n - 1)
    steps = {b - a for a, b in pairwise(found)}
    assert not steps or max(steps) - min(steps) <= 1


def test_what_is_no_number_is_none():
    assert taken([1.23456789, math.nan, math.inf], [0, 1, 2, 7]) == [1.23457, None, None]
    assert [number(v) for v in (math.nan, "00:01", 3, None)] == [None, "00:01", 3, None]
