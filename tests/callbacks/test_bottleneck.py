import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from presize.callbacks import bottleneck
from presize.callbacks.base import Callback, CancelTrain
from presize.callbacks.bottleneck import Waiting
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.views.notebook import NotebookView
from presize.callbacks.views.plain import PlainView
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.caching.cache import NoCache
from presize.data.caching.ram_cache import RamCache
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.learner import Learner

PAIRS = [(torch.randn(3), torch.randn(1)) for _ in range(32)]


def napping(seconds):
    return lambda sample: time.sleep(seconds) or sample


def learner(seconds=0.0, bs=8, **options) -> Learner:
    train = DataLoader(PAIRS, bs, after_item=napping(seconds), **options)
    return Learner(DataLoaders(train, DataLoader(PAIRS, 8)), nn.Linear(3, 1), F.mse_loss)


@pytest.fixture
def at_once(monkeypatch):
    """Fits of any length count."""
    monkeypatch.setattr(bottleneck, "_LEAST_SECONDS", 0.1)
    monkeypatch.setattr(bottleneck, "available_cpus", lambda: 16)


def said(capsys):
    lines = [line for line in capsys.readouterr().out.splitlines() if "waited" in line]
    assert len(lines) < 2
    return lines[0] if lines else None


# ---- when it is said -----------------------------------------------------------------------------


def test_a_fit_that_waits_is_told_so(at_once, capsys):
    learner(0.01).fit(1)
    line = said(capsys)
    assert line.startswith("The model waited 9")
    assert "% of the time for data: the program itself, without workers, gave " in line
    assert line.endswith(" samples/s. Try num_workers=16.")


@pytest.mark.parametrize("number", [1, 2])
def test_workers_are_named(at_once, capsys, number):
    learner(0.01, num_workers=number).fit(1)
    line = said(capsys)
    assert f" {number} thread{'s' * (number > 1)} gave " in line
    assert "Try more workers (this machine has 16 cores)" in line
    assert line.endswith("or processes=True if a transform is slow Python.") == (number > 1)


def test_a_model_that_is_the_limit_is_left_alone(at_once, capsys):
    learn = learner(0.001, num_workers=2)
    learn.model.register_forward_pre_hook(lambda *_: time.sleep(0.05))
    learn.fit(2)
    assert said(capsys) is None


def test_short_fits_are_left_alone(capsys):
    learner(0.01).fit(2)
    assert said(capsys) is None


def test_the_start_of_workers_counts_once(at_once, capsys, monkeypatch):
    monkeypatch.setattr(bottleneck, "_LEAST_SECONDS", 0.3)
    learn = learner()
    learn.dls.train.before_iter = None
    slow_start = iter([0.5, 0.0, 0.0])

    def item(sample):
        time.sleep(next(slow_start, 0.0))
        return sample

    learn.dls.train.after_item = item
    learn.fit(2)
    assert said(capsys) is None


def test_nothing_is_said_without_logging_or_after_an_error(at_once, capsys):
    learn = learner(0.01)
    with learn.no_logging():
        learn.fit(1)
    assert capsys.readouterr().out == ""

    class Fails(Callback):
        def after_train(self, learn):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        learn.fit(1, cbs=Fails())
    assert said(capsys) is None


@pytest.mark.parametrize("way", ["table", "no_bar", "own", "notebook"])
def test_it_is_said_where_the_table_is(at_once, capsys, monkeypatch, way):
    learn = learner(0.01)
    if way == "no_bar":
        with learn.no_bar():
            learn.fit(1)
    elif way == "own":
        logged = []
        learn.logger = logged.append
        learn.fit(1)
        assert "waited" in logged[-1][0]
        return
    else:
        view = PlainView() if way == "table" else NotebookView()
        monkeypatch.setattr(NotebookView, "start", lambda self, names: None)
        learn.remove_cb(ProgressCallback).add_cb(ProgressCallback(view))
        learn.fit(1)
    assert said(capsys).startswith("The model waited")


def test_passes_that_are_cut_short_count(at_once, capsys):
    class Stops(Callback):
        def after_batch(self, learn):
            if learn.training and learn.iter == 6:
                raise CancelTrain

    learner(0.01, bs=4).fit(1, cbs=Stops())
    assert said(capsys) is not None


def test_of_loaders_that_are_not_ours_nothing_is_known(at_once, capsys):
    train = torch.utils.data.DataLoader(PAIRS, 8)
    learn = Learner(DataLoaders(train, train, device="cpu"), nn.Linear(3, 1), F.mse_loss)
    learn.fit(1)
    assert said(capsys) is None
    assert Waiting().verdict(train) is None


# ---- what is advised -----------------------------------------------------------------------------


@pytest.fixture
def pictures(picture_folder):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=Resize(32),
    )
    return block.dataloaders(picture_folder, bs=8, num_workers=2, cache=False)


def verdict(dl, *, size=(32, 32), misses=(), passes=1, filling=0):
    """Return what is said of passes that each gave 100 samples in 10 s, 9 of them waited for."""
    waiting = Waiting()
    for i in range(passes):
        waiting.begin(dl)
        dl.flow = SimpleNamespace(
            batches=10, samples=100, seconds=10.0, waited=9.0, first=0.0, size=size
        )
        if i < filling:
            dl.cache._misses += 100
        waiting.add(dl)
    return waiting.verdict(dl)


def test_only_what_is_not_done_yet_is_advised(at_once, pictures, monkeypatch):
    dl = pictures.train
    text = verdict(dl)
    assert text == (
        "The model waited 90 % of the time for data: 2 threads gave 10 pictures/s. "
        'Try cache="ram" or more workers (this machine has 16 cores).'
    )
    dl.cache = NoCache("too large")
    assert "Try a cache (`dls.cache_info()` says why it is off) or more" in verdict(dl)
    dl.cache = RamCache(1 << 30)
    assert verdict(dl).endswith("/s. Try more workers (this machine has 16 cores).")
    monkeypatch.setattr(bottleneck, "available_cpus", lambda: 2)
    assert verdict(dl).endswith("/s. All cores of this machine are at work on it.")


def test_a_smaller_presize_is_advised_where_less_is_decoded_or_sent(at_once, pictures):
    dl = pictures.train
    dl.cache = RamCache(1 << 30)
    assert "smaller presize" not in verdict(dl, size=(24, 24))  # too small to be halved
    dl.to("cuda")
    assert "Try a smaller presize than 32 or more workers" in verdict(dl, size=(24, 24))
    assert "smaller presize" not in verdict(dl, size=(32, 32))
    dl.to("cpu")
    assert "a smaller presize than 32" in verdict(dl, size=(8, 8))


def test_a_cache_that_is_being_filled_is_waited_for(at_once, pictures):
    dl = pictures.train
    dl.cache = RamCache(1 << 30)
    assert "Later epochs find pictures in the cache." in verdict(dl, filling=1)
    assert "Later epochs" not in verdict(dl, passes=3, filling=1)


def test_a_device_that_computes_behind_the_program_is_not_judged(at_once, pictures):
    assert verdict(pictures.train.to("meta")) is None


@pytest.mark.parametrize(("value", "text"), [(3.14159, "3.1"), (48.26, "48"), (12345.6, "12,300")])
def test_rates_have_no_more_digits_than_they_are_worth(value, text):
    assert bottleneck._rate(value) == text
