import sys

import pytest
import torch
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.progress import ProgressCallback
from presize.core.screen import SCREEN
from presize.data.loaders import DataLoaders
from presize.learner import Learner


def make_learner(*cbs):
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(10)]
    dls = DataLoaders(batches, batches[:2], device="cpu")
    return Learner(dls, nn.Linear(3, 1), nn.functional.mse_loss, cbs=list(cbs))


class Looks(Callback):
    """Keeps what stands on the screen in the midst of each epoch."""

    run_valid = False

    def __init__(self, terminal):
        self.terminal, self.seen = terminal, []

    def after_batch(self, learn):
        if learn.iter == 5:
            print(f"hello from epoch {learn.epoch}")
            self.seen.append(self.terminal.lines())


class Trains(Callback):
    """Trains in the midst of a fit, once."""

    def __init__(self):
        self.done = False

    def after_epoch(self, learn):
        if not self.done:
            self.done = True
            learn.fit(1)


def test_a_fit_in_the_midst_of_another_leaves_no_bar(terminal):
    out = sys.stdout
    make_learner(Trains()).fit(2)
    assert sys.stdout is out and not SCREEN._bars
    assert all("epoch 1/" not in line and "epoch 2/" not in line for line in terminal.lines())


def test_a_fit_leaves_the_table_and_what_was_printed(terminal):
    looks = Looks(terminal)
    learn = make_learner(looks)
    learn.fit(2)
    head, first, row, second, last = terminal.lines()
    assert head.split() == ["epoch", "train_loss", "valid_loss", "time"]
    assert (first, second) == ("hello from epoch 0", "hello from epoch 1")
    train, valid = learn.recorder.values[1]
    assert last.split()[:3] == ["1", f"{train:.6f}", f"{valid:.6f}"]
    assert row.split()[0] == "0" and len(row) == len(last) == len(head)
    during = looks.seen[1]
    assert during[:4] == [head, first, row, second] and len(during) == 5
    assert during[4].startswith("epoch 2/2  ") and "/10" in during[4]
    assert sys.stdout is terminal.stream


def test_the_curve_is_a_line_of_blocks_above_the_bar(terminal, monkeypatch):
    monkeypatch.setattr("presize.callbacks.progress.LOSS_SECONDS", 0.0)
    monkeypatch.setattr("presize.callbacks.progress.REFRESH_SECONDS", 0.0)
    looks = Looks(terminal)
    make_learner(looks).fit(2, cbs=ProgressCallback(plot=True))
    curve, bar = looks.seen[1][-2:]
    assert curve.startswith("loss  ") and set("▁█") <= set(curve) and bar.startswith("epoch 2/2")
    assert len(terminal.lines()) == 5


def test_an_error_leaves_a_clean_screen(terminal):
    class Fails(Callback):
        def after_batch(self, learn):
            raise KeyError("no")

    with pytest.raises(KeyError):
        make_learner(Fails()).fit(1)
    assert [line.split()[0] for line in terminal.lines()] == ["epoch"]
    assert sys.stdout is terminal.stream and SCREEN._live is None


def test_nothing_is_drawn_without_a_bar_or_without_logging(terminal):
    learn = make_learner()
    with learn.no_logging():
        learn.fit(1)
    assert terminal.lines() == [""]
    with learn.no_bar():
        learn.fit(1)
    (row,) = terminal.lines()
    assert row.startswith("[0, ")


def test_plain_lines_are_asked_for_by_a_variable(terminal, monkeypatch):
    monkeypatch.setenv("PRESIZE_PLAIN", "1")
    looks = Looks(terminal)
    make_learner(looks).fit(1)
    assert [line.split()[0] for line in looks.seen[0]] == ["epoch", "hello"]
    assert len(terminal.lines()) == 3


def test_no_colour_where_it_is_not_wanted(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    written = []
    write = terminal.stream.write
    monkeypatch.setattr(terminal.stream, "write", lambda t: (written.append(t), write(t))[1])
    make_learner().fit(1)
    assert "━" in "".join(written)
    assert not any(f"\x1b[{n}" in "".join(written) for n in ("3", "4", "9", "1;3"))


def test_a_terminal_without_the_letters_shows_no_curve(terminal, monkeypatch):
    monkeypatch.setattr("presize.callbacks.progress.LOSS_SECONDS", 0.0)
    terminal.stream.reconfigure(encoding="ascii")
    looks = Looks(terminal)
    make_learner(looks).fit(1, cbs=ProgressCallback(plot=True))
    assert len(looks.seen[0]) == 3 and "---" in looks.seen[0][-1]


def test_ctrl_c_leaves_a_clean_screen(run_in_terminal):
    code, shown = run_in_terminal(
        """
        import time, torch
        from torch import nn
        from presize.callbacks.base import Callback
        from presize.data.loaders import DataLoaders
        from presize.learner import Learner

        class Slow(Callback):
            def after_batch(self, learn):
                time.sleep(0.05)

        batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(1000)]
        dls = DataLoaders(batches, batches[:2], device="cpu")
        learn = Learner(dls, nn.Linear(3, 1), nn.functional.mse_loss, cbs=Slow())
        try:
            learn.fit(2)
        except KeyboardInterrupt:
            print("stopped")
        """,
        interrupt_at="items/s",
    )
    assert code == 0
    assert [line.split()[0] for line in shown] == ["epoch", "stopped"]
