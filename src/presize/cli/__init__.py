"""The command `presize`: check pictures, train on them, and use what was trained."""

import os
import warnings
from collections.abc import Callable

import typer

from presize.cli.check import check
from presize.cli.clean import clean
from presize.cli.devices import left_to_launcher
from presize.cli.export import export
from presize.cli.help import Command, Commands
from presize.cli.info import info
from presize.cli.inspect import inspect
from presize.cli.lr_find import lr_find
from presize.cli.messages import without_controls
from presize.cli.predict import predict
from presize.cli.push import push
from presize.cli.report import report
from presize.cli.serve import serve
from presize.cli.train import train
from presize.core.errors import PresizeError

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    help="Train image classifiers on your own pictures, and use them.",
    epilog="PRESIZE_TRACEBACK=1 in the environment shows where in the code an error came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# In the order of their use. What they do with PyTorch they import when they are called: the help
# and the completion of a shell wait for no more than Python itself.
for _command, _example in (
    (check, "presize check photos --output report.json"),
    (lr_find, "presize lr-find photos --arch resnet50 --out rates.png"),
    (train, "presize train photos --arch convnext_tiny --epochs 10 --lr auto"),
    (predict, "presize predict runs/photos/photos.safetensors holiday --json"),
    (report, "presize report runs/photos/photos.safetensors photos --out page.html"),
    (clean, "presize clean photos --model runs/photos/photos.safetensors"),
    (export, "presize export runs/photos/photos.safetensors --preprocessing --data photos"),
    (inspect, "presize inspect runs/photos/photos.safetensors --json"),
    (serve, "presize serve runs/photos/photos.safetensors --port 8000"),
    (push, "presize push runs/photos/photos.safetensors me/photos --private"),
    (info, "presize info --json"),
):
    app.command(cls=Command, epilog=f"Example: {_example}")(_command)


def main() -> None:
    """Run the command line.

    Exits with 0; with 1 after an error in the data, the files or the settings; with 2 after a
    command line that cannot be understood; with 130 after Ctrl-C.
    """
    warnings.formatwarning = _one_line_each()  # the hook that Python has for this
    colour = False if os.environ.get("NO_COLOR") else None  # None asks the terminal
    try:
        app(color=colour)
    except (PresizeError, ValueError, OSError, ImportError) as error:
        left = left_to_launcher(error)
        if os.environ.get("PRESIZE_TRACEBACK"):
            raise
        if not left:
            # The library's errors are written for its users; a call stack would only hide them.
            typer.secho(f"presize: {without_controls(error)}", fg="red", err=True, color=colour)
        raise SystemExit(1) from None


def _one_line_each() -> Callable[..., str]:
    """Return what writes a warning without its place in the library's code, which helps no user.

    Each is said once: training, calibration and the report all read the same data.
    """
    told: set[str] = set()

    def one_line(message: Warning | str, *_: object, **__: object) -> str:
        text = without_controls(message)
        if text in told:
            return ""
        told.add(text)
        return f"presize: {text}\n"

    return one_line
