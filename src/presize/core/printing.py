"""Lets text that a program prints while bars are drawn appear above them; none of it is lost."""

import logging
import os
import sys
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
        self._through: list[Through] = []
        self._before: dict[str, tuple[TextIO, TextIO]] = {}
        self._handlers: list[tuple[logging.StreamHandler[Any], TextIO]] = []
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if is_terminal(stream):
                through = Through(stream, screen)
                self._through.append(through)
                put = cast(TextIO, through)
                setattr(sys, name, put)
                self._before[name] = (stream, put)
                self._take_handlers(stream, put)

    def undo(self) -> None:
        """Give the streams back, and print what was begun."""
        for name, (stream, put) in self._before.items():
            if getattr(sys, name) is put:  # else somebody else has put another one there
                setattr(sys, name, stream)
        for handler, stream in self._handlers:
            handler.setStream(stream)
        for through in self._through:
            through.release()

    def begun(self) -> list[str]:
        """Return the lines that have no end yet."""
        return [text for through in self._through if (text := through.begun)]

    def _take_handlers(self, stream: TextIO, put: TextIO) -> None:
        """Let the log, whose handlers keep the stream that they have found, go the same way."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                handler.setStream(put)
                self._handlers.append((handler, stream))


class Through:
    """A stream whose lines are printed above the bars.

    Args:
        stream: the terminal.
        screen: where the bars are drawn.
    """

    def __init__(self, stream: TextIO, screen: "Screen") -> None:
        self._stream, self._screen = stream, screen
        self._process, self._released = os.getpid(), False
        self._rest = ""

    @property
    def begun(self) -> str:
        """The line that has no end yet; of one that was written over, what stands there now."""
        return _last_written(self._rest).rstrip()

    def write(self, text: str) -> int:
        """Print the lines of a text; what is left of it waits for its end."""
        # In a process that was forked there is no bar.
        if self._released or self._process != os.getpid():
            return self._stream.write(text)
        lines, newline, rest = text.rpartition("\n")
        if newline:
            lines, self._rest = self._rest + lines, rest
            self._screen.print("\n".join(map(_last_written, lines.split("\n"))))
        else:
            self._rest += rest
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Print lines."""
        for text in lines:
            self.write(text)

    def flush(self) -> None:
        """Show what was begun."""
        if self._rest and not self._released and self._process == os.getpid():
            self._screen.refresh()
        self._stream.flush()

    def release(self) -> None:
        """Print what was begun, and from now on all that still comes here, to the stream."""
        self._released = True
        rest, self._rest = self._rest, ""
        if rest and not self._stream.closed:
            self._stream.write(rest)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _last_written(text: str) -> str:
    """Return what stands in a line after the parts of it were written over each other."""
    return next((part for part in reversed(text.split("\r")) if part), "")
