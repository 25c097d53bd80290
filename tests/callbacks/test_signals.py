"""Signals wait for the end of a step, and do afterwards what they did before."""

import os
import signal
import threading

import pytest

from presize.callbacks.signals import Signals


@pytest.fixture
def signals():
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    watched = Signals()
    yield watched
    watched.rest()
    for number, handler in before.items():
        assert signal.getsignal(number) == handler


def test_sigterm_waits_until_it_is_asked_for(signals):
    signals.watch()
    assert signals.pending is None
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.pending is signal.SIGTERM
    with pytest.raises(SystemExit) as caught:
        signals.raise_pending()
    assert caught.value.code == 143
    assert signals.pending is None


def test_ctrl_c_waits_and_the_second_one_does_not(signals):
    signals.watch()
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.pending is signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


def test_a_second_sigterm_ends_the_program_at_once(signals):
    signals.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass


def test_watching_twice_forgets_nothing(signals):
    signals.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    signals.watch()
    assert signals.pending is signal.SIGTERM


def test_what_came_before_the_end_can_be_asked_for_after_it(signals):
    signals.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    signals.rest()
    assert signals.pending is signal.SIGTERM


def test_handlers_of_others_stay(signals):
    def mine(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        signals.watch()
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        signals.rest()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_leave_signals_alone(signals):
    thread = threading.Thread(target=signals.watch)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
