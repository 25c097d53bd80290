"""An optimizer goes into a file and comes back to the same bits."""

from pathlib import Path

import pytest
import torch
from torch import nn

from presize.core.errors import ModelFileError
from presize.train.hyper import set_hyper
from presize.train.optim import SGD, Adam, OptimWrapper, RAdam, RMSProp
from presize.train.optim_state import flatten_optimizer, restore_optimizer
from presize.train.param_groups import param_groups_for
from presize.train.state import load_state, save_state


def net_of(width: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, 1))


def opt_for(net: nn.Sequential, make: object) -> torch.optim.Optimizer:
    groups = [list(net[:2].parameters()), list(net[2].parameters())]
    return make(param_groups_for(net, groups), lr=[0.1, 0.2])


def train(net: nn.Sequential, opt: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        set_hyper(opt, "lr", [0.1 / (step + 1), 0.2])
        net(torch.arange(8.0).view(4, 2)).square().mean().backward()
        opt.step()
        opt.zero_grad()


MAKERS = {
    "adam": Adam,
    "sgd": SGD,
    "momentum": lambda p, lr: SGD(p, lr, mom=0.9, wd=0.1),
    "rmsprop": lambda p, lr: RMSProp(p, lr, mom=0.9),
    "radam": RAdam,
    "amsgrad": lambda p, lr: OptimWrapper(p, torch.optim.AdamW, lr=lr, amsgrad=True),
    "adagrad": lambda p, lr: OptimWrapper(p, torch.optim.Adagrad, lr=lr),
}


@pytest.mark.parametrize("name", MAKERS)
def test_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    net = net_of()
    opt = opt_for(net, MAKERS[name])
    train(net, opt, 3)
    tensors, meta = flatten_optimizer(opt)
    save_state(tmp_path / "x", tensors=tensors, meta=meta)
    again = net_of()
    again.load_state_dict(net.state_dict())
    other = opt_for(again, MAKERS[name])
    set_hyper(other, "lr", 7.0)
    restore_optimizer(other, *load_state(tmp_path / "x"))
    assert [g["lr"] for g in other.param_groups] == [g["lr"] for g in opt.param_groups]
    before = {k: v.clone() for k, v in tensors.items()}
    train(net, opt, 3)
    train(again, other, 3)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    if name == "adam":  # training on changed neither the file's tensors nor the other's
        assert any(not torch.equal(before[k], tensors[k]) for k in before)


def test_before_the_first_step() -> None:
    net = net_of()
    opt = opt_for(net, Adam)
    tensors, meta = flatten_optimizer(opt)
    assert tensors == {}
    restore_optimizer(opt_for(net, Adam), tensors, meta)


def test_how_it_runs_stays_as_it_is_here() -> None:
    net = net_of()
    opt = opt_for(net, Adam)
    train(net, opt, 1)
    tensors, meta = flatten_optimizer(opt)
    for group in opt.param_groups:
        group["foreach"] = True
    restore_optimizer(opt, tensors, meta)
    assert all(group["foreach"] is True for group in opt.param_groups)
    assert opt.param_groups[0]["betas"] == (0.9, 0.99)


def test_a_rate_kept_in_a_tensor() -> None:
    weight = nn.Parameter(torch.zeros(2))
    opt = torch.optim.Adam([weight], lr=torch.tensor(0.5))
    assert flatten_optimizer(opt)[1]["param_groups"][0]["lr"] == 0.5


def test_another_optimizer() -> None:
    net = net_of()
    opt = opt_for(net, Adam)
    train(net, opt, 1)
    with pytest.raises(ModelFileError, match="the state of AdamW, but this run uses SGD"):
        restore_optimizer(opt_for(net, SGD), *flatten_optimizer(opt))


def test_another_model() -> None:
    net = net_of()
    opt = opt_for(net, Adam)
    train(net, opt, 1)
    state = flatten_optimizer(opt)
    with pytest.raises(ModelFileError, match=r"has shape \[3, 2\], but that weight has \[4, 2\]"):
        restore_optimizer(opt_for(net_of(4), Adam), *state)
    with pytest.raises(
        ModelFileError, match=r"groups of \[1, 3, 1, 1\] weights, this one of \[6\]"
    ):
        restore_optimizer(Adam(net.parameters()), *state)


@pytest.mark.parametrize(
    "changed",
    [{"state": 3}, {"state": {"a": {}}}, {"param_groups": [7]}, {"param_groups": None}],
    ids=str,
)
def test_a_state_that_was_changed_by_hand(changed: dict[str, object]) -> None:
    net = net_of()
    opt = opt_for(net, Adam)
    train(net, opt, 1)
    tensors, meta = flatten_optimizer(opt)
    with pytest.raises(ModelFileError, match=r"is not valid.*learn.load\(file, with_opt=False\)"):
        restore_optimizer(opt, tensors, meta | changed)
