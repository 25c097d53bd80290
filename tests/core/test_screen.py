import logging
import subprocess
import sys

import pytest

from presize.core.bar import Bar
from presize.core.printing import Through
from presize.core.progress import working
from presize.core.screen import SCREEN, ScreenBar, line


def drawn(bar, width):
    from rich.console import Console

    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(line(bar, width))
    text = capture.get()
    assert text.count("\n") == 1
    return text.rstrip()


def test_where_it_is_narrow_the_least_important_goes_first():
    bar = Bar("epoch 1/10", 400, done=128)
    bar.figures = ("loss 0.5321", "0:12 left", "1,050 img/s", "waits 12 %")
    assert drawn(bar, 120).endswith("128/400  loss 0.5321  0:12 left  1,050 img/s  waits 12 %")
    assert drawn(bar, 80).endswith("0:12 left  1,050 img/s")
    assert drawn(bar, 48).endswith("128/400  loss 0.5321")
    assert drawn(bar, 36).endswith("  128/400") and "━" in drawn(bar, 36)
    assert drawn(bar, 26) == "epoch 1/10  128/400"
    assert drawn(bar, 16) == "epoch 1/10"
    assert drawn(bar, 3) == "e"


@pytest.mark.parametrize("width", range(2, 100, 7))
def test_a_line_leaves_room_for_the_echo_of_ctrl_c(width):
    bar = Bar("epoch 1/10", 400, done=399)
    bar.figures = ("loss 0.5321", "0:12 left", "1,050 img/s")
    assert len(drawn(bar, width)) <= max(width - 4, 1)


def test_what_a_program_prints_is_all_there_in_its_order(terminal):
    long = "x" * 200
    with working("reading", 9, delay=0):
        print("one :smile: [bold]two[/]", flush=True)
        print(long)
        sys.stderr.write("three\nfour")
        sys.stderr.flush()
        print("five\t5")
        sys.stderr.write(" and more\n")
        assert terminal.lines()[-1].startswith("reading")
        print("six", end="")
    assert terminal.lines() == [
        "one :smile: [bold]two[/]", "x" * 80, "x" * 80, "x" * 40, "three", "five\t5",
        "four and more", "six",
    ]  # fmt: skip


def test_what_was_begun_stands_above_the_bar_as_the_question_of_input_does(terminal, monkeypatch):
    with working("reading", 9, delay=0):
        print("Go on? ", end="", flush=True)
        asked, bar = terminal.lines()
        assert asked == "Go on?" and bar.startswith("reading")
        print("yes")
        assert terminal.lines()[0] == "Go on? yes"
    assert terminal.lines() == ["Go on? yes"]


def test_a_bar_of_another_library_is_drawn_in_one_line(terminal):
    with working("reading", 9, delay=0):
        for i in range(3):
            sys.stderr.write(f"\rother {i}/2")
            sys.stderr.flush()
        assert terminal.lines()[0] == "other 2/2" and len(terminal.lines()) == 2
        sys.stderr.write("\n")
    assert terminal.lines() == ["other 2/2"]


def test_the_log_goes_the_same_way(terminal):
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        with working("reading", 9, delay=0):
            logging.warning("from the log")
            assert terminal.lines()[-1].startswith("reading")
        assert handler.stream is terminal.stream
        logging.warning("later")
    finally:
        logging.getLogger().removeHandler(handler)
    assert terminal.lines() == ["from the log", "later"]


def test_nothing_flickers_since_what_is_taken_away_is_drawn_again_in_the_same_write(
    terminal, monkeypatch
):
    writes = []
    write = terminal.stream.write

    def watched(text):
        writes.append(text)
        return write(text)

    monkeypatch.setattr(terminal.stream, "write", watched)
    with working("reading", 9, delay=0) as work:
        for i in range(5):
            work.at(i)
            SCREEN.draw(work.bar)
            print("text")
        count = len(writes)
    erasing = [text for text in writes[:count] if "\x1b[2K" in text]
    assert len(erasing) == 10 and all("reading" in text for text in erasing)
    assert all("\x1b[?25l" not in text for text in writes[2:])


def test_an_output_that_leads_elsewhere_stays_as_it_is(terminal, monkeypatch, tmp_path):
    with (tmp_path / "errors").open("w") as errors:
        monkeypatch.setattr(sys, "stderr", errors)
        with working("reading", 9, delay=0):
            assert sys.stderr is errors
            print("for the file", file=sys.stderr)
    assert (tmp_path / "errors").read_text() == "for the file\n"
    assert terminal.lines() == [""]


def test_a_program_may_put_another_stream_there(terminal, tmp_path):
    with (tmp_path / "out").open("w") as out, working("reading", 9, delay=0):
        kept, sys.stdout = sys.stdout, out
        print("for the file")
    assert sys.stdout is out
    kept.write("late\n")
    sys.stdout = terminal.stream
    assert (tmp_path / "out").read_text() == "for the file\n"
    assert terminal.lines() == ["late"]


def test_a_forked_process_prints_as_if_there_were_no_bar(terminal, monkeypatch):
    through = Through(terminal.stream, SCREEN)
    monkeypatch.setattr("os.getpid", lambda: -1)
    through.write("of the other\n")
    through.flush()
    assert through.encoding == "utf-8" and through.isatty()
    assert terminal.lines() == ["of the other"]


def test_bars_that_do_not_fit_are_cut_and_leave_nothing(terminal, monkeypatch):
    monkeypatch.setenv("LINES", "5")
    bars = [Bar(f"work {i}", 9) for i in range(9)]
    for bar in bars:
        ScreenBar().draw(bar)
    assert len(terminal.lines()) == 5
    for bar in bars:
        ScreenBar().close(bar, finished=True)
    assert terminal.lines() == [""]


def test_an_error_that_nobody_catches_is_told_on_a_clean_screen(run_in_terminal):
    code, shown = run_in_terminal(
        """
        from presize.core.progress import track
        for i in track(range(9), "counting", delay=0):
            print("number", i)
            if i == 1:
                raise KeyError("the cause")
        """
    )
    assert code == 1
    assert shown[:3] == ["number 0", "number 1", "Traceback (most recent call last):"]
    assert shown[-1] == "KeyError: 'the cause'"
    assert not any("counting " in text for text in shown)


def test_a_bar_is_drawn_on_the_error_stream_where_the_output_leads_elsewhere(run_in_terminal):
    code, shown = run_in_terminal(
        """
        import sys
        from presize.core.progress import working
        from presize.core.screen import SCREEN
        with working("reading", 9, delay=0):
            print("a result")
            assert SCREEN._live.console.file is sys.__stderr__
            print("an error", file=sys.stderr)
        """,
        stdout=subprocess.DEVNULL,
    )
    assert (code, shown) == (0, ["an error"])
