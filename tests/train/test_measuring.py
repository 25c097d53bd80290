"""Measured steps: what is found wrong with a way, and batches of another size."""

import re
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.core.errors import TrainingError
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.compiling import is_compiled
from presize.train.measuring import Measurement, switch_to
from presize.train.switches import PLAIN, Switches

BF16 = Switches("bf16")
BATCH = torch.arange(24.0).reshape(6, 4), torch.tensor([0, 1, 0, 1, 0, 1])


class Net(nn.Linear):
    """A linear layer whose output goes through a function of how it is computed."""

    def __init__(self, change: Callable[[Tensor, bool], Tensor]) -> None:
        super().__init__(4, 2)
        self.change = change
        with torch.no_grad():
            self.weight.mul_(0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.change(super().forward(x), torch.is_autocast_enabled("cpu"))


def made(change: Callable[[Tensor, bool], Tensor]) -> Measurement:
    learn = Learner(DataLoaders([BATCH], [BATCH]), Net(change), loss_func=F.cross_entropy)
    learn.place_model()
    return Measurement(learn, BATCH)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (float("inf"), "its loss is nan"),
        (float("nan"), "its loss is nan"),
        (30.0, r"its loss is [\d.]+ instead of 0\.\d+"),
    ],
)
def test_a_way_whose_loss_is_wrong(wrong: float, what: str) -> None:
    trial = made(lambda out, auto: out * wrong if auto else out)
    trial.compare([PLAIN, BF16], 2)
    plain, other = trial.trials
    assert (plain.failure, len(plain.seconds)) == (None, 2)
    assert other.failure is not None and other.seconds == []
    assert re.match(what, other.failure), other.failure


def test_a_way_that_raises() -> None:
    def change(out: Tensor, auto: bool) -> Tensor:
        if auto:
            raise NotImplementedError("no kernel for BFloat16")
        return out

    trial = made(change)
    trial.compare([PLAIN, BF16], 1)
    assert trial.trials[1].failure == "does not work here: NotImplementedError"


def test_a_way_that_needs_too_much_memory() -> None:
    def change(out: Tensor, auto: bool) -> Tensor:
        if auto:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return out

    trial = made(change)
    trial.compare([PLAIN, BF16], 1)
    assert trial.trials[1].failure == "does not fit into memory"


def test_a_batch_that_does_not_fit_is_measured_in_part() -> None:
    def change(out: Tensor, auto: bool) -> Tensor:
        if len(out) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return out

    trial = made(change)
    trial.compare([PLAIN, BF16], 2)
    assert trial.items == 3
    assert [t.failure for t in trial.trials] == [None, None]


def test_the_plain_way_has_to_work() -> None:
    with pytest.raises(TrainingError, match="loss of a training batch is nan before any training"):
        made(lambda out, auto: out * float("nan")).compare([PLAIN], 1)

    def broken(out: Tensor, auto: bool) -> Tensor:
        raise KeyError("a fault of the model")

    with pytest.raises(KeyError, match="a fault of the model"):
        made(broken).compare([PLAIN], 1)


def test_steps_leave_the_weights_alone() -> None:
    trial = made(lambda out, auto: out)
    before = trial.learn.model.weight.detach().clone()
    trial.compare([PLAIN, BF16], 2)
    assert torch.equal(trial.learn.model.weight, before)


def test_a_further_comparison_takes_plain_and_best_along() -> None:
    trial = made(lambda out, auto: out)
    trial.compare([PLAIN, BF16], 3)
    trial.compare([Switches(channels_last=True)], 2)
    assert [t.switches for t in trial.trials] == [PLAIN, BF16, Switches(channels_last=True)]
    assert len(trial.trials[0].seconds) == 5
    assert len(trial.trials[2].seconds) in (1, 2)


def test_sizes_beyond_the_batch_repeat_its_items() -> None:
    seen: list[Tensor] = []

    def change(out: Tensor, auto: bool) -> Tensor:
        seen.append(out.detach())
        return out

    trial = made(change)
    assert trial.fits(PLAIN, 14)
    out = seen[-1]
    assert out.shape == (14, 2)
    assert torch.equal(out[:6], out[6:12]) and torch.equal(out[:2], out[12:])
    assert trial.fits(PLAIN, 2) and torch.equal(seen[-1], out[:2])


def test_what_fits_is_found_out_by_trying() -> None:
    def change(out: Tensor, auto: bool) -> Tensor:
        if len(out) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return out

    trial = made(change)
    assert [trial.fits(PLAIN, n) for n in (99, 100, 101)] == [True, True, False]
    assert trial.learn.model.weight.grad is None and trial.learn.opt is None


def test_averages_stay_in_the_layout_of_their_way() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    batch = torch.randn(2, 3, 6, 6), torch.tensor([0, 1])
    learn = Learner(DataLoaders([batch], [batch]), net, loss_func=F.cross_entropy)
    learn.place_model()
    last = Switches(channels_last=True)
    trial = Measurement(learn, batch)
    for way in (PLAIN, last, PLAIN, last):
        trial._use(way)
        trial._steps(1)
        average = learn.opt.state[net[0].weight]["exp_avg"]
        assert average.stride() == net[0].weight.stride()
    switch_to(learn, PLAIN)  # the optimizer that stays follows
    average = learn.opt.state[net[0].weight]["exp_avg"]
    assert average.is_contiguous() and net[0].weight.is_contiguous()


def test_switching() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    learn = Learner(DataLoaders([BATCH], [BATCH]), net, loss_func=F.cross_entropy)
    first = learn.precision
    switch_to(learn, Switches("fp32", True, True), batch_size=6)
    assert learn.precision is first
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert (learn.channels_last, learn.compile, is_compiled(net)) == (True, True, True)
    switch_to(learn, BF16)
    assert learn.precision.kind == "bf16"
    assert net[0].weight.is_contiguous()
    assert (learn.channels_last, learn.compile, is_compiled(net)) == (False, False, False)
