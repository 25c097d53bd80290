import sys
import types

import pytest
import torch
from torch import nn

from presize.callbacks import progress
from presize.callbacks.base import Callback
from presize.callbacks.progress import ProgressCallback, choose_view, format_cell
from presize.callbacks.views.notebook import NotebookView
from presize.callbacks.views.plain import PlainView
from presize.callbacks.views.terminal import TerminalView
from presize.core import output
from presize.core.ranks import Rank
from presize.data.loaders import DataLoaders
from presize.learner import Learner


class Watch:
    """A view that writes down what it is told."""

    def __init__(self):
        self.calls = []

    def start(self, names):
        self.calls.append(("start", names))

    def bar(self, bar):
        self.calls.append(("bar", bar.label, bar.done, bar.total, bar.figures))

    def curve(self, curve):
        self.calls.append(("curve", curve))

    def row(self, cells):
        self.calls.append(("row", cells))

    def stop(self):
        self.calls.append(("stop",))


def make_learner(view, *, plot=False):
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(10)]
    dls = DataLoaders(batches, batches[:2], device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), nn.functional.mse_loss)
    return learn.add_cb(ProgressCallback(view, plot=plot))


def test_a_fit_shows_head_bars_rows_and_end():
    watch = Watch()
    make_learner(watch).fit(2)
    kinds = [call[0] for call in watch.calls]
    assert kinds[0] == "start" and kinds[-1] == "stop"
    assert kinds.count("row") == 2
    bars = [call[1:4] for call in watch.calls if call[0] == "bar"]
    assert bars[0] == ("epoch 1/2", 0, 10) and ("epoch 1/2", 10, 10) in bars
    assert ("epoch 2/2 valid", 0, 2) in bars and bars[-1] == ("epoch 2/2 valid", 2, 2)
    assert kinds.count("curve") == 0
    row = next(call for call in watch.calls if call[0] == "row")[1]
    assert row[0] == "0" and row[1].count(".") == 1 and len(row[1].split(".")[1]) == 6


class Clock:
    """Time that passes only when it is told to, or by a fixed step at every look."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_the_bar_is_drawn_a_few_times_a_second(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(progress, "perf_counter", Clock(0.04))
    make_learner(watch).fit(1)
    bars = [call[2] for call in watch.calls if call[0] == "bar" and "valid" not in call[1]]
    assert bars == [0, 3, 6, 9, 10]


def test_the_loss_is_shown_in_long_epochs_and_read_now_and_then(monkeypatch):
    watch, reads = Watch(), []
    monkeypatch.setattr(progress, "perf_counter", Clock(0.7))
    learn = make_learner(watch)
    kind = type(learn.recorder.smooth_loss)
    value = kind.value.fget

    def read(self):
        reads.append(value(self))
        return reads[-1]

    monkeypatch.setattr(kind, "value", property(read))
    learn.fit(1)
    figures = [call[4] for call in watch.calls if call[0] == "bar"]
    told = [[text for text in texts if "loss" in text] for texts in figures]
    assert told[:3] == [[], [], [f"loss {reads[0]:.4f}"]] and told[-1] == []
    # Three times while 10 steps of .7 seconds pass, and once for the row of the table.
    assert len(reads) == 3 + 1


def test_processes_beside_the_main_one_show_nothing(capsys, monkeypatch):
    watch = Watch()
    learn = make_learner(watch)
    cb = next(cb for cb in learn.cbs if isinstance(cb, ProgressCallback))
    fake = types.SimpleNamespace(
        ranks=Rank(1, 2), recorder=learn.recorder, logger=print, iter=0, n_iter=1, training=True,
        epoch=0, n_epoch=1,
    )  # fmt: skip
    cb.before_fit(fake)
    fake.logger([0, 0.5])
    cb.after_batch(fake)
    cb.after_fit(fake)
    assert watch.calls == [] and fake.logger is print
    assert capsys.readouterr().out == ""


def test_an_error_in_a_fit_closes_the_view():
    watch = Watch()
    learn = make_learner(watch)
    learn.loss_func = lambda p, t: 1 / 0
    with pytest.raises(ZeroDivisionError):
        learn.fit(1)
    assert watch.calls[-1] == ("stop",)
    assert learn.logger is print


def test_the_output_decides_the_view(monkeypatch):
    monkeypatch.delenv("PRESIZE_PLAIN", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert type(choose_view()) is TerminalView
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert type(choose_view()) is PlainView
    monkeypatch.setattr(output, "in_notebook", lambda: True)
    assert type(choose_view()) is NotebookView
    monkeypatch.setenv("PRESIZE_PLAIN", "1")
    assert type(choose_view()) is PlainView


def test_a_kernel_is_told_from_a_terminal(monkeypatch):
    kernel = type("ZMQInteractiveShell", (), {})()
    module = types.SimpleNamespace(get_ipython=lambda: kernel)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert progress.in_notebook()
    hosted = type("Shell", (type(kernel),), {})()
    module.get_ipython = lambda: hosted
    assert progress.in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not progress.in_notebook()


def test_the_curve_is_shown_where_it_is_asked_for():
    watch = Watch()
    learn = make_learner(watch, plot=True)
    learn.fit(2)
    first, second = [call[1] for call in watch.calls if call[0] == "curve"]
    assert first.steps == second.steps == 20 and second.epochs == [10, 20]
    assert [step for step, _ in first.train] == [6, 7, 8, 9, 10]
    assert [loss for _, loss in second.train] == learn.recorder.losses[5:]
    assert second.valid == [(10, learn.recorder.values[0][1]), (20, learn.recorder.values[1][1])]


def test_rates_and_the_time_left_are_told(monkeypatch):
    class Slow(Callback):
        def after_batch(self, learn):
            clock.now += 0.5

    watch, clock = Watch(), Clock(0.0)
    for name in ("presize.callbacks.progress", "presize.callbacks.pass_pace"):
        monkeypatch.setattr(f"{name}.perf_counter", clock)
    make_learner(watch).fit(1, cbs=Slow())
    figures = [call[4] for call in watch.calls if call[0] == "bar"]
    assert figures[0] == figures[1] == ()  # before the first batch, and after it
    assert figures[2] == ("0:04 left", "8.0 items/s")
    assert figures[10][-2:] == ("0:00 left", "8.0 items/s")


def test_one_that_is_given_to_a_fit_takes_the_place_of_the_other(capsys):
    watch = Watch()
    learn = make_learner(None)
    own = next(cb for cb in learn.cbs if isinstance(cb, ProgressCallback))
    learn.fit(1, cbs=ProgressCallback(watch))
    assert capsys.readouterr().out == "" and watch.calls[-1] == ("stop",)
    assert [cb for cb in learn.cbs if isinstance(cb, ProgressCallback)] == [own]


def test_another_pass_in_the_midst_of_training_does_not_confuse_the_bar():
    class Asks(Callback):
        run_valid = False

        def after_batch(self, learn):
            if learn.iter == 4:
                learn.validate()

    watch = Watch()
    make_learner(watch).fit(1, cbs=Asks())
    last = [call[1:4] for call in watch.calls if call[0] == "bar" and call[3] == 10][-1]
    assert last == ("epoch 1/1", 10, 10)


def test_cells_have_six_decimals():
    assert [format_cell(c) for c in (0, 0.5, None, "00:19")] == ["0", "0.500000", "", "00:19"]
