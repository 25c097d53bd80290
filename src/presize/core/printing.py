"""Lets text that a program prints while bars are drawn appear above them; none of it is lost."""

import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

from presize.core.output import is_terminal

if TYPE_CHECKING:
    from presize.core.screen import Screen


class Redirection:
    """Takes the place of the terminal's streams, until it is undone.

    A stream that leads into a file or a pipe stays as it is: what is written there is for there.

    Args:
        screen: where the bars are drawn.
    """

    def __init__(self, screen: "Screen") -> None:
        self._before: dict[str, tuple[TextIO, Through]] = {}
        self._handlers: list[tuple[logging.StreamHandler[Any], TextIO, TextIO]] = []
        for name in ("stdout", "stderr"):
            stream = beneath(getattr(sys, name))
            if is_terminal(stream):
                through = _through(name, stream, screen)
                put = cast(TextIO, through)
                setattr(sys, name, put)
                self._before[name] = (stream, through)
                self._take_handlers(stream, put)

    def forget(self) -> None:
        """Print nothing that was begun: in a process that was forked, the other one does."""
        for _, through in self._before.values():
            through.forget()

    def undo(self) -> None:
        """Give the streams back, and print what was begun."""
        for name, (stream, through) in self._before.items():
            if getattr(sys, name) is through:  # else somebody else has put another one there
                setattr(sys, name, stream)
        for handler, stream, put in self._handlers:
            if handler.stream is put:
                handler.setStream(stream)
        for _, through in self._before.values():
            through.release()

    def begun(self) -> list[str]:
        """Return the lines that have no end yet."""
        return [text for _, through in self._before.values() if (text := through.begun)]

    def _take_handlers(self, stream: TextIO, put: TextIO) -> None:
        """Let the log, whose handlers keep the stream that they have found, go the same way."""
        for handler in _stream_handlers():
            if handler.stream is stream:
                handler.setStream(put)
                self._handlers.append((handler, stream, put))


class Through:
    """A stream whose lines are printed above the bars.

    Args:
        stream: the terminal.
        screen: where the bars are drawn.
    """

    def __init__(self, stream: TextIO, screen: "Screen") -> None:
        self.stream, self._screen = stream, screen
        self._rest = ""
        self.take()

    def take(self) -> None:
        """Print above the bars from now on."""
        self._released = False

    def forget(self) -> None:
        """Forget what was begun."""
        self._rest = ""

    @property
    def begun(self) -> str:
        """The line that has no end yet; of one that was written over, what stands there now."""
        return _last_written(self._rest).rstrip()

    def write(self, text: str) -> int:
        """Print the lines of a text; what is left of it waits for its end."""
        # Another thread may print, or take the last bar away, at this moment.
        with self._screen.lock:
            if self._released:
                return self.stream.write(text)
            *lines, rest = (self._rest + text).split("\n")
            self._rest = _without_overwritten(rest)
            if lines:
                self._screen.print("\n".join(map(_last_written, lines)))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Print lines."""
        for text in lines:
            self.write(text)

    def flush(self) -> None:
        """Show what was begun."""
        if self._rest and not self._released:
            self._screen.refresh()
        self.stream.flush()

    def release(self) -> None:
        """Print what was begun, and from now on all that still comes here, to the stream.

        The screen's lock is held, so that no other thread is about to print on it.
        """
        self._released = True
        rest, self._rest = self._rest, ""
        if rest and not self.stream.closed:
            self.stream.write(rest)
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


# Never freed while a stream is the same. Python's print() keeps no reference to the stream that it
# writes to, so that the program crashes if another thread frees that.
_KEPT: dict[str, Through] = {}


def _through(name: str, stream: TextIO, screen: "Screen") -> Through:
    """Return the stream that takes the place of `stream`: the same one each time."""
    kept = _KEPT.get(name)
    if kept is None or kept.stream is not stream:
        kept = _KEPT[name] = Through(stream, screen)
    kept.take()
    return kept


def beneath(stream: Any) -> Any:
    """Return the terminal where a stream, which somebody may have kept, stands in its place."""
    return stream.stream if isinstance(stream, Through) else stream


def _last_written(text: str) -> str:
    """Return what stands in a line after the parts of it were written over each other."""
    return next((part for part in reversed(text.split("\r")) if part), "")


def _without_overwritten(text: str) -> str:
    """Return a line that has no end yet without what was written over: a bar does so for hours."""
    kept = _last_written(text)
    return f"{kept}\r" if text.endswith("\r") else kept


def _stream_handlers() -> Iterator[logging.StreamHandler[Any]]:
    """Yield the handlers of all loggers that keep a stream; each may come several times."""
    root = logging.getLogger()
    loggers = [root, *root.manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):  # else a name that only stands above others
            for handler in logger.handlers:
                # Some look for the error stream anew each time, and have nothing to set.
                if isinstance(handler, logging.StreamHandler) and "stream" in vars(handler):
                    yield handler
