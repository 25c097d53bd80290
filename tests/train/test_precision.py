"""Precision: fp32, bf16, fp16 with its fall-back, and true gradients for callbacks."""

import warnings

import pytest
import torch
from torch import nn

from presize.train.optim import SGD, Adam
from presize.train.precision import Precision

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="fp16 needs CUDA")


def one_step(
    precision: Precision, net: nn.Linear, opt: torch.optim.Optimizer, x: torch.Tensor
) -> float:
    """The largest gradient that a callback would see before the step."""
    with precision.autocast(x.device):
        loss = (net(x) ** 2).mean()
    precision.backward(loss)
    precision.unscale(opt)
    assert precision.grads_unscaled
    assert net.weight.grad is not None
    largest = float(net.weight.grad.abs().max())
    precision.step(opt)
    opt.zero_grad()
    return largest


def test_fp32_is_a_plain_step() -> None:
    x = torch.randn(4, 3)
    nets = [nn.Linear(3, 2), nn.Linear(3, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    precision = Precision()
    one_step(precision, nets[0], SGD(nets[0].parameters(), 0.1), x)
    opt = torch.optim.SGD(nets[1].parameters(), 0.1)
    (nets[1](x) ** 2).mean().backward()
    opt.step()
    assert torch.equal(nets[0].weight, nets[1].weight)
    assert (precision.kind, precision.scale, repr(precision)) == ("fp32", 1.0, "Precision('fp32')")


def test_bf16_computes_in_bf16_and_keeps_weights() -> None:
    net, precision = nn.Linear(3, 2), Precision("bf16")
    with precision.autocast("cpu"):
        assert net(torch.randn(1, 3)).dtype == torch.bfloat16
    assert net.weight.dtype == torch.float32
    assert net(torch.randn(1, 3)).dtype == torch.float32
    one_step(precision, net, Adam(net.parameters()), torch.randn(4, 3))


def test_fp16_without_cuda_is_bf16_and_says_so_once() -> None:
    net, precision = nn.Linear(3, 2), Precision("fp16")
    text = "fp16 is for CUDA; on cpu it is computed in bf16"
    with pytest.warns(UserWarning, match=text), precision.autocast(CPU):
        assert net(torch.randn(1, 3)).dtype == torch.bfloat16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_step(precision, net, SGD(net.parameters(), 0.1), torch.randn(4, 3))
    assert precision.scale == 1.0


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match=r"fp32, fp16, bf16, but got 'fp61'\. Did you mean `fp16`"):
        Precision("fp61")


def test_state_of_another_precision_is_left_aside() -> None:
    state = Precision("bf16").state_dict()
    assert state == {"kind": "bf16", "scaler": {}}
    Precision("bf16").load_state_dict(state)
    with pytest.warns(UserWarning, match="trained in bf16 and goes on in fp32"):
        Precision("fp32").load_state_dict(state)


def test_scale_waits_for_the_device_to_be_known() -> None:
    state = {"kind": "fp16", "scaler": {"scale": 128.0}}
    precision = Precision("fp16")
    precision.load_state_dict(state)
    assert precision.state_dict() == state


def fp16_on(device: str) -> Precision:
    """fp16 on CUDA; on a CPU the same loss scaling around bf16, which no user gets."""
    precision = Precision("fp16")
    if device == "cuda":
        precision.autocast("cuda")
    else:
        precision._device, precision._dtype = CPU, torch.bfloat16
        precision._scaler = torch.amp.GradScaler("cpu")
    return precision


DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


@pytest.mark.parametrize("device", DEVICES)
def test_scaled_losses_give_callbacks_true_gradients(device: str) -> None:
    x, net = torch.randn(8, 3, device=device), nn.Linear(3, 2).to(device)
    before = net.weight.detach().clone()
    (net(x) ** 2).mean().backward()
    assert net.weight.grad is not None
    true = float(net.weight.grad.abs().max())
    net.zero_grad()
    precision = fp16_on(device)
    seen = one_step(precision, net, Adam(net.parameters(), 0.1), x)
    assert seen == pytest.approx(true, rel=2e-2)
    assert precision.scale == 2.0**16
    assert not torch.equal(before, net.weight)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [SGD, Adam])
def test_a_step_that_overflowed_is_left_out(make: object, device: str) -> None:
    net, precision = nn.Linear(3, 2).to(device), fp16_on(device)
    opt = make(net.parameters(), 0.1, wd=0.5)
    before = net.weight.detach().clone()
    one_step(precision, net, opt, torch.full((8, 3), 1e30, device=device))
    assert torch.equal(before, net.weight)
    assert precision.scale == 2.0**15
    one_step(precision, net, opt, torch.randn(8, 3, device=device) / 100)
    assert not torch.equal(before, net.weight)


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_accumulate_scaled(device: str) -> None:
    net, precision = nn.Linear(3, 2).to(device), fp16_on(device)
    opt, x = SGD(net.parameters(), 0.1), torch.randn(8, 3, device=device)
    for _ in range(2):
        with precision.autocast(device):
            loss = (net(x) ** 2).mean()
        precision.backward(loss)
    assert not precision.grads_unscaled
    precision.unscale(opt)
    precision.unscale(opt)  # asked twice, done once
    assert precision.grads_unscaled
    precision.step(opt)
    assert not precision.grads_unscaled


@needs_cuda
def test_fp16_on_cuda_goes_on_with_its_scale() -> None:
    precision = fp16_on("cuda")
    with precision.autocast("cuda"):
        assert nn.Linear(3, 2).cuda()(torch.randn(1, 3, device="cuda")).dtype == torch.float16
    precision.load_state_dict({"kind": "fp16", "scaler": fp16_state(128.0)})
    assert precision.scale == 128.0
    again = Precision("fp16")
    again.load_state_dict(precision.state_dict())
    again.autocast("cuda")
    assert again.scale == 128.0


def fp16_state(scale: float) -> dict[str, float]:
    return {**torch.amp.GradScaler("cuda").state_dict(), "scale": scale}
