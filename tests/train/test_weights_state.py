"""Weights by name into a model, or a list of what does not fit."""

import pytest
import torch
from torch import nn

from presize.core.errors import ModelFileError
from presize.train.weights_state import load_weights


def net(out: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, out))


def test_all_fits() -> None:
    a, b = net(), net()
    report = load_weights(a, b.state_dict())
    assert not report
    assert str(report) == ""
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_everything_that_does_not_fit_is_listed_and_nothing_changes() -> None:
    model, weights = net(), net(5).state_dict()
    weights["extra"] = torch.zeros(1)
    del weights["1.weight"]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ModelFileError) as error:
        load_weights(model, weights)
    text = str(error.value)
    assert "do not fit this Sequential:" in text
    assert "1 that the model has, but not the file: 1.weight" in text
    assert "1 that the file has, but not the model: extra" in text
    assert "2.weight ([5, 4] in the file, [2, 4] in the model)" in text
    assert "same architecture, same classes" in text
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_what_fits_alone() -> None:
    model, other = net(), net(5)
    report = load_weights(model, other.state_dict(), strict=False)
    assert torch.equal(model[0].weight, other[0].weight)
    assert [len(x) for x in (report.missing, report.unexpected, report.mismatched)] == [0, 0, 2]
    assert model[2].out_features == 2


def test_a_prefix_is_recognised() -> None:
    weights = {f"module.{k}": v for k, v in net().state_dict().items()}
    with pytest.raises(ModelFileError, match=r"begins with `module.`: remove it"):
        load_weights(net(), weights)


def test_long_lists_are_cut() -> None:
    with pytest.raises(ModelFileError, match=r"9 that the model has, .* and 3 more"):
        load_weights(net(), {})


def test_dtype_and_device_of_the_model_stay() -> None:
    model = net().double()
    load_weights(model, net().half().state_dict())
    assert model[0].weight.dtype == torch.float64


def test_tied_weights() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    load_weights(model, {k: torch.ones_like(v) for k, v in model.state_dict().items()})
    assert model[0].weight is model[1].weight
    assert float(model[1].weight.detach().sum()) == 9
