import io
import sys
import types

import pytest
import torch
from rich.console import Console
from torch import nn

from presize.callbacks import progress
from presize.callbacks.progress import (
    NotebookView,
    PlainView,
    ProgressCallback,
    TerminalView,
    choose_view,
    format_cell,
)
from presize.core.ranks import Rank
from presize.data.loaders import DataLoaders
from presize.learner import Learner


class Watch:
    """A view that writes down what it is told."""

    def __init__(self):
        self.calls = []

    def start(self, names):
        self.calls.append(("start", names))

    def bar(self, label, done, total):
        self.calls.append(("bar", label, done, total))

    def row(self, cells):
        self.calls.append(("row", cells))

    def stop(self):
        self.calls.append(("stop",))


def make_learner(view):
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(10)]
    dls = DataLoaders(batches, batches[:2], device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), nn.functional.mse_loss)
    learn.remove_cb(ProgressCallback)
    return learn.add_cb(ProgressCallback(view))


def test_a_fit_shows_head_bars_rows_and_end():
    watch = Watch()
    make_learner(watch).fit(2)
    kinds = [call[0] for call in watch.calls]
    assert kinds[0] == "start" and kinds[-1] == "stop"
    assert kinds.count("row") == 2
    assert ("bar", "epoch 1/2 train", 10, 10) in watch.calls
    assert ("bar", "epoch 2/2 valid", 2, 2) in watch.calls
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
    bars = [call[2] for call in watch.calls if call[0] == "bar" and "train" in call[1]]
    assert bars == [3, 6, 9, 10]


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
    labels = [call[1] for call in watch.calls if call[0] == "bar"]
    assert labels[:2] == ["epoch 1/1 train"] * 2
    assert labels[2] == f"epoch 1/1 train, loss {reads[0]:.4f}"
    assert labels[-1] == "epoch 1/1 valid"
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


def test_a_bar_begins_anew_with_each_part():
    view = TerminalView()
    view._bars.live.console = Console(file=io.StringIO(), force_terminal=True, width=80)
    view.start(["epoch"])
    task = view._bars.tasks[0]
    for done, total in [(5, 10), (10, 10), (2, 4), (4, 4), (3, 10)]:
        view.bar("part", done, total)
        assert (task.completed, task.total) == (done, total)
    view.stop()


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
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    assert type(choose_view()) is NotebookView
    monkeypatch.setenv("PRESIZE_PLAIN", "1")
    assert type(choose_view()) is PlainView


def test_a_kernel_is_told_from_a_terminal(monkeypatch):
    kernel = type("ZMQInteractiveShell", (), {})()
    module = types.SimpleNamespace(get_ipython=lambda: kernel)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert progress.in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not progress.in_notebook()


def test_the_terminal_keeps_the_table_and_no_bar():
    view = TerminalView()
    out = io.StringIO()
    view._bars.live.console = Console(file=out, force_terminal=True, width=80)
    view.start(["epoch", "train_loss", "time"])
    view.bar("epoch 1/1 train", 1, 2)
    view.row(["0", "0.500000", "00:01"])
    view.stop()
    text = out.getvalue()
    assert "train_loss" in text and "0.500000" in text
    assert text.rstrip().endswith("\x1b[2K") or "00:01" in text.splitlines()[-2] + text


def test_a_notebook_gets_a_table_that_grows(monkeypatch):
    pages = []

    class Handle:
        def update(self, page):
            pages.append(page.data)

    from IPython import display

    monkeypatch.setattr(display, "display", lambda page, display_id: Handle())
    view = NotebookView()
    view.start(["epoch", "a<b"])
    view.bar("epoch 1/1 train", 1, 2)
    view.row(["0", "0.5"])
    view.stop()
    assert "<progress value='1' max='2'" in pages[0]
    assert "a&lt;b" in pages[-1] and "<td>0.5</td>" in pages[-1]
    assert "<progress" not in pages[-1]


def test_cells_have_six_decimals():
    assert [format_cell(c) for c in (0, 0.5, None, "00:19")] == ["0", "0.500000", "", "00:19"]
