"""Optimizers against their formulas, and against torch.optim."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from presize.train.hyper import get_hyper
from presize.train.optim import (
    SGD,
    Adam,
    Optimizer,
    OptimWrapper,
    RAdam,
    RMSProp,
    make_optimizer,
)

GRADS = [torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.3, 0.1, -4.0]), torch.tensor([2.0, 0, 1])]
START = torch.tensor([0.5, -1.0, 2.0])


def run(make: object, grads: list[Tensor] = GRADS) -> Tensor:
    weight = nn.Parameter(START.clone())
    opt = make([weight])
    for grad in grads:
        weight.grad = grad.clone()
        opt.step()
    return weight.detach()


def test_sgd_as_the_chapter_calls_it() -> None:
    net = nn.Linear(3, 1)
    before = net.weight.detach().clone()
    opt = SGD(net.parameters(), 0.5)
    net(torch.ones(1, 3)).sum().backward()
    opt.step()
    torch.testing.assert_close(net.weight.detach(), before - 0.5)
    opt.zero_grad()
    assert net.weight.grad is None
    assert isinstance(opt, Optimizer)


def test_sgd_momentum_is_undampened() -> None:
    weight, velocity = START.clone(), torch.zeros(3)
    for grad in GRADS:
        velocity = 0.9 * velocity + grad
        weight -= 0.1 * velocity
    torch.testing.assert_close(run(lambda p: SGD(p, 0.1, mom=0.9)), weight)


def test_sgd_decay_is_decoupled() -> None:
    weight, velocity = START.clone(), torch.zeros(3)
    for grad in GRADS:
        weight *= 1 - 0.1 * 0.2
        velocity = 0.9 * velocity + grad
        weight -= 0.1 * velocity
    torch.testing.assert_close(run(lambda p: SGD(p, 0.1, mom=0.9, wd=0.2)), weight)
    coupled = run(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.2))
    torch.testing.assert_close(
        run(lambda p: SGD(p, 0.1, mom=0.9, wd=0.2, decouple_wd=False)), coupled
    )
    assert not torch.allclose(coupled, weight)


def test_adam_is_bias_corrected_and_decoupled() -> None:
    weight, mean, square = START.clone(), torch.zeros(3), torch.zeros(3)
    for step, grad in enumerate(GRADS, 1):
        weight *= 1 - 0.1 * 0.01
        mean = 0.9 * mean + 0.1 * grad
        square = 0.99 * square + 0.01 * grad**2
        root = (square / (1 - 0.99**step)).sqrt() + 1e-5
        weight -= 0.1 * mean / (1 - 0.9**step) / root
    torch.testing.assert_close(run(lambda p: Adam(p, 0.1)), weight)


def test_adam_coupled_is_torchs_adam() -> None:
    theirs = run(lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3))
    ours = run(lambda p: Adam(p, 0.1, mom=0.8, sqr_mom=0.95, eps=1e-3, wd=0.3, decouple_wd=False))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_rmsprop() -> None:
    theirs = run(lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.9, momentum=0.5))
    ours = run(lambda p: RMSProp(p, 0.1, sqr_mom=0.9, mom=0.5))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    decayed = run(lambda p: RMSProp(p, 0.1, wd=0.5), GRADS[:1])
    plain = run(lambda p: RMSProp(p, 0.1), GRADS[:1])
    torch.testing.assert_close(decayed, plain - START * 0.1 * 0.5)


def test_radam() -> None:
    theirs = run(
        lambda p: torch.optim.RAdam(
            p, 0.1, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.1, decoupled_weight_decay=True
        )
    )
    torch.testing.assert_close(run(lambda p: RAdam(p, 0.1, wd=0.1)), theirs, rtol=0, atol=0)


def test_weights_without_gradients_do_not_shrink() -> None:
    used, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), requires_grad=False)
    for make in (SGD, Adam, RMSProp, RAdam):
        opt = make([used, frozen], 0.1, wd=0.5)
        used.grad = torch.ones(2)
        opt.step()
    assert frozen.tolist() == [1.0, 1.0]


def test_a_step_that_overflowed_does_not_shrink_either() -> None:
    weight = nn.Parameter(torch.ones(2))
    opt = SGD([weight], 0.1, wd=0.5)
    weight.grad = torch.zeros(2)
    opt.param_groups[0]["fused"] = True  # as on CUDA, where a GradScaler sets the other two
    opt.grad_scale, opt.found_inf = None, torch.tensor(1.0)
    opt.step()
    assert weight.tolist() == [1.0, 1.0]
    opt.found_inf = torch.tensor(0.0)
    opt.step()
    assert weight.tolist() == pytest.approx([0.95, 0.95])


def test_a_users_step_hook_runs_once() -> None:
    weight = nn.Parameter(torch.ones(1))
    torch.optim.SGD([weight], 0.1)  # torch hooks a class at its first instance
    opt, calls = SGD([weight], 0.1, wd=0.1), []
    opt.register_step_pre_hook(lambda *_: calls.append(1))
    weight.grad = torch.ones(1)
    opt.step()
    assert calls == [1]


def test_rates_may_be_slices() -> None:
    a, b, c = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    opt = Adam([[a], [b], [c]], lr=slice(1e-5, 1e-3))
    assert get_hyper(opt, "lr") == pytest.approx([1e-5, 1e-4, 1e-3])


def test_any_torch_optimizer_can_be_wrapped() -> None:
    weight = [nn.Parameter(torch.zeros(3))]
    opt = partial(OptimWrapper, opt=torch.optim.NAdam)(weight, lr=0.02, wd=0.1, mom=0.8)
    assert isinstance(opt, torch.optim.NAdam)
    group = opt.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.02, 0.1, (0.8, 0.999))
    ours = run(partial(OptimWrapper, opt=torch.optim.AdamW, lr=0.1, eps=1e-4))
    torch.testing.assert_close(ours, run(lambda p: torch.optim.AdamW(p, 0.1, eps=1e-4)))
    wrapped = OptimWrapper(weight, partial(torch.optim.SGD, momentum=0.7), lr=0.1)
    assert wrapped.param_groups[0]["momentum"] == 0.7


def test_wrapping_what_is_none() -> None:
    weight = [nn.Parameter(torch.zeros(3))]
    with pytest.raises(TypeError, match=r"opt=torch.optim.AdamW\), but got <function SGD"):
        OptimWrapper(weight, SGD)
    with pytest.raises(TypeError, match=r"AdamW has no option `amsgrade`. Did you mean `amsgrad`"):
        OptimWrapper(weight, torch.optim.AdamW, amsgrade=True)
    with pytest.raises(ValueError, match="Adagrad has no hyper-parameter `mom`"):
        OptimWrapper(weight, torch.optim.Adagrad, mom=0.9)


def test_the_learners_way_to_make_one() -> None:
    weight = [nn.Parameter(torch.zeros(3))]
    assert make_optimizer(Adam, weight, lr=0.1).param_groups[0]["weight_decay"] == 0.01
    assert make_optimizer(Adam, weight, lr=0.1, wd=0.3).param_groups[0]["weight_decay"] == 0.3
    bare = make_optimizer(torch.optim.AdamW, [weight], lr=[0.1], wd=0.3)
    assert (bare.param_groups[0]["lr"], bare.param_groups[0]["layer_group"]) == (0.1, 0)
    with pytest.raises(TypeError, match=r"must return a torch optimizer, but .* returned int"):
        make_optimizer(lambda groups, lr: 3, weight, lr=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="fused steps need CUDA")
def test_fused_on_cuda() -> None:
    weight = nn.Parameter(torch.ones(3, device="cuda"))
    for make in (SGD, Adam):
        assert make([weight]).param_groups[0]["fused"] is True


def test_the_name_of_an_optimizer_is_none() -> None:
    with pytest.raises(TypeError, match="such as Adam, SGD or a class of torch.optim, but got 'a'"):
        make_optimizer("a", [nn.Parameter(torch.zeros(1))], lr=0.1)
