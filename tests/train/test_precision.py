"""Precision: fp32, bf16, fp16 with its fall-back, and true gradients for callbacks."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelStep
from presize.core.errors import TrainingError
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD, Adam
from presize.train.precision import Precision, PrecisionOf

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
    with pytest.raises(
        ValueError, match=r"fp32, tf32, fp16, bf16, but got 'fp61'\. Did you mean `fp16`"
    ):
        Precision("fp61")


def test_state_of_another_precision_is_left_aside() -> None:
    state = Precision("bf16").state_dict()
    assert state == {"kind": "bf16", "scaler": {}}
    Precision("bf16").load_state_dict(state)
    with pytest.warns(UserWarning, match=r"trained in bf16 and goes on in fp32\.$"):
        Precision("fp32").load_state_dict(state)
    scaled = {"kind": "fp16", "scaler": {"scale": 128.0}}
    with pytest.warns(UserWarning, match="goes on in tf32; its loss scale is not used"):
        Precision("tf32").load_state_dict(scaled)


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


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_that_are_kept_add_up_with_later_ones(device: str) -> None:
    net, precision = nn.Linear(3, 2).to(device), fp16_on(device)
    opt, x = SGD(net.parameters(), 0.1), torch.randn(2, 4, 3, device=device)
    for part in x:
        ((net(part) ** 2).mean() * 1.0).backward()
    assert net.weight.grad is not None
    true = net.weight.grad.clone()
    net.zero_grad()
    for i, part in enumerate(x):
        with precision.autocast(device):
            loss = (net(part) ** 2).mean()
        precision.backward(loss)
        precision.unscale(opt)
        if i == 0:
            precision.keep(opt)
            assert not precision.grads_unscaled
            precision.keep(opt)  # asked twice, done once
    assert net.weight.grad is not None
    assert torch.allclose(net.weight.grad, true, rtol=0.05, atol=0.02)
    precision.step(opt)


class EverySecondStep(Callback):
    """Leaves out the steps between, whose gradients then wait for the next one."""

    def before_step(self, learn: Learner) -> None:
        if learn.iter % 2 == 0:
            raise CancelStep


def test_a_cancelled_step_is_the_same_scaled_and_not() -> None:
    x, y = torch.randn(6, 4, 3), torch.randn(6, 4, 2)
    batches, ends = list(zip(x, y, strict=True)), []
    for precision in (Precision("bf16"), fp16_on("cpu")):
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        learn = Learner(
            DataLoaders(batches, []), net, F.mse_loss, SGD, lr=0.1, cbs=EverySecondStep()
        )
        learn.precision = precision
        with learn.no_logging():
            learn.fit(2)
        ends.append(net.weight.detach())
    # The scale is a power of two, which changes no digit.
    assert torch.equal(*ends)


def test_kept_gradients_that_overflowed_end_in_no_step() -> None:
    net, precision = nn.Linear(3, 2), fp16_on("cpu")
    opt = SGD(net.parameters(), 0.1)
    before = net.weight.detach().clone()
    for x in (torch.full((8, 3), 1e30), torch.randn(8, 3)):
        with precision.autocast("cpu"):
            loss = (net(x) ** 2).mean()
        precision.backward(loss)
        precision.unscale(opt)
        if x[0, 0] == 1e30:
            precision.keep(opt)
    precision.step(opt)
    assert torch.equal(before, net.weight)
    assert precision.scale == 2.0**14


def test_keeping_gradients_that_are_not_scaled_changes_nothing() -> None:
    net, precision = nn.Linear(3, 2), Precision()
    net(torch.randn(1, 3)).sum().backward()
    assert net.weight.grad is not None
    before = net.weight.grad.clone()
    precision.keep(SGD(net.parameters(), 0.1))
    assert torch.equal(net.weight.grad, before)


def flags() -> tuple[object, ...]:
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
    )


@pytest.fixture
def a_modern_gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A device of which only what can do is asked."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    return torch.device("cuda", 0)


def test_tf32_is_on_while_it_applies(a_modern_gpu: torch.device) -> None:
    before, precision = flags(), Precision("tf32")
    with pytest.raises(ZeroDivisionError), precision.applied(a_modern_gpu):
        assert flags() == (True, True, "high")
        with precision.applied(a_modern_gpu):
            assert flags() == (True, True, "high")
        assert flags() == (True, True, "high")
        1 / 0
    assert flags() == before
    with Precision("bf16").applied(a_modern_gpu):
        assert flags() == before


def test_tf32_leaves_a_precision_that_includes_it(a_modern_gpu: torch.device) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with Precision("tf32").applied(a_modern_gpu):
            assert torch.get_float32_matmul_precision() == "medium"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_tf32_where_the_newer_interface_was_used(a_modern_gpu: torch.device) -> None:
    products = torch.backends.cuda.matmul
    products.fp32_precision = "tf32"
    torch.set_float32_matmul_precision("highest")
    products.fp32_precision = "tf32"  # the two interfaces now disagree, and the older one raises
    try:
        with pytest.raises(RuntimeError):
            assert products.allow_tf32
        with Precision("tf32").applied(a_modern_gpu):
            assert products.fp32_precision == "tf32"
        assert products.fp32_precision == "tf32"
    finally:
        torch.set_float32_matmul_precision("highest")
        assert products.allow_tf32 is False


def test_tf32_elsewhere_is_fp32_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    net, precision, before = nn.Linear(3, 2), Precision("tf32"), flags()
    text = "tf32 is for CUDA GPUs of 2020 and later; on cpu it is computed in fp32"
    with pytest.warns(UserWarning, match=text), precision.applied(CPU), precision.autocast(CPU):
        assert net(torch.randn(1, 3)).dtype == torch.float32
    assert flags() == before
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    older, text = torch.device("cuda", 0), "on Tesla T4 it is computed in fp32"
    with pytest.warns(UserWarning, match=text), precision.applied(older):
        assert flags() == (True, True, "high"), "which that GPU takes no notice of"
    assert flags() == before


def fp16_state(scale: float) -> dict[str, float]:
    return {**torch.amp.GradScaler("cuda").state_dict(), "scale": scale}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scaled", [False, True])
def test_a_loss_of_several_numbers_says_the_way_out(device: str, scaled: bool) -> None:
    net = nn.Linear(3, 2).to(device)
    precision = fp16_on(device) if scaled else Precision()
    text = r"but the loss is of shape \[4, 2\]\. Make the loss function with reduction='mean'"
    with pytest.raises(TrainingError, match=text):
        precision.backward(net(torch.randn(4, 3, device=device)))
    with pytest.raises(RuntimeError, match="does not require grad") as raised:
        precision.backward(torch.zeros((), device=device))
    assert not isinstance(raised.value, TrainingError)
    precision.backward(net(torch.randn(1, 3, device=device))[:, :1])  # one number all the same


def test_a_precision_is_set_by_its_name_too() -> None:
    class Owner:
        precision = PrecisionOf()

    owner, kept = Owner(), Precision("tf32")
    owner.precision = "bf16"
    assert repr(owner.precision) == "Precision('bf16')"
    owner.precision = kept
    assert owner.precision is kept
    with pytest.raises(ValueError, match="Did you mean `fp16`"):
        owner.precision = "fp61"
    assert vars(owner) == {"precision": kept}
    assert isinstance(Owner.precision, PrecisionOf)


def test_so_does_a_learner() -> None:
    batches = [(torch.randn(4, 3), torch.randn(4, 2))]
    learn = Learner(DataLoaders(batches, []), nn.Linear(3, 2), F.mse_loss)
    learn.precision = "bf16"
    seen: list[torch.dtype] = []
    learn.model.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    with learn.no_logging():
        learn.fit(1)
    assert seen == [torch.bfloat16]
