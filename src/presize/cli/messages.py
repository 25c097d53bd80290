"""What goes to standard output, and what to standard error."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import typer


@contextmanager
def told_aside(aside: bool) -> Iterator[None]:
    """Let all that is said in between go to standard error, so that the output is JSON alone.

    Args:
        aside: whether to do so.
    """
    if not aside:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def without_controls(text: object) -> str:
    """Return a text that cannot steer a terminal: names in it come from files of anybody."""
    signs = str(text)
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in signs)


def print_json(value: Any) -> None:
    """Print a value for programs: JSON of several lines, numbers that are none as null."""
    from presize.train.training_record import number

    def plain(one: Any) -> Any:
        if isinstance(one, dict):
            return {str(key): plain(value) for key, value in one.items()}
        if isinstance(one, list | tuple):
            return [plain(value) for value in one]
        return number(one)

    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))
