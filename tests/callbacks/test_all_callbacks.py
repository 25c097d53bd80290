"""What every callback of the package promises, whoever wrote it: found by walking the package."""

import importlib
import inspect
import pkgutil
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import presize.callbacks
from presize.callbacks.base import EVENTS, Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.lr_finder import LRFinder
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.optim import SGD
from presize.train.schedules import SchedCos

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
BATCH_EVENTS = EVENTS[EVENTS.index("before_batch") : EVENTS.index("after_batch") + 1]

# No callbacks of their own: what others are made of.
PARTS = {"Callback", "Callbacks", "Mixing", "PatienceCallback"}
# How to make those that cannot be made without arguments, or whose own choice does not fit here.
MAKE = {
    "GradientClip": lambda kind: kind(1.0),
    "GradientAccumulation": lambda kind: kind(16),
    "LRFinder": lambda kind: kind(num_it=5, stop_div=False),
    "ParamScheduler": lambda kind: kind({"lr": SchedCos(0.1, 0.01)}),
    "ProgressiveResize": lambda kind: kind({0: 12, 1: 16}),
    "ReduceLROnPlateau": lambda kind: kind(patience=9),
    "EarlyStoppingCallback": lambda kind: kind(patience=9),
    "TimeBudget": lambda kind: kind("1h"),
}
# They set the rate, which only one can do in a fit.
SETS_RATE = {"ParamScheduler", "ReduceLROnPlateau"}
# Why two runs with a callback need not be equal.
TIMED = {"TimeBudget": "it ends when its time is up"}
# Why a callback may read from the device in the events of batches.
READS = {
    "LRFinder": "it must stop as soon as the loss diverges, and is no real training",
    "GatherPredsCallback": "predictions are kept on the CPU; nothing trains meanwhile",
}
READS_ON_CPU = READS | {
    "DivergenceWatch": "on a CPU, where nothing waits, the loss is looked at before it does harm",
}


def all_callbacks():
    kinds = set()
    for module in pkgutil.walk_packages(presize.callbacks.__path__, "presize.callbacks."):
        members = vars(importlib.import_module(module.name)).values()
        kinds |= {m for m in members if inspect.isclass(m) and issubclass(m, Callback)}
    ours = {k for k in kinds if k.__module__.startswith("presize.callbacks.")}
    public = {k for k in ours if not k.__name__.startswith("_") and k.__name__ not in PARTS}
    return sorted(public, key=lambda k: k.__name__)


KINDS = all_callbacks()
every_callback = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
# LRFinder is what lr_find adds for itself: there it skips validation and ends the fit.
every_other = pytest.mark.parametrize(
    "kind", [k for k in KINDS if k is not LRFinder], ids=lambda kind: kind.__name__
)


def make(kind):
    if kind.__name__ == "TensorBoardCallback":
        pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    maker = MAKE.get(kind.__name__)
    if maker is not None:
        return maker(kind)
    needed = [
        p.name
        for p in inspect.signature(kind).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    assert not needed, f"tell in MAKE how a {kind.__name__} is made; it needs {needed}"
    return kind()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folders train/{a,b} and valid/{a,b} of tiny pictures, 8 and 4 of each."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 8), ("valid", 4)):
        for label, level in (("a", 60), ("b", 180)):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.normal(level, 40, (20, 20, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setenv("PRESIZE_PLAIN", "1")


def make_learner(pictures, path, cb=None, device="cpu"):
    torch.manual_seed(0)
    dls = ImageDataLoaders.from_folder(
        pictures, item_tfms=Resize(16), bs=8, num_workers=0, seed=1, device=device
    )
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    )
    learn = Learner(dls, model, opt_func=SGD, lr=0.1, metrics=accuracy, path=path)
    if cb is not None:
        # Those that a learner always has are not there twice.
        learn.remove_cb(type(cb))
        learn.add_cb(cb)
    return learn


def files_in(path):
    return sorted(p for p in path.rglob("*") if p.is_file())


def state_of(learn):
    return {name: t.clone() for name, t in learn.model.state_dict().items()}


# ---- what can be seen without running it -------------------------------------------------------


@every_callback
def test_it_is_documented(kind):
    assert len(kind.__dict__.get("__doc__") or "") > 30
    for name, member in vars(kind).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            assert inspect.getdoc(member), name
    words = kind.__doc__.split("Args:")[-1]
    for name in inspect.signature(kind).parameters:
        inherited = "Arguments: " in kind.__doc__
        assert f"{name}:" in words or inherited, f"Args: of {kind.__name__} does not tell `{name}`"


@every_callback
def test_its_events_are_events_and_its_order_is_a_number(kind):
    assert isinstance(kind.order, int | float)
    own = [name for name in dir(kind) if name.startswith(("before_", "after_"))]
    assert set(own) == set(EVENTS)


def test_the_docs_list_all_of_them_in_the_order_in_which_they_run():
    text = PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)`(?: •)? \| (-?[\d.]+) \|", text, flags=re.MULTILINE)
    assert {name: float(order) for name, order in listed} == {k.__name__: k.order for k in KINDS}
    assert [float(order) for _, order in listed] == sorted(float(order) for _, order in listed)


def test_the_docs_mark_those_that_are_always_there(pictures, tmp_path):
    marked = re.findall(r"^\| `(\w+)` • \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(type(cb).__name__ for cb in make_learner(pictures, tmp_path).cbs) == sorted(
        marked
    )


@every_callback
def test_its_repr_says_what_it_is(kind):
    cb = make(kind)
    assert re.fullmatch(rf"{kind.__name__}(\(.*\))?", repr(cb))
    assert " object at 0x" not in repr(cb)


# ---- what it does in training ------------------------------------------------------------------


@pytest.mark.usefixtures("quiet")
@every_other
def test_it_takes_part_in_all_that_a_learner_does(kind, pictures, tmp_path):
    cb = make(kind)
    learn = make_learner(pictures, tmp_path, cb)
    kinds, threads = [type(c) for c in learn.cbs], threading.active_count()
    shape = learn.dls.one_batch()[0].shape
    learn.fit(2)
    learn.validate()
    preds, targets = learn.get_preds()
    assert len(preds) == len(targets) == 8
    learn.lr_find(show_plot=False, num_it=12)
    if kind.__name__ not in SETS_RATE:
        learn.fit_one_cycle(1)
    assert [type(c) for c in learn.cbs] == kinds
    assert learn.logger is print and learn.accumulate == 1
    assert threading.active_count() <= threads
    assert learn.dls.one_batch()[0].shape == shape
    assert all(t.isfinite().all() for t in learn.model.state_dict().values())


@pytest.mark.usefixtures("quiet")
@every_other
def test_it_rests_while_a_rate_is_looked_for(kind, pictures, tmp_path):
    cb = make(kind)
    learn = make_learner(pictures, tmp_path, cb)
    learn.fit(1)
    files, weights, state = files_in(tmp_path), state_of(learn), cb.state_dict()
    stamps = [p.stat().st_mtime_ns for p in files]
    learn.lr_find(show_plot=False, num_it=12)
    assert files_in(tmp_path) == files
    assert [p.stat().st_mtime_ns for p in files] == stamps
    assert all(torch.equal(t, weights[name]) for name, t in learn.model.state_dict().items())
    assert same(cb.state_dict(), state)


class LookForRate(Callback):
    """Calls lr_find in the middle of a fit, once."""

    order = 1e6
    looked = False

    def after_epoch(self, learn):
        if not self.looked:
            self.looked = True
            learn.lr_find(show_plot=False, num_it=12)


@pytest.mark.usefixtures("quiet")
@every_other
def test_a_rate_that_is_looked_for_in_mid_run_changes_nothing(kind, pictures, tmp_path):
    if kind.__name__ in TIMED:
        pytest.skip(TIMED[kind.__name__])
    ends = []
    for name, cbs in (("plain", []), ("looked", [LookForRate()])):
        folder = tmp_path / name
        learn = make_learner(pictures, folder, cb := make(kind))
        learn.fit(3, cbs=cbs)
        names = [p.relative_to(folder).as_posix() for p in files_in(folder)]
        ends.append((state_of(learn), learn.recorder.values, cb.state_dict(), len(names)))
    for plain, looked in zip(*ends, strict=True):
        assert same(plain, looked)


@pytest.mark.usefixtures("quiet")
@every_callback
def test_an_error_in_the_fit_comes_through_and_the_next_fit_works(kind, pictures, tmp_path):
    class Fail(Callback):
        order = 45

        def after_backward(self, learn):
            raise ArithmeticError("out of luck")

    learn = make_learner(pictures, tmp_path, make(kind))
    with pytest.raises(ArithmeticError, match="out of luck"):
        learn.fit(1, cbs=Fail())
    assert learn.logger is print
    learn.opt.zero_grad()
    learn.fit(1)


TOGETHER = [
    *("CSVLogger", "CutMixUp", "EMA", "EarlyStoppingCallback", "GradientAccumulation"),
    *("GradientClip", "SaveModelCallback", "ShowGraph", "TrackerCallback"),
]


@pytest.mark.usefixtures("quiet")
def test_many_of_them_take_part_in_one_fit(pictures, tmp_path):
    learn = make_learner(pictures, tmp_path)
    learn.add_cbs([make(kind) for kind in KINDS if kind.__name__ in TOGETHER])
    assert len(learn.cbs) == len(TOGETHER) + 5  # those that are always there
    learn.lr_find(show_plot=False, num_it=12)
    learn.fit_one_cycle(3)
    assert len(learn.recorder.values) == 3
    assert [p.name for p in files_in(tmp_path)] == ["history.csv", "model.safetensors"]
    best = min(row[1] for row in learn.recorder.values)
    with learn.no_logging():
        assert learn.validate()[0] == pytest.approx(best, rel=1e-5)


# ---- what a resumed run needs of it ------------------------------------------------------------


# How long it took, and what is named after the time.
CLOCKS = {"seconds", "used", "folder", "started", "waited"}


def same(a, b):
    """Say whether two states are equal, tensors to the bit; time is not compared."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        keys = {*a, *b} - CLOCKS
        return isinstance(b, dict) and all(k in a and k in b and same(a[k], b[k]) for k in keys)
    if isinstance(a, list | tuple):
        # A line of a CSV file ends in seconds.
        a, b = (
            [str(x).rpartition(",")[0] if str(x)[-1:] == "\n" else x for x in y] for y in (a, b)
        )
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def check_plain(value, place):
    if isinstance(value, dict):
        for key, inner in value.items():
            assert isinstance(key, str), f"{place} has the key {key!r}"
            check_plain(inner, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            check_plain(inner, f"{place}[{i}]")
    else:
        plain = value is None or type(value) in (bool, int, float, str) or type(value) is Tensor
        assert plain, f"{place} is a {type(value).__name__}"


class Take(Callback):
    """Takes the state of another callback in the middle of the second epoch."""

    order = 1e6
    state = None

    def __init__(self, cb):
        self.cb = cb

    def after_batch(self, learn):
        if learn.training and learn.train_iter == 3:
            self.state = self.cb.state_dict()
            assert same(self.cb.state_dict(), self.state)


class Give(Callback):
    """Gives it to a new one where a resumed run does, and looks at what it has taken in."""

    order = 1e6
    taken_in = None

    def __init__(self, cb, state):
        self.cb, self.state = cb, state

    def before_fit(self, learn):
        self.cb.load_state_dict(self.state)
        self.taken_in = self.cb.state_dict()


@pytest.mark.usefixtures("quiet")
@every_callback
def test_its_state_is_plain_and_comes_back_whole(kind, pictures, tmp_path):
    cb = make(kind)
    take = Take(cb)
    make_learner(pictures, tmp_path, cb).fit(2, cbs=take)
    check_plain(take.state, f"{kind.__name__}.state_dict()")
    again = make(kind)
    give = Give(again, take.state)
    make_learner(pictures, tmp_path, again).fit(2, cbs=give)
    assert same(give.taken_in, take.state)


@every_callback
def test_a_callback_with_a_state_can_take_it_in(kind):
    saves, loads = (
        getattr(kind, name) is not vars(Callback)[name]
        for name in ("state_dict", "load_state_dict")
    )
    assert saves == loads


class _Die(Callback):
    """Copies what a run has written at one moment, as if it had been killed there."""

    order = 1e7

    def __init__(self, dead, moment):
        self.dead, self.moment = dead, moment

    def _die(self, learn, moment):
        if moment == self.moment:
            shutil.copytree(learn.path, self.dead)

    def after_batch(self, learn):
        if learn.training:
            self._die(learn, f"step {learn.train_iter}")

    def after_epoch(self, learn):
        self._die(learn, f"epoch {learn.epoch}")


def end_of(learn, cb, folder):
    texts = {p.name: p.read_text().splitlines(keepends=True) for p in folder.glob("*.csv")}
    return state_of(learn), learn.recorder.values, learn.recorder.lrs, cb.state_dict(), texts


@pytest.mark.usefixtures("quiet")
@every_other
# In the middle of the second epoch, before its validation, and behind it.
@pytest.mark.parametrize("moment", ["step 3", "step 4", "epoch 1"])
def test_a_run_that_is_killed_and_resumed_ends_as_if_it_had_not(kind, moment, pictures, tmp_path):
    if kind.__name__ in TIMED:
        pytest.skip(TIMED[kind.__name__])
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    recipe = "fit" if kind.__name__ in SETS_RATE else "fit_one_cycle"

    def begin(path):
        keeper = Checkpoints(every_steps=1)
        cb = keeper if kind is Checkpoints else make(kind)
        return make_learner(pictures, path, cb), cb, [] if cb is keeper else [keeper]

    learn, cb, keeper = begin(alive)
    with learn.added_cbs([_Die(dead, moment)]):
        getattr(learn, recipe)(3, cbs=keeper)
    expected = end_of(learn, cb, alive)
    again, cb, keeper = begin(dead)
    again.model[0].weight.data.zero_()
    torch.manual_seed(99)
    again.resume(cbs=keeper)
    for one, other in zip(expected, end_of(again, cb, dead), strict=True):
        assert same(one, other)


# ---- what would make a step wait for the device ------------------------------------------------

ATEN = torch.ops.aten
# These need to know values, or how many there are, before they can go on.
WAITS = {
    ATEN._local_scalar_dense.default, ATEN.equal.default, ATEN.is_nonzero.default,
    ATEN.nonzero.default, ATEN.masked_select.default, ATEN._unique2.default,
    ATEN.repeat_interleave.Tensor,
}  # fmt: skip


class NoReads(TorchDispatchMode):
    """Fails on whatever would wait for a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in WAITS, f"{func} waits for the device"
        if func in (ATEN.index.Tensor, ATEN.index_put_.default):
            chosen = [i for i in args[1] if i is not None and i.dtype in (torch.bool, torch.uint8)]
            assert not chosen, f"{func} with a mask waits for the device"
        return func(*args, **(kwargs or {}))


def refuse(name):
    def read(self, *args, **kwargs):
        raise AssertionError(f"Tensor.{name} waits for the device")

    return read


def guard(cb, monkeypatch):
    """Let every event of batches of `cb` fail if it reads from the device."""
    counts = dict.fromkeys(BATCH_EVENTS, 0)

    def guarded(event, inner):
        def call(learn):
            counts[event] += 1
            with monkeypatch.context() as patch, NoReads():
                # These go past the dispatcher.
                for name in ("tolist", "numpy", "cpu", "__array__", "__bool__", "__float__"):
                    patch.setattr(Tensor, name, refuse(name))
                inner(learn)

        return call

    for event in BATCH_EVENTS:
        if getattr(type(cb), event) is not vars(Callback)[event]:
            setattr(cb, event, guarded(event, getattr(cb, event)))
    return counts


@pytest.mark.usefixtures("quiet")
@every_callback
def test_its_events_of_batches_do_not_wait_for_the_device(kind, pictures, tmp_path, monkeypatch):
    if kind.__name__ in READS_ON_CPU:
        pytest.skip(READS_ON_CPU[kind.__name__])
    cb = make(kind)
    counts = guard(cb, monkeypatch)
    make_learner(pictures, tmp_path, cb).fit(2)
    for event in BATCH_EVENTS:
        overridden = getattr(kind, event) is not vars(Callback)[event]
        if overridden and "cancel" not in event:
            assert counts[event] > 0, f"{event} never ran"


@pytest.mark.parametrize(
    "read",
    [
        lambda loss: loss.item(), float, bool, int, lambda loss: loss.tolist(),
        lambda loss: loss.numpy(), lambda loss: loss.cpu(), lambda loss: loss.reshape(1).nonzero(),
        lambda loss: loss.reshape(1)[loss.reshape(1) > 0], lambda loss: f"{loss:.3f}",
        lambda loss: loss == loss or None,
    ],
)  # fmt: skip
def test_the_guard_notices_all_ways_to_read(read, monkeypatch):
    class Reads(Callback):
        def after_batch(self, learn):
            read(learn.loss)

    cb = Reads()
    guard(cb, monkeypatch)
    with pytest.raises(AssertionError, match="waits for the device"):
        cb.after_batch(type("L", (), {"loss": torch.tensor(1.0)}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.usefixtures("quiet")
@every_callback
def test_its_events_of_batches_do_not_wait_for_a_gpu(kind, pictures, tmp_path, monkeypatch):
    if kind.__name__ in READS:
        pytest.skip(READS[kind.__name__])
    cb = make(kind)

    def guarded(inner):
        def call(learn):
            torch.cuda.set_sync_debug_mode("error")
            try:
                inner(learn)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        return call

    for event in BATCH_EVENTS:
        if getattr(kind, event) is not vars(Callback)[event]:
            monkeypatch.setattr(cb, event, guarded(getattr(cb, event)), raising=False)
    make_learner(pictures, tmp_path, cb, device="cuda").fit(2)
