import logging
import os
import re
import subprocess
import sys

import pytest

from presize.core.bar import Bar
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


def test_the_log_of_a_library_with_a_handler_of_its_own_goes_the_same_way(terminal):
    handler, library = logging.StreamHandler(sys.stderr), logging.getLogger("presize.tests.library")
    library.addHandler(handler)
    try:
        with working("reading", 9, delay=0):
            library.error("from the library")
            assert terminal.lines()[0] == "from the library"
            assert terminal.lines()[-1].startswith("reading")
            found = handler.setStream(sys.__stderr__)  # where somebody wants it now
        assert handler.stream is sys.__stderr__ and found is not terminal.stream
    finally:
        library.removeHandler(handler)


def test_a_handler_that_was_made_beside_a_bar_prints_above_the_next_one(terminal):
    library = logging.getLogger("presize.tests.library")
    with working("reading", 9, delay=0):
        handler = logging.StreamHandler(sys.stderr)
    library.addHandler(handler)
    try:
        library.error("between")
        with working("reading", 9, delay=0):
            library.error("beside")
            assert terminal.lines()[:2] == ["between", "beside"] and len(terminal.lines()) == 3
    finally:
        library.removeHandler(handler)


def test_a_stream_that_was_kept_from_a_bar_is_no_stream_of_the_next_one(terminal, monkeypatch):
    with working("reading", 9, delay=0):
        kept = sys.stdout
    monkeypatch.setattr(sys, "stdout", kept)  # as the end of contextlib.redirect_stdout does
    with working("reading", 9, delay=0):
        print("one")
        assert terminal.lines()[0] == "one" and len(terminal.lines()) == 2
    assert terminal.lines() == ["one"]


def test_prints_of_other_threads_are_all_there_while_bars_come_and_go(run_in_terminal):
    code, lines = run_in_terminal(
        """
        import sys, threading, time
        from presize.core.progress import working

        sys.setswitchinterval(1e-5)
        done, counts = threading.Event(), [0, 0]

        def talk(k):
            while not done.is_set():
                print(f"<{k}:{counts[k]}>")
                counts[k] += 1
                time.sleep(0.0002)

        threads = [threading.Thread(target=talk, args=(k,)) for k in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(40):
            with working("reading", 3, delay=0) as work:
                for _ in range(3):
                    work.advance()
        done.set()
        for thread in threads:
            thread.join()
        print(*counts)
        """
    )
    assert code == 0
    found = re.findall(r"<(\d):(\d+)>", "".join(lines[:-1]))
    counts = [int(n) for n in lines[-1].split()]
    assert sorted(found) == sorted((str(k), str(i)) for k in range(2) for i in range(counts[k]))
    assert min(counts) > 10


def test_a_bar_of_another_library_takes_no_memory(terminal):
    with working("reading", 9, delay=0):
        through = sys.stderr
        for i in range(300):
            through.write(f"\rother {i}" if i < 150 else f"\rother {i}\r")
            assert len(through._rest) < 20
        assert through.begun == "other 299"
        through.write("\n")
    assert terminal.lines() == ["other 299"]


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_forked_process_prints_as_if_there_were_no_bar(run_in_terminal):
    code, shown = run_in_terminal(
        """
        import os, sys, threading
        from presize.core.progress import working
        from presize.core.screen import SCREEN

        with working("reading", 9, delay=0):
            held, done = threading.Event(), threading.Event()

            def hold():
                with SCREEN.lock:
                    print("begun", end="")
                    held.set()
                    done.wait()

            thread = threading.Thread(target=hold)
            thread.start()
            held.wait()
            child = os.fork()
            if not child:
                print("\\nof the child", flush=True)
                sys.exit(type(sys.stdout).__name__ != "TextIOWrapper")
            assert os.waitpid(child, 0)[1] == 0
            done.set()
            thread.join()
            print(" and ended")
        print("last")
        """
    )
    assert code == 0
    assert shown[0].startswith("reading")  # where the child began to print, as it knows no bar
    assert shown[1:] == ["of the child", "begun and ended", "last"]


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
