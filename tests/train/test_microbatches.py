"""Batches in parts: what runs out of memory here is a model that refuses large batches."""

import subprocess
import sys
import textwrap
import warnings
from collections import namedtuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelBatch
from presize.core.errors import TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.losses import CrossEntropyLossFlat
from presize.train.metrics import accuracy
from presize.train.microbatches import next_smaller, out_of_memory, sizes_of
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
    assert cut.parts.room["training"] == room
    assert cut.model.sizes.count(room) >= parts
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
    with cut.no_logging(), pytest.warns(UserWarning, match="in 2 parts from here on where"):
        loss, right = cut.validate()
    whole = learner(Small(99))
    with whole.no_logging():
        assert [loss, right] == pytest.approx(list(whole.validate()))
    with cut.no_logging(), pytest.warns(UserWarning, match="in 2 parts"):
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
    with cut.no_logging(), pytest.warns(UserWarning, match="Memory ran out") as told:
        cut.fit(1, 0.1)
    assert "The step under way is made of this batch alone." in str(told[0].message)
    twin = Small(99)
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    batches = list(cut.dls.train)
    for group in filter(None, (batches[1:2], batches[2:4])):  # the first is dropped
        x, y = map(torch.cat, zip(*group, strict=True))
        F.cross_entropy(twin(x), y).backward()
        opt.step()
        opt.zero_grad()
    torch.testing.assert_close(cut.model.layer.weight, twin.layer.weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([10.0, 1.0, 0.1])),
        CrossEntropyLossFlat(weight=torch.tensor([10.0, 1.0, 0.1])),
        nn.CrossEntropyLoss(ignore_index=2),
        nn.CrossEntropyLoss(reduction="sum"),
    ],
    ids=["weight", "weight, flat", "ignore_index", "sum"],
)
def test_losses_that_do_not_average_over_items(loss):
    whole, cut = (learner(Small(room), n=20, loss_func=loss) for room in (99, 5))
    with whole.no_logging(), cut.no_logging():
        whole.fit(1, 0.01)
        with pytest.warns(UserWarning, match="Memory ran out") as told:
            cut.fit(1, 0.01)
    assert str(told[0].message).endswith("tells what fits.")
    torch.testing.assert_close(whole.model.layer.weight, cut.model.layer.weight)
    assert list(cut.recorder.values[0]) == pytest.approx(list(whole.recorder.values[0]), rel=1e-4)


def test_a_part_in_which_no_target_counts():
    def made(room):
        data = sorted(pairs(10), key=lambda item: int(item[1]) == 2)
        learn = learner(Small(room), loss_func=nn.CrossEntropyLoss(ignore_index=2))
        learn.dls = DataLoaders(DataLoader(data, 10, shuffle=False), None, device="cpu")
        assert any(int(y) != 2 for _, y in data) and all(int(y) == 2 for _, y in data[-2:])
        return learn

    whole, cut = made(99), made(2)
    with whole.no_logging(), cut.no_logging():
        whole.fit(1, 0.1)
        with pytest.warns(UserWarning, match="Memory ran out"):
            cut.fit(1, 0.1)
    torch.testing.assert_close(whole.model.layer.weight, cut.model.layer.weight)
    assert cut.recorder.losses == pytest.approx(whole.recorder.losses)


def test_a_loss_that_is_not_known_comes_with_a_proviso():
    def by_root(pred, y):
        return F.cross_entropy(pred, y).sqrt()

    cut = learner(Small(5), loss_func=by_root)
    with cut.no_logging(), pytest.warns(UserWarning, match="Memory ran out") as told:
        cut.fit(1)
    expected = "are those of the whole batch if by_root is a mean over its items."
    assert [expected in str(warning.message) for warning in told] == [True, False]


def test_parts_are_equal_and_more_than_one_item_where_that_can_be():
    assert sizes_of(10, 3) == (3, 3, 2, 2)
    assert sizes_of(10, 99) == (10,)
    assert sizes_of(5, 1) == (1,) * 5
    for items in range(2, 70):
        size = items
        while size > 3 or (size == 3 and items % 2 == 0):
            size = next_smaller(size)
            sizes = sizes_of(items, size)
            assert sum(sizes) == items and max(sizes) - min(sizes) <= 1
            assert 2 <= min(sizes) <= max(sizes) <= size
            size = max(sizes)
    assert [next_smaller(size) for size in (3, 2)] == [2, 1]


@pytest.mark.parametrize(("bs", "n", "room"), [(10, 20, 3), (9, 18, 4), (8, 15, 3), (8, 16, 2)])
def test_norm_layers_get_no_single_items(bs, n, room):
    model = Small(room)
    model.layer = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    cut = learner(model, bs=bs, n=n)
    with cut.no_logging(), pytest.warns(UserWarning, match="Memory ran out"):
        cut.fit(1)


def test_an_error_in_a_part_says_that_it_is_one():
    model = Small(2)
    model.layer = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    cut = learner(model, bs=5, n=5)
    with (
        cut.no_logging(),
        pytest.warns(UserWarning, match="Memory ran out"),
        pytest.raises(ValueError, match="more than 1 value per channel") as caught,
    ):
        cut.fit(1)
    told = "In a part of 1 of the 5 items of a batch: memory had run out."
    assert told in caught.value.__notes__


@pytest.mark.parametrize("event", ["after_pred", "after_loss", "before_backward"])
def test_a_batch_that_is_cancelled_in_a_part_is_whole_again(event):
    class Cancel(Callback):
        calls, seen = 0, ()

        def after_cancel_batch(self, learn):
            self.seen = (len(learn.xb[0]), len(learn.yb[0]))

    def cancel(self, learn):
        self.calls += learn.training
        if self.calls == 4:
            raise CancelBatch

    callback = type("CancelSecond", (Cancel,), {event: cancel})()
    cut = learner(Small(5), cbs=callback)
    with cut.no_logging(), pytest.warns(UserWarning, match="Memory ran out"):
        cut.fit(1)
    assert callback.seen == (10, 10)


def test_training_and_asking_have_room_of_their_own():
    class Asked(Small):
        def forward(self, x):
            if self.training:
                self.sizes.append(len(x))
                return self.layer(x)
            return super().forward(x)

    cut = learner(Asked(6), n=20)
    with cut.no_logging(), pytest.warns(UserWarning, match="in 2 parts"):
        cut.fit(1)
    assert cut.parts.room == {"asking": 5}
    assert cut.model.sizes[:2] == [10, 10]
    # Smaller batches are computed whole, whatever the larger ones were cut into.
    cut.model.sizes.clear()
    cut.dls = DataLoaders(DataLoader(pairs(8), 4), DataLoader(pairs(8), 4), device="cpu")
    with cut.no_logging():
        cut.fit(1)
    assert cut.model.sizes == [4] * 4


def test_beginning_anew_forgets_the_room():
    parts = learner(Small(9)).parts
    parts.room["training"] = 3
    parts.begin()
    assert parts.room == {}


def test_every_kind_of_output_is_joined():
    Out = namedtuple("Out", "scores aux number")

    class Several(Small):
        def forward(self, x):
            scores = super().forward(x)
            return Out(scores, None, scores.mean())

    seen = []

    def loss(pred, y):
        return F.cross_entropy(pred.scores, y)

    def note(pred, y):
        seen.append(pred)
        return torch.tensor(0.0)

    for room in (99, 3):
        learn = learner(Several(room), n=10, loss_func=loss, metrics=note, lr=0.0)
        learn.dls = DataLoaders(DataLoader(pairs(10), 10), DataLoader(pairs(10), 10), device="cpu")
        with learn.no_logging(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            learn.validate()
    whole, cut = seen
    torch.testing.assert_close(cut.scores, whole.scores)
    assert cut.aux is None and cut.number.shape == ()


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
    assert cut.parts.room == {}


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
print(learn.parts.room["training"], sum("Memory ran out" in str(w.message) for w in told))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own memory")
def test_a_process_that_really_has_no_more_memory_goes_on():
    script = textwrap.dedent(REAL)
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    room, told = map(int, done.stdout.split())
    assert 1 < room < 64
    assert told >= 1
