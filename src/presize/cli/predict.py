"""`presize predict`: ask a model file about pictures."""

import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from presize.cli.options import MACHINE, RESULTS

if TYPE_CHECKING:
    from presize.cli.predict_output import Output
    from presize.deploy.prediction import Failed, Prediction
    from presize.deploy.predictor import Predictor

_ASKING = "How it is asked"
_File = Annotated[Path, typer.Argument(help="A .safetensors file of `presize train`.")]
_Pictures = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURE",
        help="Pictures, or folders of them; - reads the names of files from standard input, one a "
        "line.",
    ),
]
_Json = Annotated[
    bool, typer.Option("--json", help="Print a JSON list, for programs.", rich_help_panel=RESULTS)
]
_Lines = Annotated[
    bool,
    typer.Option("--jsonl", help="Print a JSON object for each line.", rich_help_panel=RESULTS),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write a table there, .csv, .parquet, .json or .jsonl, in place of printing.",
        rich_help_panel=RESULTS,
    ),
]
_Top = Annotated[
    int | None,
    typer.Option(min=1, help="Tell so many of the likeliest classes.", rich_help_panel=RESULTS),
]
_Drift = Annotated[
    bool,
    typer.Option(
        "--drift",
        help="Say at the end whether the pictures differ from those of training.",
        rich_help_panel=RESULTS,
    ),
]
_Views = Annotated[
    int,
    typer.Option(
        "--tta",
        min=0,
        metavar="N",
        help="Average over N augmented views of each picture as well.",
        rich_help_panel=_ASKING,
    ),
]
_Recurse = Annotated[
    bool,
    typer.Option(
        "--recurse/--no-recurse",
        help="Look in the folders below a folder, too.",
        rich_help_panel=_ASKING,
    ),
]
_Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help="Pictures that the model is asked about at once; with 1, each line of standard input "
        "is answered before the next one is read.",
        rich_help_panel=MACHINE,
    ),
]
_Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Threads that read pictures; by default one for each core, 16 at most.",
        rich_help_panel=MACHINE,
    ),
]
_Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one.", rich_help_panel=MACHINE),
]


def predict(
    model: _File,
    pictures: _Pictures,
    as_json: _Json = False,
    as_lines: _Lines = False,
    out: _Out = None,
    top: _Top = None,
    drift: _Drift = False,
    tta: _Views = 0,
    recurse: _Recurse = True,
    batch: _Batch = None,
    workers: _Workers = None,
    device: _Device = None,
) -> None:
    """Say what is in pictures, with the probability.

    A model that was calibrated, learn.calibrate(), also says of a picture that it is none of its
    classes, with the nearest one. Answers are printed as they come, however many there are.

    A picture that cannot be read is named, the others are answered, and the exit code is 1.
    """
    from presize.cli.predict_output import output_of
    from presize.deploy.prediction_table import ending_of

    if out is not None:
        ending_of(out)
    files, total = _files(pictures, recurse=recurse)
    if "-" in pictures and (batch == 1 or sys.stdin.isatty()):
        # Who waits for each answer gets it before the next line is read.
        batch, workers = batch or 1, 0 if workers is None else workers
    asked = _predictor(model, device)
    if drift:
        asked.drift()  # says at once if it cannot be told
    output = output_of(asked, as_json=as_json, as_lines=as_lines, top=top)
    rows = asked.stream(files, batch_size=batch, num_workers=workers, tta=tta, on_error="keep")
    with _quiet_pipe():
        failed = _told(
            rows, asked, None if out and not (as_json or as_lines) else output, out, total
        )
    if drift:
        typer.echo(repr(asked.drift()), err=as_json or as_lines)
    if failed:
        raise typer.Exit(1)


def _predictor(model: Path, device: str | None) -> "Predictor":
    from presize.core.errors import DataError, ModelFileError
    from presize.deploy.predictor import Predictor

    try:
        return Predictor.load(model, device=device)
    except ModelFileError:
        raise
    except DataError:
        raise ValueError(
            "`presize predict` shows labels, but this model is made for something else. Use it "
            "from Python: load_learner(file).predict(picture)."
        ) from None


def _told(
    rows: "Iterable[Prediction | Failed]",
    asked: "Predictor",
    output: "Output | None",
    out: Path | None,
    total: int | None,
) -> int:
    """Print or write answers as they come; return how many pictures could not be read."""
    from presize.core.progress import working
    from presize.deploy.prediction import Failed
    from presize.deploy.prediction_table import table_writer

    failed, counts = 0, Counter[str]()
    with ExitStack() as at_the_end:
        if out is not None:
            at_the_end.enter_context(_left_behind(out))
            writer = at_the_end.enter_context(table_writer(out, asked.vocab))
        if output is not None:
            at_the_end.enter_context(output)
        show = None if output is None else False
        work = at_the_end.enter_context(working("predicting", total, "img", show=show))
        for row in rows:
            work.advance()
            if out is not None:
                writer.write(row)
            if output is not None:
                output.write(row)
            if isinstance(row, Failed):
                failed += 1
            else:
                counts.update(row.labels if not row.unknown else ("none of these",))
    if out is not None:
        _sum_up(out, counts, failed)
    return failed


def _sum_up(out: Path, counts: Counter[str], failed: int) -> None:
    from presize.cli.predict_output import printable

    shown = ", ".join(f"{printable(name)} {n:,}" for name, n in counts.most_common(5))
    more = ", …" if len(counts) > 5 else ""
    bad = f" {failed:,} could not be read: see the column `error`." if failed else ""
    typer.echo(f"Written to {out}: {shown or 'nothing'}{more}.{bad}", err=True)


@contextmanager
def _left_behind(out: Path) -> Iterator[None]:
    """Say where half a table is, when an interrupt or an error ends the work."""
    try:
        yield
    except BaseException:
        part = out.with_name(out.name + ".part")
        if part.exists():
            typer.echo(f"What was told until then is in {part}.", err=True)
        raise


@contextmanager
def _quiet_pipe() -> Iterator[None]:
    """End without a word when nobody reads on, as with `| head`."""
    try:
        yield
    except BrokenPipeError:
        # What is still to be written when the interpreter ends goes nowhere, and raises nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None


def _files(pictures: list[str], *, recurse: bool) -> tuple[Iterator[str], int | None]:
    """Return the files, with the pictures in each folder, and how many there are, if known."""
    from presize.data.items import get_image_files

    parts: list[Iterable[str]] = []
    for name in pictures:
        if name == "-":
            parts.append(_lines())
        elif Path(name).is_dir():
            parts.append([str(file) for file in get_image_files(name, recurse=recurse)])
        else:
            parts.append([name])
    known = [len(part) for part in parts if isinstance(part, list)]
    everything = itertools.chain.from_iterable(parts)
    if len(known) < len(parts):
        return everything, None
    if not sum(known):
        raise FileNotFoundError(f"There are no pictures in {', '.join(pictures)}.")
    return everything, sum(known)


def _lines() -> Iterator[str]:
    """Yield the lines of the standard input, without those that are empty."""
    for line in sys.stdin:
        name = line.rstrip("\r\n")
        if name:
            yield name
