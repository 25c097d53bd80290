"""Rates of an optimizer by one set of names."""

import numpy as np
import pytest
import torch
from torch import nn

from presize.train.hyper import get_hyper, has_momentum, hyper_names, n_layer_groups, set_hyper
from presize.train.optim import SGD, Adam, OptimWrapper, RMSProp
from presize.train.param_groups import param_groups_for


def two_groups() -> list[dict[str, object]]:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    return param_groups_for(net, [list(layer.parameters()) for layer in net])


def test_one_value_per_layer_group() -> None:
    opt = Adam(two_groups())
    assert n_layer_groups(opt) == 2
    set_hyper(opt, "lr", np.array([0.1, 0.2]))
    assert [g["lr"] for g in opt.param_groups] == [0.1, 0.1, 0.2, 0.2]
    assert get_hyper(opt, "lr") == [0.1, 0.2]
    set_hyper(opt, "lr", 0.3)
    assert get_hyper(opt, "lr") == [0.3, 0.3]
    set_hyper(opt, "lr", np.float64(0.4))
    assert get_hyper(opt, "lr") == [0.4, 0.4]


def test_names_map_to_torchs() -> None:
    adam, sgd, rms = Adam(two_groups()), SGD(two_groups(), mom=0.9), RMSProp(two_groups(), mom=0.5)
    for opt in (adam, sgd, rms):
        set_hyper(opt, "mom", 0.8)
        assert get_hyper(opt, "mom") == [0.8, 0.8]
    assert adam.param_groups[0]["betas"] == (0.8, 0.99)
    assert sgd.param_groups[0]["momentum"] == 0.8
    set_hyper(adam, "sqr_mom", [0.5, 0.6])
    assert adam.param_groups[3]["betas"] == (0.8, 0.6)
    set_hyper(rms, "sqr_mom", 0.7)
    assert rms.param_groups[0]["alpha"] == 0.7
    set_hyper(adam, "eps", 1e-3)
    assert get_hyper(adam, "eps") == [1e-3, 1e-3]


@pytest.mark.parametrize("make", [Adam, SGD, RMSProp])
def test_decay_leaves_norms_and_biases_alone(make: object) -> None:
    opt = make(two_groups(), wd=0.1)
    set_hyper(opt, "wd", 0.5)
    key = "wd" if "wd" in opt.param_groups[0] else "weight_decay"
    assert [g[key] for g in opt.param_groups] == [0.5, 0.0, 0.5, 0.0]
    assert get_hyper(opt, "wd") == [0.5, 0.5]


def test_a_rate_that_is_a_tensor_stays_that_tensor() -> None:
    lr = torch.tensor(0.1)
    opt = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=lr, capturable=False)
    set_hyper(opt, "lr", 0.5)
    assert opt.param_groups[0]["lr"] is lr
    assert get_hyper(opt, "lr") == [0.5]


def test_unknown_names() -> None:
    with pytest.raises(
        ValueError, match=r"AdamW has no hyper-parameter `moms`. Did you mean `mom`"
    ):
        set_hyper(Adam(two_groups()), "moms", 0.9)
    with pytest.raises(ValueError, match=r"SGD has no .* It has: lr, mom, wd"):
        get_hyper(SGD(two_groups()), "sqr_mom")


def test_wrong_number_of_values() -> None:
    with pytest.raises(ValueError, match=r"2 layer group\(s\), but 3 value\(s\) of `lr` came"):
        set_hyper(Adam(two_groups()), "lr", [1, 2, 3])


def test_who_has_momentum() -> None:
    assert not has_momentum(SGD(two_groups()))
    assert has_momentum(SGD(two_groups(), mom=0.9))
    assert has_momentum(Adam(two_groups()))
    assert not has_momentum(OptimWrapper(two_groups(), torch.optim.Adagrad))
    assert hyper_names(Adam(two_groups())) == ["lr", "mom", "sqr_mom", "wd", "eps"]
    assert hyper_names(SGD(two_groups())) == ["lr", "mom", "wd"]
