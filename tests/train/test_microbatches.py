"""Batches in parts: what runs out of memory here is a model that refuses large batches."""

import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.core.errors import TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.microbatches import out_of_memory
from presize.train.optim import SGD, Adam


class Small(nn.Module):
    """A model that has no room for more than `room` items, in the forward or backward pass."""

    def __init__(self, room, backward=False):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.room, self.backward = nn.Linear(4, 3), room, backward
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.room and not self.backward:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        out = self.layer(x)
        if out.requires_grad and len(x) > self.room:
            out.register_hook(self.refuse)
        return out

    def refuse(self, gradient):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def pairs(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, 4, generator=g), torch.randint(3, (n,), generator=g)
    return list(zip(x, y, strict=True))


def learner(model, bs=10, n=37, **options):
    dls = DataLoaders(DataLoader(pairs(n), bs), DataLoader(pairs(25, 1), bs), device="cpu")
    options = {"loss_func": F.cross_entropy, "metrics": accuracy, "opt_func": SGD} | options
    return Learner(dls, model, **options)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("room", "parts"), [(5, 2), (3, 4), (1, 10)])
def test_weights_losses_and_metrics_are_those_of_whole_batches(room, parts, backward):
    whole, cut = learner(Small(99)), learner(Small(room, backward))
    with whole.no_logging(), cut.no_logging():
        whole.fit(2, 0.1)
        with pytest.warns(UserWarning, match="Memory ran out. Batches of 10 are computed in"):
            cut.fit(2, 0.1)
    assert cut.parts.count == parts
    assert max(cut.model.sizes[-4:]) <= 10
    for one, other in zip(whole.model.parameters(), cut.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    for one, other in zip(whole.recorder.values, cut.recorder.values, strict=True):
        assert list(one) == pytest.approx(list(other), rel=1e-4)


def test_with_accumulation_the_step_stays_the_same_too():
    whole, cut = learner(Small(99), accumulate=2), learner(Small(4), accumulate=2)
    with whole.no_logging(), cut.no_logging():
        whole.fit(2, 0.1)
        with pytest.warns(UserWarning, match="Memory ran out"):
            cut.fit(2, 0.1)
    for one, other in zip(whole.model.parameters(), cut.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_validation_alone_is_cut_as_well():
    cut = learner(Small(6))
    with cut.no_logging(), pytest.warns(UserWarning, match="computed in 2 parts"):
        loss, right = cut.validate()
    whole = learner(Small(99))
    with whole.no_logging():
        assert [loss, right] == pytest.approx(list(whole.validate()))
    with cut.no_logging():
        preds, targets = cut.get_preds()
    torch.testing.assert_close(preds, whole.get_preds()[0])
    assert len(targets) == 25


def test_losses_of_single_items_are_joined_and_not_weighted():
    whole, cut = learner(Small(99)), learner(Small(6))
    expected = whole.get_preds(with_loss=True)[-1]
    with pytest.warns(UserWarning, match="Memory ran out"):
        found = cut.get_preds(with_loss=True)[-1]
    assert found.shape == (25,)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("n", [40, 17])
def test_in_the_middle_of_a_step_what_was_added_is_dropped_and_the_warning_says_so(n):
    class Later(Small):
        def forward(self, x):
            self.room = 99 if len(self.sizes) == 0 else 5
            return super().forward(x)

    cut = learner(Later(99), accumulate=2, n=n)
    told = "The step under way is made of this batch alone."
    with cut.no_logging(), pytest.warns(UserWarning, match=told):
        cut.fit(1, 0.1)
    twin = Small(99)
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    batches = list(cut.dls.train)
    for group in filter(None, (batches[1:2], batches[2:4])):  # the first is dropped
        x, y = map(torch.cat, zip(*group, strict=True))
        F.cross_entropy(twin(x), y).backward()
        opt.step()
        opt.zero_grad()
    torch.testing.assert_close(cut.model.layer.weight, twin.layer.weight, rtol=1e-4, atol=1e-6)


def test_not_even_one_item_fits():
    cut = learner(Small(0), bs=4)
    expected = "Memory ran out although the batch of 4 was computed in 4 parts. A smaller picture"
    with (
        cut.no_logging(),
        pytest.warns(UserWarning, match="Memory ran out"),
        pytest.raises(TrainingError, match=expected),
    ):
        cut.fit(1)


def test_another_error_is_raised_as_it_is():
    class Wrong(Small):
        def forward(self, x):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    cut = learner(Wrong(1))
    with cut.no_logging(), pytest.raises(RuntimeError, match="cannot be multiplied"):
        cut.fit(1)
    assert cut.parts.count == 1


def test_several_inputs_and_outputs_are_cut_together():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, a, b):
            if len(a) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            assert len(a) == len(b)
            return {"scores": self.layer(a + b), "both": (a, b)}

    data = [(x, x, y) for x, y in pairs(8)]
    dls = DataLoaders(DataLoader(data, 8), DataLoader(data, 8), device="cpu")
    seen = []

    def loss(pred, y):
        return F.cross_entropy(pred["scores"], y)

    def rows(pred, y):
        seen.append((len(pred["scores"]), len(pred["both"][1]), len(y)))
        return torch.tensor(0.0)

    learn = Learner(dls, Two(), loss_func=loss, metrics=rows, opt_func=Adam)
    with learn.no_logging(), pytest.warns(UserWarning, match="Memory ran out"):
        learn.fit(1)
    assert seen == [(8, 8, 8)]


def test_what_counts_as_running_out_of_memory():
    cpu = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"
    assert out_of_memory(RuntimeError(cpu))
    assert out_of_memory(torch.OutOfMemoryError())
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


REAL = """
import resource, warnings
import torch, torch.nn.functional as F
from torch import nn
from presize.data.loaders import DataLoaders
from presize.learner import Learner

torch.set_num_threads(1)
class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        # 8 MB an item that the backward pass needs
        return self.layer(x) + (x[:, :1].expand(-1, 1 << 20) * self.layer.weight[0, 0]).sin().mean()

batch = [(torch.randn(64, 4), torch.randint(3, (64,)))]
one = [(batch[0][0][:1], batch[0][1][:1])]
learn = Learner(DataLoaders(one, one), Wide(), loss_func=F.cross_entropy)
with learn.no_logging():
    learn.fit(1)  # starts the threads, which reserve room for themselves
learn.dls = DataLoaders(batch, batch)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (400 << 20),) * 2)
with warnings.catch_warnings(record=True) as told, learn.no_logging():
    warnings.simplefilter("always")
    learn.fit(1)
print(learn.parts.count, sum("Memory ran out" in str(w.message) for w in told))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own memory")
def test_a_process_that_really_has_no_more_memory_goes_on():
    script = textwrap.dedent(REAL)
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    parts, told = map(int, done.stdout.split())
    assert parts > 1
    assert told >= 1
