"""`auto` and `find_batch_size`: right choices, figures, and no trace."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize import speed
from presize.core.errors import TrainingError
from presize.core.randomness import set_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.speed import find_batch_size
from presize.train.optim import SGD, Adam
from presize.train.switches import PLAIN, AutoReport, Switches

WORKER = Path(__file__).with_name("speed_worker.py")
SOURCE = Path(__file__).resolve().parents[1] / "src"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class SlowUnless(nn.Module):
    """Takes 40 ms longer, unless it is computed in the one way it likes."""

    def __init__(self, likes: Switches) -> None:
        super().__init__()
        self.likes = likes

    def forward(self, x: Tensor) -> Tensor:
        last = x.is_contiguous(memory_format=torch.channels_last)
        kind = "bf16" if torch.is_autocast_enabled("cpu") else "fp32"
        if Switches(kind, last) != self.likes:
            time.sleep(0.04)
        return x


LAST = Switches("fp32", channels_last=True)


def learner(slow: nn.Module, items: int = 8, **options: object) -> Learner:
    x, y = torch.randn(items, 3, 6, 6), torch.randint(0, 2, (items,))
    net = nn.Sequential(
        slow, nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )
    dls = DataLoaders([(x, y)] * 2, [(x, y)])
    return Learner(dls, net, loss_func=F.cross_entropy, **options)


@pytest.mark.parametrize("chosen", [PLAIN, LAST, Switches("bf16"), Switches("bf16", True)], ids=str)
def test_auto_switches_on_what_is_faster(
    chosen: Switches, capsys: pytest.CaptureFixture[str]
) -> None:
    learn = learner(SlowUnless(chosen))
    report = speed.auto(learn, 4)
    assert isinstance(report, AutoReport)
    assert report.chosen == chosen
    assert (learn.precision.kind, learn.channels_last, learn.compile) == (
        chosen.precision,
        chosen.channels_last,
        False,
    )
    assert learn.model[1].weight.is_contiguous(
        memory_format=torch.channels_last if chosen.channels_last else torch.contiguous_format
    )
    said = capsys.readouterr().out
    assert said == f"{report}\n"
    assert said.startswith("auto: nothing" if chosen == PLAIN else f"auto: {chosen} is on, ")
    assert "steps of 8 items on a CPU with 1 thread)." in said
    assert "To compile was not tried: that is for CUDA." in said


def test_auto_tried_quietly_to_compile(capsys: pytest.CaptureFixture[str]) -> None:
    learn = learner(SlowUnless(PLAIN))
    report = speed.auto(learn, 1, compile=False, verbose=False)
    assert capsys.readouterr().out == ""
    assert report.note == "To compile was not tried, as asked."


def state_of(learn: Learner) -> list[Tensor]:
    rng = torch.get_rng_state()
    return [*(t.clone() for t in learn.model.state_dict().values()), rng]


def test_auto_and_find_batch_size_leave_no_trace() -> None:
    learn = learner(nn.Dropout(0.2), opt_func=SGD, metrics=None)
    with learn.no_logging():
        learn.fit(1, 0.1)
    learn.model[1].requires_grad_(False)
    before, opt, precision = state_of(learn), learn.opt, learn.precision
    values = list(learn.recorder.values)
    flags = [p.requires_grad for p in learn.model.parameters()]
    modes = [m.training for m in learn.model.modules()]
    report = speed.auto(learn, 2, verbose=False)
    assert speed.find_batch_size(learn) >= 1
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(learn), strict=True))
    assert learn.opt is opt and list(learn.recorder.values) == values
    assert [p.requires_grad for p in learn.model.parameters()] == flags
    assert [m.training for m in learn.model.modules()] == modes
    assert all(p.grad is None for p in learn.model.parameters())
    assert learn.xb == () and learn.pred is None
    if report.chosen == PLAIN:
        assert learn.precision is precision


@pytest.mark.parametrize("measure", [lambda n: speed.auto(n, 1, verbose=False), find_batch_size])
def test_a_loader_that_draws_from_the_random_state(measure: Callable[[Learner], object]) -> None:
    learn = learner(nn.Identity())
    items = [(torch.randn(3, 6, 6), i % 2) for i in range(8)]
    learn.dls = DataLoaders(torch.utils.data.DataLoader(items, 4, shuffle=True), None)
    before = torch.get_rng_state()
    measure(learn)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("opt_func", [Adam, partial(SGD, mom=0.9)], ids=["Adam", "SGD"])
def test_averages_follow_the_weights_into_the_layout_that_is_chosen(opt_func: object) -> None:
    learn = learner(SlowUnless(LAST), opt_func=opt_func)
    with learn.no_logging():
        learn.fit(1, 0.01)
    weight = learn.model[1].weight
    learn.model(torch.randn(2, 3, 6, 6)).sum().backward()  # of a step under way
    assert speed.auto(learn, 2, verbose=False).chosen.channels_last
    assert not weight.is_contiguous() and weight.grad.stride() == weight.stride()
    averages = [v for v in learn.opt.state[weight].values() if v.shape == weight.shape]
    assert averages and all(v.stride() == weight.stride() for v in averages)


def test_training_after_auto_is_what_it_would_have_been() -> None:
    ends = []
    for measured in (False, True):
        set_seed(3)
        learn = learner(nn.Dropout(0.2))
        if measured:
            speed.auto(learn, 1, verbose=False)
            learn.to_fp32()
            learn.channels_last = False
        with learn.no_logging():
            learn.fit(2, 0.01)
        ends.append(learn.model[5].weight.detach())
    assert torch.equal(*ends)


def test_settings_come_back_when_measuring_fails() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("a fault of the model")

    learn = learner(Broken(), precision="bf16", channels_last=True)
    precision = learn.precision
    for measure in (speed.auto, speed.find_batch_size):
        with pytest.raises(KeyError, match="a fault of the model"):
            measure(learn)
        assert learn.precision is precision and learn.channels_last
    assert learn.opt is None


def test_auto_needs_batches_and_steps() -> None:
    learn = learner(nn.Identity())
    with pytest.raises(ValueError, match="1 step or more for 1 epoch or more, but got steps=0"):
        speed.auto(learn, 0)
    learn.dls = DataLoaders([], [])
    for measure in (speed.auto, speed.find_batch_size):
        with pytest.raises(TrainingError, match="no batch to measure with: the training loader"):
            measure(learn)


def test_auto_tries_compiling_on_the_best_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from presize.train import measuring

    asked: list[object] = []
    real = measuring.compile_model

    def eagerly(model: nn.Module, mode: bool | str, **options: int) -> None:
        asked.append(mode)
        real(model, mode, **options, backend="eager")

    monkeypatch.setattr(measuring, "compile_model", eagerly)
    learn = learner(SlowUnless(LAST))
    report = speed.auto(learn, 2, compile=True, verbose=False)
    assert [str(t.switches) for t in report.trials][-1] == "fp32, channels_last, compile"
    assert True in asked
    assert report.note == ""
    assert report.chosen.channels_last
    torch._dynamo.reset()


def test_find_batch_size_follows_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = learner(nn.Identity())

    def with_memory(free: int | None) -> int:
        monkeypatch.setattr(speed, "available_memory", lambda: free)
        return speed.find_batch_size(learn, max=10**9)

    one, two = with_memory(10**9), with_memory(2 * 10**9)
    assert two == pytest.approx(2 * one, rel=1e-3)
    # At least the input and what the convolution makes are kept for each item.
    assert 0.8e9 / one > 4 * (3 * 36 + 4 * 16)
    assert speed.find_batch_size(learn, max=77) == 77
    items = [(torch.randn(3, 6, 6), i % 2) for i in range(50)]
    learn.dls = DataLoaders(DataLoader(items, bs=4), DataLoader(items, bs=4))
    assert speed.find_batch_size(learn) == 50, "the number of items in the training set"
    with pytest.raises(TrainingError, match="Not even a batch of one item .* a CPU with 1 thread"):
        with_memory(100)
    with pytest.raises(TrainingError, match="cannot tell how much memory is free"):
        with_memory(None)


def test_find_batch_size_refuses_sizes_below_one() -> None:
    with pytest.raises(ValueError, match="begins with 1 item or more .* got start=0, max=None"):
        speed.find_batch_size(learner(nn.Identity()), start=0)


@pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="PyTorch was built without gloo",
)
def test_processes_that_train_together_take_what_the_first_one_found(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", str(WORKER)]
    running = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=60) for process in running]
    finally:
        for process in running:
            process.kill()
    first, second = (out for out, _ in said)
    assert second == "channels_last True\n", said[1][1]
    assert first.startswith("auto: ") and first.endswith("\nchannels_last True\n"), said[0][1]
