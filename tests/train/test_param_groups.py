"""Parameter groups: what users pass, and which parameters decay."""

import pytest
import torch
from torch import nn

from presize.train.optim import SGD, Adam
from presize.train.param_groups import as_param_groups, is_norm, param_groups_for


def model() -> nn.Sequential:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(body, nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2)))


def groups_of(net: nn.Module) -> list[list[nn.Parameter]]:
    return [list(child.parameters()) for child in net.children()]


def test_everything_a_user_passes() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    for params in ([a, b], iter([a, b]), (p for p in (a, b)), a):
        groups = as_param_groups(params, "SGD")
        assert [g["layer_group"] for g in groups] == [0]
    nested = as_param_groups([[a], (p for p in [b])], "SGD")
    assert [(g["layer_group"], g["params"]) for g in nested] == [(0, [a]), (1, [b])]
    dicts = as_param_groups([{"params": a, "lr": 1.0}, {"params": [b], "layer_group": 0}], "SGD")
    assert [g["layer_group"] for g in dicts] == [0, 0]
    assert dicts[0] == {"layer_group": 0, "params": [a], "lr": 1.0}


def test_a_model_in_place_of_its_parameters() -> None:
    with pytest.raises(TypeError, match=r"Write SGD\(model.parameters\(\), lr\)"):
        SGD(nn.Linear(2, 2), 0.1)


def test_a_generator_read_twice() -> None:
    params = nn.Linear(2, 2).parameters()
    list(params)
    with pytest.raises(ValueError, match="can be read once only"):
        SGD(params, 0.1)


@pytest.mark.parametrize("params", [[1.0], [[1.0]], ["weight"], [torch.zeros(1), [torch.zeros(1)]]])
def test_no_parameters_inside(params: list[object]) -> None:
    with pytest.raises(TypeError, match="SGD"):
        SGD(params, 0.1)


def test_modules_in_a_list_are_layer_groups() -> None:
    net = model()
    opt = Adam([[*net[0].parameters()], net[1].parameters()])
    assert [len(g["params"]) for g in opt.param_groups] == [4, 4]


def test_norms_and_biases_do_not_decay() -> None:
    net = model()
    groups = param_groups_for(net, groups_of(net))
    assert [(g["layer_group"], g["decays"], len(g["params"])) for g in groups] == [
        (0, True, 1), (0, False, 3), (1, True, 1), (1, False, 3),
    ]  # fmt: skip
    assert groups[0]["params"][0] is net[0][0].weight
    opt = Adam(groups, wd=0.1)
    assert [g["weight_decay"] for g in opt.param_groups] == [0.1, 0.0, 0.1, 0.0]


def test_all_decay_when_asked() -> None:
    net = model()
    groups = param_groups_for(net, groups_of(net), wd_bn_bias=True)
    assert [(g["layer_group"], len(g["params"])) for g in groups] == [(0, 4), (1, 4)]


def test_attention_biases_do_not_decay() -> None:
    net = nn.MultiheadAttention(4, 2)
    steady = param_groups_for(net, [list(net.parameters())])[1]["params"]
    assert {id(net.in_proj_bias), id(net.out_proj.bias)} == {id(p) for p in steady}


def test_a_group_without_parameters_keeps_its_number() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    groups = param_groups_for(net, groups_of(net))
    assert [(g["layer_group"], len(g["params"])) for g in groups] == [(0, 1), (1, 0)]
    opt = SGD(groups, [0.1, 0.2])
    net(torch.ones(1, 2)).sum().backward()
    opt.step()


def test_tied_weights_stay_in_the_first_group() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    groups = param_groups_for(net, [[net[0].weight], [net[1].weight]])
    assert [len(g["params"]) for g in groups] == [1, 0]


def test_nothing_to_train() -> None:
    with pytest.raises(ValueError, match="Flatten has no parameters to train"):
        param_groups_for(nn.Flatten(), [[]])


def test_norms_are_known_by_class_and_by_name() -> None:
    class RmsNormOfMine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    norms = [nn.BatchNorm1d(3), nn.InstanceNorm2d(3, affine=True), nn.GroupNorm(1, 3)]
    assert all(map(is_norm, [*norms, nn.RMSNorm(3), RmsNormOfMine()]))
    assert not any(map(is_norm, [nn.Linear(3, 3), nn.Sequential(*norms), nn.ReLU()]))
