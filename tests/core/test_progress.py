import sys

import pytest

from presize.core import progress
from presize.core.progress import PlainBar, choose_bar, track, working
from presize.core.ranks import Rank
from presize.core.screen import SCREEN


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "perf_counter", made)
    return made


def test_a_terminal_shows_the_work_and_keeps_nothing_of_it(terminal):
    print("before")
    with working("reading", 40, "img", delay=0) as work:
        work.at(10)
        SCREEN.draw(work.bar)
        before, line = terminal.lines()
        assert before == "before"
        assert line.startswith("reading  ━") and "10/40" in line
    print("after")
    assert terminal.lines() == ["before", "after"]
    assert sys.stdout is terminal.stream and sys.stderr is terminal.stream


def test_short_work_shows_nothing(terminal):
    assert list(track(range(1000), "counting")) == list(range(1000))
    assert terminal.lines() == [""]


def test_work_within_work_stands_above_it_and_goes_first(terminal):
    for fold in track(range(2), "folds", delay=0):
        with working("epoch", 3, delay=0):
            epoch, folds = terminal.lines()
            assert epoch.startswith("epoch") and folds.startswith("folds") and f"{fold}/2" in folds
        assert len(terminal.lines()) == 1
    assert terminal.lines() == [""]


def test_the_bar_goes_where_the_loop_ends_early_or_by_an_error(terminal):
    for _ in track(range(9), "counting", delay=0):
        break
    assert terminal.lines() == [""]
    with pytest.raises(ZeroDivisionError), working("dividing", 3, delay=0):
        1 / 0
    assert terminal.lines() == [""] and sys.stdout is terminal.stream


def test_the_bar_is_drawn_a_few_times_a_second(clock, monkeypatch):
    drawn = []

    class View:
        def draw(self, bar):
            drawn.append((bar.done, bar.figures))

        def close(self, bar, *, finished):
            drawn.append(finished)

    monkeypatch.setattr(progress, "choose_bar", lambda show: View())
    with working("reading", 100, "img") as work:
        for _ in range(100):
            clock.now += 0.02
            work.advance()
    counts = [done for done, _ in drawn[:-1]]
    assert counts == [25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100]
    assert drawn[0][1] == ("0:01 left", "50 img/s")
    assert drawn[-1] is True


def test_what_is_told_stands_in_front(terminal, clock):
    with working("looking", delay=0) as work:
        work.rename("searching")  # is seen at once, though the bar was drawn just now
        assert terminal.lines() == ["searching"]
        clock.now += 1
        work.tell("2 found")
        assert terminal.lines() == ["searching    2 found"]


def test_elsewhere_nothing_is_shown_unless_one_asks(capsys, monkeypatch):
    monkeypatch.delenv("PRESIZE_PLAIN", raising=False)
    assert choose_bar(None) is None and choose_bar(False) is None
    assert type(choose_bar(True)) is PlainBar
    monkeypatch.setenv("PRESIZE_PLAIN", "1")
    assert type(choose_bar(None)) is PlainBar
    assert choose_bar(False) is None


def test_a_log_gets_two_lines_of_long_work_and_none_of_short(clock, capsys):
    for seconds in (1.0, 4.0):
        with working("reading", 3, show=True, delay=0) as work:
            for _ in range(3):
                clock.now += seconds
                work.advance()
    out, err = capsys.readouterr()
    assert out == "" and err == "reading: 2/3 after 0:08\nreading: 3/3 in 0:12\n"
    with pytest.raises(KeyboardInterrupt), working("reading", 3, show=True) as work:
        clock.now += 9
        work.advance()
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("reading: stopped at 1/3 in 0:09\n")


def test_a_dumb_terminal_and_a_closed_one_are_no_place_for_bars(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert choose_bar(None) is None
    monkeypatch.setenv("TERM", "xterm")
    assert choose_bar(None) is not None
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert choose_bar(None) is None


def test_processes_beside_the_main_one_show_nothing(terminal, monkeypatch):
    monkeypatch.setattr("presize.core.ranks.current_rank", lambda: Rank(1, 2))
    assert choose_bar(None) is None and choose_bar(True) is None


def test_variables_that_contradict_each_other_are_not_the_matter_of_a_bar(terminal, monkeypatch):
    monkeypatch.setenv("RANK", "two")
    assert choose_bar(None) is not None
