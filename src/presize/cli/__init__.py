"""The command `presize`: check and clean pictures, train on them, predict, report."""

import os
import warnings

import typer

from presize.cli.check import check
from presize.cli.clean import clean
from presize.cli.devices import left_to_launcher
from presize.cli.info import info
from presize.cli.predict import predict
from presize.cli.report import report
from presize.cli.train import train
from presize.core.errors import PresizeError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Train image classifiers on your own pictures, and use them.",
    epilog="PRESIZE_TRACEBACK=1 in the environment shows where in the code an error came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(check)
app.command()(train)
app.command()(predict)
app.command()(report)
app.command()(clean)
app.command()(info)


def main() -> None:
    """Run the command line.

    Exits with 0; with 1 after an error in the data, the files or the settings; with 2 after a
    command line that cannot be understood.
    """
    warnings.formatwarning = _one_line  # the hook that Python has for this
    try:
        app()
    except (PresizeError, ValueError, OSError) as error:
        left = left_to_launcher(error)
        if os.environ.get("PRESIZE_TRACEBACK"):
            raise
        if not left:
            # The library's errors are written for its users; a call stack would only hide them.
            typer.secho(f"presize: {error}", fg="red", err=True)
        raise SystemExit(1) from None


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: object = None
) -> str:
    """Write a warning without the place in the library's code, which helps no user."""
    return f"presize: {message}\n"
