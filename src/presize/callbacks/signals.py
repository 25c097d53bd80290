"""Lets a step that is under way end before a signal ends the program."""

import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

# 128 + the number of the signal is what a shell reports of a program that one has ended.
_BY_SIGNAL = 128


class Signals:
    """Remembers SIGTERM and Ctrl-C, so that a checkpoint can be written first.

    The same signal once more ends the program at once. Outside of the main thread, and where
    signals are ignored or somebody else handles them, all stays as it is.

    Attributes:
        pending: the signal that came and was not answered yet.
    """

    def __init__(self) -> None:
        self.pending: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def watch(self) -> None:
        """Begin to catch signals."""
        self.rest()
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            known = signal.getsignal(number)
            if known in (signal.SIG_DFL, signal.default_int_handler):
                self._before[number] = known
                signal.signal(number, self._note)

    def rest(self) -> None:
        """Let signals do what they did before."""
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        self._before = {}

    def raise_pending(self) -> NoReturn:
        """End the program, or the fit, as the signal was meant to."""
        assert self.pending is not None
        raised, self.pending = self.pending, None
        self._raise(raised)

    def _note(self, number: int, frame: FrameType | None) -> None:
        caught = signal.Signals(number)
        if self.pending is caught:
            self._raise(caught)
        self.pending = caught

    def _raise(self, caught: signal.Signals) -> NoReturn:
        if caught is signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(_BY_SIGNAL + caught)
