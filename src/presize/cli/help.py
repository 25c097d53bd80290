"""Help and errors of the command line: framed in a terminal, plain text everywhere else."""

import os
import re
import shutil
import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

from presize.core.output import is_terminal

FRAMED = 80  # columns: in fewer, frames cut the names of options off


def is_plain() -> bool:
    """Say whether text is to have neither frames nor colours.

    So it is where NO_COLOR is set, in a terminal that can do neither (TERM=dumb) or is narrow, and
    in a file or a pipe.
    """
    if os.environ.get("NO_COLOR") or not is_terminal(sys.stdout):
        return True
    return shutil.get_terminal_size().columns < FRAMED


class _Framed:
    """The mode in which Typer writes help and errors, asked anew each time that it does."""

    _mode: Any = None

    @property
    def rich_markup_mode(self) -> Any:
        """None for plain text, else the mode that the program has."""
        return None if is_plain() else self._mode

    @rich_markup_mode.setter
    def rich_markup_mode(self, mode: Any) -> None:
        self._mode = mode


class Command(_Framed, TyperCommand):
    """A command whose plain help has the same groups of options as the framed one."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        # The lines of a docstring are as long as the source wants them: text is wrapped anew.
        super().__init__(*args, help=help and re.sub(r"(?<!\n)\n(?!\n)", " ", help), **options)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, and the options of each group."""
        groups: dict[str, list[Any]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                named = getattr(param, "rich_help_panel", None) or kind
                groups.setdefault(named, []).append(record)
        # --help and its like come last, as in the frames.
        for name in sorted(groups, key=lambda name: name == "Options"):
            with formatter.section(name):
                formatter.write_dl(groups[name])


class Commands(_Framed, TyperGroup):
    """The commands of the program."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each command does, whole: a line that ends in the middle says little."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [
            (name, one.get_short_help_str(limit=200))
            for name, one in found.items()
            if one is not None and not one.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
