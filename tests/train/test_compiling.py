"""Compiling in place: one compilation, whole graphs, the plain pass for all that is not regular."""

import copy
import shutil
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from presize import preparation
from presize.core.errors import TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.models.arch import create_vision_model
from presize.train.compiling import compile_model, is_compiled, uncompile
from presize.train.microbatches import sizes_of


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    """Let no test find what another one has compiled."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


def counted(net: nn.Module, batch_size: int | None) -> Any:
    backend = CompileCounterWithBackend("eager")
    compile_model(net, batch_size=batch_size, backend=backend)
    return backend


def test_only_regular_training_batches_are_compiled_and_only_once() -> None:
    net, x = small_net(), torch.randn(8, 3, 6, 6)
    compiled = counted(net, 8)
    for n in (8, 8, 5, 8, 6, 7, 8):
        net(x[:n]).sum().backward()
    assert compiled.frame_count == 1
    net.eval()
    net(x)
    net.train()
    with torch.no_grad():
        net(x)
    assert compiled.frame_count == 1


def test_a_learner_compiles_once_for_all_its_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(preparation, "compile_model", partial(compile_model, backend=backend))
    items = [(torch.randn(3, 6, 6), i % 2) for i in range(21)]
    dls = DataLoaders(DataLoader(items, bs=8, seed=1), DataLoader(items[:5], bs=8))
    net = nn.Sequential(small_net(), nn.Linear(64, 2))
    learn = Learner(dls, net, F.cross_entropy, compile=True)
    with learn.no_logging():
        learn.fit(2)
        learn.fit_one_cycle(1)
        learn.validate()
        learn.lr_find(num_it=6, show_plot=False, suggest_funcs=())
    assert backend.frame_count == 1
    assert learn.model is net
    learn.compile = False
    with learn.no_logging():
        learn.fit(1)
    assert not is_compiled(net)


def test_halves_and_quarters_of_a_batch_are_compiled_for_when_memory_ran_out() -> None:
    net, x = small_net(), torch.randn(8, 3, 6, 6)
    compiled = counted(net, 8)
    for n in (8, 4, 4, 2, 2):
        net(x[:n])
    assert compiled.frame_count == 3


@pytest.mark.parametrize(("batch_size", "room", "sizes"), [(10, 3, {3, 2}), (100, 13, {13, 12})])
def test_all_parts_of_a_batch_are_compiled_for(batch_size: int, room: int, sizes: set[int]) -> None:
    net, x = small_net(), torch.randn(batch_size, 3, 6, 6)
    compiled = counted(net, batch_size)
    assert set(sizes_of(batch_size, room)) == sizes
    for n in sizes_of(batch_size, room):
        net(x[:n])
    assert compiled.frame_count == 2
    net(x[: batch_size - 1])
    assert compiled.frame_count == 2


def test_without_a_regular_size_all_sizes_share_two_compilations() -> None:
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.randn(16, 3, 6, 6)
    compiled = counted(net, None)
    for n in (16, 5, 9, 16, 3, 12):
        assert torch.allclose(net(x[:n]), net._call_impl(x[:n]), atol=1e-6)
    assert compiled.frame_count == 2


def test_the_same_weights_names_and_gradients() -> None:
    net, x = small_net(), torch.randn(8, 3, 6, 6)
    plain = copy.deepcopy(net)
    compile_model(net, batch_size=8, backend="aot_eager")
    for model in (net, plain):
        for n in (8, 5):
            model(x[:n]).square().mean().backward()
    assert list(net.state_dict()) == list(plain.state_dict())
    for one, other in zip(net.parameters(), plain.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-6)
    for one, other in zip(net.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(one, other)


@pytest.mark.parametrize("arch", ["resnet18", "timm/mobilenetv3_small_050"])
def test_a_model_is_one_graph(arch: str) -> None:
    if arch.startswith("timm/"):
        pytest.importorskip("timm")
    net = create_vision_model(arch.removeprefix("timm/"), 3, pretrained=False)
    x = torch.randn(2, 3, 32, 32)
    torch._dynamo.reset()
    found = torch._dynamo.explain(net)(x)
    assert (found.graph_break_count, found.graph_count) == (0, 1), found.break_reasons


def test_switching_off_and_on_again() -> None:
    net = small_net()
    assert not is_compiled(net)
    compile_model(net, batch_size=8, backend="eager")
    there = net._compiled_call_impl
    compile_model(net, batch_size=8, backend="eager")
    assert net._compiled_call_impl is there, "compiled so already"
    compile_model(net, batch_size=4, backend="eager")
    assert net._compiled_call_impl is not there
    assert not is_compiled(copy.deepcopy(net))
    compile_model(net, False)
    assert not is_compiled(net)
    assert net(torch.randn(2, 3, 6, 6)).shape == (2, 64)


def test_what_somebody_else_compiled_is_left_alone() -> None:
    net = small_net()
    net.compile(backend="eager")
    there = net._compiled_call_impl
    compile_model(net, False)
    uncompile(net)
    assert net._compiled_call_impl is there


def test_unknown_mode() -> None:
    text = r"True, False or one of default, .*max-autotune, but got 'max-autotun'\. Did you mean"
    with pytest.raises(ValueError, match=text):
        compile_model(small_net(), "max-autotun")


def test_a_compiler_that_fails_names_the_way_out() -> None:
    def broken(graph: Any, inputs: list[Tensor]) -> Any:
        raise OSError("no compiler here")

    net = small_net()
    compile_model(net, batch_size=2, backend=broken)
    with pytest.raises(TrainingError, match="could not compile .* learn.compile = False.* C\\+\\+"):
        net(torch.randn(2, 3, 6, 6))
    net(torch.randn(3, 3, 6, 6))


def test_an_error_of_the_model_stays_what_it_is() -> None:
    net = nn.Sequential(nn.Linear(4, 2))
    compile_model(net, batch_size=2, backend="eager")
    with pytest.raises(TypeError):
        net(torch.randn(2, 4), torch.randn(2, 4))


def test_replayed_kernels_leave_waiting_gradients_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = nn.Linear(4, 2), torch.randn(2, 4)
    compiled = CompileCounterWithBackend("eager")
    compile_model(net, "reduce-overhead", batch_size=2, backend=compiled)
    begun: list[int] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append(1))
    net(x).sum().backward()
    net(x).sum().backward()  # the gradients of the first are still there
    assert len(begun) == 1
    net.zero_grad()
    net(x)
    assert (len(begun), compiled.frame_count) == (2, 1)


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_code_for_a_cpu_computes_the_same() -> None:
    net, x = nn.Linear(3, 2), torch.randn(4, 3)
    expected = net(x).relu().detach()
    whole = nn.Sequential(net, nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about its imports
        compile_model(whole, batch_size=4)
        found = whole(x)
        found.sum().backward()
    assert torch.allclose(found, expected, atol=1e-6)
    assert net.weight.grad is not None
