"""Channels last in memory changes no value, and no step."""

import copy

import pytest
import torch
from torch import nn

from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.layout import follow_layout, in_channels_last, lay_out
from presize.train.optim import SGD, Adam, OptimWrapper, RMSProp
from presize.train.optim_state import flatten_optimizer, restore_optimizer

LAST = torch.channels_last


def test_only_pictures_are_laid_out_anew():
    x = torch.randn(2, 3, 4, 5)
    out = in_channels_last(x)
    assert out.is_contiguous(memory_format=LAST)
    assert torch.equal(out, x)
    table = torch.randn(2, 3)
    assert in_channels_last(table) is table
    assert in_channels_last("text") == "text"


def test_weights_there_and_back():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    kernels = model[0].weight, model[1].weight
    before, strides = [k.detach().clone() for k in kernels], [k.stride() for k in kernels]
    for _ in range(2):
        lay_out(model, channels_last=True)
    assert kernels[0].is_contiguous(memory_format=LAST)
    assert kernels[1].stride() == (4, 1, 4, 4)
    assert not model[0].weight.is_contiguous()
    lay_out(model, channels_last=False)
    assert [k.stride() for k in kernels] == strides
    assert all(map(torch.equal, kernels, before))


def test_a_model_that_came_in_this_order_keeps_it():
    model = nn.Sequential(nn.Conv2d(3, 4, 3).to(memory_format=LAST), nn.Conv2d(4, 4, 3))
    lay_out(model, channels_last=False)
    assert model[0].weight.is_contiguous(memory_format=LAST)
    lay_out(model, channels_last=True)
    lay_out(model, channels_last=False)
    assert model[0].weight.is_contiguous(memory_format=LAST)
    assert model[1].weight.is_contiguous()


def test_tensors_of_another_rank_stay_as_they_are():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(2, 2, 3))
    model.register_buffer("kernel", torch.randn(2, 3, 4, 4))
    lay_out(model, channels_last=True)
    assert model[0].weight.is_contiguous(memory_format=LAST)
    assert model.kernel.is_contiguous(memory_format=LAST)
    assert model[1].weight.is_contiguous()
    lay_out(model, channels_last=False)
    assert model.kernel.is_contiguous()


def test_gradients_go_along_and_follow():
    conv = nn.Conv2d(3, 4, 3)
    conv(torch.randn(2, 3, 5, 5)).sum().backward()
    gradient = conv.weight.grad
    value = gradient.clone()
    lay_out(conv, channels_last=True)
    assert conv.weight.grad.stride() == conv.weight.stride()
    conv.weight.grad = value.clone()  # as from a checkpoint
    follow_layout(SGD(conv.parameters()))
    assert conv.weight.grad.stride() == conv.weight.stride()
    assert torch.equal(conv.weight.grad, value)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())


def train(model, opt, steps=2):
    x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        model(x).square().sum(1).mean().backward()
        opt.step()
        opt.zero_grad()


MAKERS = {
    "adam": lambda p: Adam(p, 0.01),
    "momentum": lambda p: SGD(p, 0.01, mom=0.9),
    "rmsprop": lambda p: RMSProp(p, 0.01, mom=0.9),
    "amsgrad": lambda p: OptimWrapper(p, torch.optim.Adam, lr=0.01, amsgrad=True, fused=True),
}


def close(model, other):
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("order", [(False, True), (True, False), (True, True, False, True)])
def test_switching_between_steps_gives_the_steps_of_one_order(name, order):
    models = net(), net()
    opts = [MAKERS[name](list(model.parameters())) for model in models]
    for group in opts[1].param_groups:  # reads each tensor as it is laid out
        group.update(fused=None, foreach=True)
    for last in order:
        lay_out(models[0], opts[0], channels_last=last)
        for model, opt in zip(models, opts, strict=True):
            train(model, opt)
    close(*models)
    for weight in models[0].parameters():
        averages = [v for v in opts[0].state[weight].values() if v.shape == weight.shape]
        assert averages
        assert all(v.stride() == weight.stride() for v in averages)


@pytest.mark.parametrize("name", MAKERS)
def test_averages_from_a_file_follow_the_weights(name):
    model = net()
    lay_out(model, channels_last=True)
    opt = MAKERS[name](list(model.parameters()))
    train(model, opt)
    tensors, meta = flatten_optimizer(opt)
    tensors = {key: value.contiguous().clone() for key, value in tensors.items()}
    again = copy.deepcopy(model)
    other = MAKERS[name](list(again.parameters()))
    restore_optimizer(other, tensors, meta)
    for one, stepped in ((model, opt), (again, other)):
        train(one, stepped)
    close(model, again)


def learner(**options):
    g = torch.Generator().manual_seed(2)
    items = [(torch.randn(3, 6, 6, generator=g), i % 2) for i in range(8)]
    dls = DataLoaders(DataLoader(items, 4), None, device="cpu")
    model = nn.Sequential(net(), nn.Linear(16, 2))
    learn = Learner(dls, model, nn.CrossEntropyLoss(), lr=0.01, **options)
    learn.logger = lambda row: None
    return learn


def test_fits_in_another_order_and_loaded_states_go_on_alike(tmp_path):
    plain, switched = learner(), learner()
    plain.fit(1)
    switched.fit(1)
    switched.channels_last = True
    loaded = learner(channels_last=True)
    loaded.load(plain.save(tmp_path / "x"))
    for learn in (plain, switched, loaded):
        learn.fit(1)
    close(plain.model, switched.model)
    close(plain.model, loaded.model)
    assert not loaded.model[0][0].weight.is_contiguous()


def test_an_optimizer_without_such_averages_is_left_alone():
    class Bare:
        param_groups = [{"params": [nn.Parameter(torch.zeros(2))]}]

    follow_layout(Bare())
    opt = SGD(net().parameters())
    opt.state[opt.param_groups[0]["params"][0]] = {"momentum_buffer": None, "note": "text"}
    follow_layout(opt)
