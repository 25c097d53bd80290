from typing import Any

import pytest
from torch import nn
from torchvision.models import mobilenet_v2, resnet18

from presize.models.arch import create_vision_model
from presize.models.groups import (
    BodySplit,
    check_groups,
    default_split,
    freeze_to,
    is_norm_param,
    norm_layers,
    norm_params,
    params,
    require_groups,
    trainable_params,
)


def _small() -> nn.Sequential:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    return nn.Sequential(body, nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))


def _trained(group: list[nn.Parameter]) -> list[bool]:
    return [p.requires_grad for p in group]


def test_one_group_of_all_that_is_not_frozen() -> None:
    model: Any = _small()
    model[0][0].requires_grad_(False)
    (group,) = trainable_params(model)
    assert len(group) == 6 and len(params(model)) == 8
    check_groups(model, [group])


def test_plain_body_and_head_make_two_groups() -> None:
    model = _small()
    body, head = default_split(model)
    assert [id(p) for p in body] == [id(p) for p in model[0].parameters()]
    assert len(head) == 2
    assert [len(g) for g in BodySplit(2)(model)] == [2, 4, 2]
    with pytest.raises(ValueError, match=r"part Conv2d into body and head.* splitter="):
        default_split(nn.Conv2d(3, 3, 3))


@pytest.mark.parametrize("arch", [resnet18, mobilenet_v2])
def test_frozen_groups_keep_their_norms_in_training(arch: object) -> None:
    model = create_vision_model(arch, 2, pretrained=False)  # type: ignore[arg-type]
    groups = default_split(model)
    norms = {id(p) for p in norm_params(model)}
    freeze_to(model, groups, -1)
    for p in groups[0] + groups[1]:
        assert p.requires_grad == (id(p) in norms)
    assert all(_trained(groups[2]))
    freeze_to(model, groups, -1, train_bn=False)
    assert not any(_trained(groups[0] + groups[1])) and all(_trained(groups[2]))
    freeze_to(model, groups, 1, train_bn=False)
    assert not any(_trained(groups[0])) and all(_trained(groups[1] + groups[2]))
    freeze_to(model, groups, -2)
    assert all(_trained(groups[1]))
    freeze_to(model, groups, 0)
    assert all(p.requires_grad for p in model.parameters())


def test_freezing_all_warns_and_beyond_raises() -> None:
    model = _small()
    groups = default_split(model)
    with pytest.warns(UserWarning, match=r"freeze_to\(2\) freezes the whole model"):
        freeze_to(model, groups, 2)
    for n in (3, -3):
        with pytest.raises(ValueError, match=f"Cannot freeze to {n}: the model has 2 groups"):
            freeze_to(model, groups, n)


def test_norm_layers_of_all_kinds() -> None:
    model: Any = nn.Sequential(
        nn.BatchNorm2d(2), nn.InstanceNorm2d(2, affine=True), nn.GroupNorm(1, 2),
        nn.LayerNorm(2), nn.RMSNorm(2), nn.Linear(2, 2),
    )  # fmt: skip
    assert norm_layers(model) == list(model)[:5]
    assert len(norm_params(model)) == 9
    assert is_norm_param(model, next(iter(model[0].parameters())))
    assert not is_norm_param(model, model[5].weight)


def test_a_model_without_groups_is_told_so() -> None:
    with pytest.raises(
        ValueError, match=r"fine_tune freezes .* this model has 1 group, so .*vision"
    ):
        require_groups(trainable_params(_small()))
    with pytest.raises(ValueError, match="freeze freezes"):
        require_groups([], "freeze")
    require_groups(default_split(_small()))


def test_groups_that_miss_double_or_invent_parameters() -> None:
    model = _small()
    every = params(model)
    with pytest.raises(ValueError, match=r"leaves out 2 parameters.*: 1\.1\.weight, 1\.1\.bias"):
        check_groups(model, [every[:6]])
    with pytest.raises(
        ValueError, match=r"1 parameter into more .*: 0\.0\.weight \(groups \[0, 1\]"
    ):
        check_groups(model, [every, every[:1]])
    with pytest.raises(
        ValueError, match=r"2 parameters that Sequential does not have, in groups \[1"
    ):
        check_groups(model, [every, params(nn.Linear(2, 2))])
    with pytest.raises(TypeError, match="list of lists of parameters; its group 0 holds something"):
        check_groups(model, every)
    with pytest.raises(ValueError, match=r"leaves out 8 .*, \.\.\. and 3 more"):
        check_groups(model, [])
    for p in every[6:]:
        p.requires_grad_(False)
    check_groups(model, [every[:6]])
