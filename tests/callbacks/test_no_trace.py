import random
from collections import deque

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.callbacks.base import Callback
from presize.callbacks.history import History
from presize.callbacks.no_trace import no_trace
from presize.callbacks.recorder import Recorder
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.metrics import F1Score, accuracy
from presize.train.optim import SGD, Adam


class Net(nn.Module):
    """Has all that can be left changed: weights, dropout, running means, buffers of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(8, 3)
        self.register_buffer("calls", torch.zeros(()), persistent=False)
        self.register_buffer("last", torch.zeros(2))

    def forward(self, x):
        if self.training:
            self.calls += 1
            self.last = x[0, :2].detach().clone()  # another tensor in its place
        return self.head(self.body(x))


def make(opt_func=Adam, accumulate=1, train_metrics=False, **options):
    rng = np.random.default_rng(0)
    pairs = [
        (torch.tensor(rng.normal(size=4), dtype=torch.float32), torch.tensor(int(i % 3)))
        for i in range(50)
    ]
    dls = DataLoaders(
        DataLoader(pairs[:40], 4, shuffle=True, seed=3), DataLoader(pairs[40:], 4), device="cpu"
    )
    torch.manual_seed(0)
    learn = Learner(
        dls,
        Net(),
        F.cross_entropy,
        opt_func,
        metrics=[accuracy, F1Score(average="macro")],
        accumulate=accumulate,
        splitter=lambda m: [list(m.body.parameters()), list(m.head.parameters())],
        **options,
    )
    learn.recorder.train_metrics = train_metrics
    learn.logger = lambda cells: None
    return learn


def parts_of(learn):
    """Return all that a trace could be left in, to compare; clocks aside."""
    optimizer = {} if learn.opt is None else learn.opt.state_dict()
    recorder = {
        k: v for k, v in learn.recorder.state_dict().items() if k not in ("seconds", "shown")
    }
    others = [cb for cb in learn.cbs if not isinstance(cb, Recorder | History)]
    fits = [(fit.n_steps, fit.losses, fit.hyper) for fit in learn.history.fits]
    numpy = np.random.get_state()[1].tolist()  # noqa: NPY002 - the one that users' code draws from
    generators = random.getstate(), numpy, torch.get_rng_state()
    return {
        "tensors": dict([*learn.model.named_parameters(), *learn.model.named_buffers()]),
        "gradients": [p.grad for p in learn.model.parameters()],
        "trained": [p.requires_grad for p in learn.model.parameters()],
        "modes": [m.training for m in learn.model.modules()],
        "optimizer": optimizer,
        "recorder": recorder,
        "metrics": [m.state_dict() for m in learn.metrics],
        "loader": dict(learn.dls.train.state_dict()),
        "progress": [learn.epoch, learn.n_epoch, learn.iter, learn.n_iter, learn.train_iter],
        "callbacks": [cb.state_dict() for cb in others],
        "history": fits,
        "random": generators,
        "accumulation": dict(vars(learn.accumulation)),
        "loss": learn.loss.detach(),
    }


def kept(value):
    """Return a copy that later changes in place do not reach."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {k: kept(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [kept(v) for v in value]
    return value


def same(a, b):
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def differences(before, after):
    return [name for name in before if not same(before[name], kept(after[name]))]


def search(learn, **options):
    found = learn.lr_find(show_plot=False, num_it=options.pop("num_it", 25), **options)
    assert found is not None
    return found


STATES = {
    "new": lambda learn: None,
    "frozen": lambda learn: learn.freeze(),
    "after fit": lambda learn: learn.fit(1, 1e-2),
    "after fit, then frozen": lambda learn: (learn.fit(1, 1e-2), learn.freeze()),
    "after summary": lambda learn: learn.summary(),
    "after fine_tune": lambda learn: learn.fine_tune(1),
    "in bf16": lambda learn: learn.to_bf16().fit(1),
    "after validate": lambda learn: (learn.fit(1), learn.validate()),
}


@pytest.mark.parametrize("opt_func", [Adam, SGD, torch.optim.AdamW], ids=lambda f: f.__name__)
@pytest.mark.parametrize("state", STATES)
def test_a_search_leaves_everything_as_it_was(state, opt_func):
    learn = make(opt_func)
    with learn.no_bar():
        STATES[state](learn)
    before, opt, metrics, precision = (
        kept(parts_of(learn)),
        learn.opt,
        learn.metrics,
        learn.precision,
    )
    search(learn)
    assert differences(before, parts_of(learn)) == []
    assert learn.opt is opt and learn.metrics is metrics and learn.precision is precision
    assert search(learn) == search(learn)


class LookIn(Callback):
    """Looks for a rate in the middle of an epoch, in an event of batches."""

    order = 80

    def __init__(self, event, step):
        self.event, self.step, self.found = event, step, []

    def look(self, learn, event):
        inside = any(type(cb).__name__ == "LRFinder" for cb in learn.cbs)
        if event != self.event or inside or not learn.training or learn.train_iter != self.step:
            return
        before = kept(parts_of(learn))
        search(learn)
        self.found.append(differences(before, parts_of(learn)))

    def before_batch(self, learn):
        self.look(learn, "before_batch")

    def after_backward(self, learn):
        self.look(learn, "after_backward")

    def after_batch(self, learn):
        self.look(learn, "after_batch")


@pytest.mark.parametrize("event", ["before_batch", "after_backward", "after_batch"])
@pytest.mark.parametrize(("accumulate", "opt_func"), [(1, Adam), (3, Adam), (1, SGD)])
def test_a_search_in_mid_epoch_changes_nothing_of_the_run(event, accumulate, opt_func):
    ends = []
    for looks in (False, True):
        learn = make(opt_func, accumulate, train_metrics=True)
        look = LookIn(event, 14)
        with learn.no_bar():
            learn.fit_one_cycle(3, 1e-2, cbs=[look] if looks else None)
        ends.append(kept(parts_of(learn)))
        assert look.found == ([[]] if looks else [])
    assert differences(*ends) == []


def test_the_place_in_the_data_is_kept_in_the_middle_of_a_pass():
    learn, alone = make(), make()
    batches = iter(learn.dls.train)
    for _ in range(3):
        next(batches)
    place = learn.dls.train.state_dict()
    search(learn)
    assert learn.dls.train.state_dict() == place == {**place, "batch": 3}
    rest = [x for x, _ in batches]
    wanted = [x for x, _ in alone.dls.train][3:]
    assert all(map(torch.equal, rest, wanted)) and len(rest) == 7


def with_own_generator(kind, g):
    """Return a loader that draws from a generator of its own: ours with a sampler, or PyTorch's."""
    pairs = [(torch.tensor([float(i)]), torch.tensor([1.0])) for i in range(12)]
    if kind == "sampler":
        sampler = torch.utils.data.WeightedRandomSampler([1.0, 2.0] * 6, 12, generator=g)
        return DataLoader(pairs, 2, sampler=sampler)
    return torch.utils.data.DataLoader(pairs, 2, shuffle=True, generator=g)


@pytest.mark.parametrize("kind", ["sampler", "PyTorch's loader"])
def test_generators_that_loaders_have_are_put_back(kind):
    drawn = [torch.Generator().manual_seed(3) for _ in range(2)]
    dls = DataLoaders(*(with_own_generator(kind, g) for g in drawn), device="cpu")
    learn = Learner(dls, nn.Linear(1, 1), F.mse_loss)
    before = [g.get_state() for g in drawn]
    with no_trace(learn):
        for loader in dls.loaders:
            assert len(list(loader)) == 6
        assert not any(map(torch.equal, [g.get_state() for g in drawn], before))
    assert all(map(torch.equal, [g.get_state() for g in drawn], before))


def test_a_loss_with_buffers_and_weights_is_put_back():
    class Loss(nn.Module):
        """Follows how often each class comes, in place and in a new tensor."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.register_buffer("seen", torch.zeros(3))
            self.register_buffer("last", torch.zeros(3), persistent=False)

        def forward(self, preds, targets):
            self.seen += torch.bincount(targets, minlength=3)
            self.last = self.seen / self.seen.sum()
            return F.cross_entropy(preds * self.scale, targets)

    learn = make()
    learn.loss_func = loss = Loss()
    search(learn)
    assert loss.seen.tolist() == loss.last.tolist() == [0.0] * 3
    assert loss.scale.grad is None


def test_what_callbacks_have_is_put_back_in_place():
    class Collects(Callback):
        def __init__(self):
            self.steps, self.names, self.total = [1, [2]], {"a": 1}, torch.ones(2)
            self.recent, self.kinds, self.best = deque([1], maxlen=3), {1}, 5

        def after_batch(self, learn):
            self.steps.append(learn.train_iter)
            self.steps[1].append(3)
            self.names["b"] = 2
            self.total += 1
            self.recent.append(2)
            self.kinds.add(2)
            self.best = 0
            self.new = True

    cb = Collects()
    learn = make(cbs=cb)
    steps, total = cb.steps, cb.total
    search(learn)
    assert cb.steps is steps and steps == [1, [2]] and cb.names == {"a": 1}
    assert cb.total is total and total.tolist() == [1, 1]
    assert cb.recent == deque([1]) and cb.recent.maxlen == 3 and cb.kinds == {1} and cb.best == 5
    assert not hasattr(cb, "new")


def test_callbacks_that_come_and_go_in_between_are_put_back():
    learn = make()
    cbs, recorder = list(learn.cbs), learn.recorder
    with no_trace(learn):
        learn.remove_cb(Recorder)
        learn.add_cbs([Recorder(), Callback()])
        learn.recorder = learn.cbs[-1]
    assert list(learn.cbs) == cbs and learn.recorder is recorder


def test_an_error_in_between_puts_back_as_well():
    learn = make()
    with learn.no_bar():
        learn.fit(1)
    before = kept(parts_of(learn))

    class Fail(Callback):
        def after_step(self, learn):
            raise ArithmeticError("out of luck")

    learn.add_cb(Fail())
    with pytest.raises(ArithmeticError):
        search(learn)
    learn.remove_cb(Fail)
    assert differences(before, parts_of(learn)) == []


def test_other_loaders_and_optimizers_are_put_back_as_far_as_they_can_be_asked():
    class Epochs(list):
        epoch = 4

        def set_epoch(self, epoch):
            self.epoch = epoch

    class Wrapped(torch.optim.Optimizer):
        """Hands everything on to another one."""

        def __init__(self, inner):
            self.inner = inner

        state = property(lambda self: self.inner.state)
        param_groups = property(lambda self: self.inner.param_groups)

        def state_dict(self):
            return self.inner.state_dict()

        def load_state_dict(self, state):
            self.inner.load_state_dict(state)

    batches = Epochs([(torch.ones(4, 3), torch.ones(4, 1))] * 10)
    model = nn.Linear(3, 1)
    opt = Wrapped(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    learn = Learner(DataLoaders(batches, device="cpu"), model, F.mse_loss)
    learn.opt = opt
    opt.state[model.weight] = {"momentum_buffer": torch.full((1, 3), 7.0)}
    with no_trace(learn):
        batches.set_epoch(9)
        opt.state[model.weight]["momentum_buffer"].zero_()
        opt.param_groups[0]["lr"] = 5.0
    assert batches.epoch == 4
    assert opt.state[model.weight]["momentum_buffer"].tolist() == [[7.0] * 3]
    assert opt.param_groups[0]["lr"] == 0.1


def test_a_tensor_as_rate_is_put_back():
    learn = make()
    learn.create_opt()
    rate = torch.tensor(0.5)
    learn.opt.param_groups[0]["lr"] = rate
    with no_trace(learn):
        rate.fill_(9.0)
    assert float(learn.opt.param_groups[0]["lr"]) == 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_loss_scale_of_fp16_is_put_back():
    learn = make()
    learn.dls.to("cuda")
    learn.to_fp16()
    with learn.no_bar():
        learn.fit(2)
    scale, before = learn.precision.state_dict(), kept(parts_of(learn))
    search(learn, end_lr=1e6)
    assert learn.precision.state_dict() == scale
    assert differences(before, parts_of(learn)) == []
