"""`presize check`: what is wrong with a folder of pictures, before training on it."""

from pathlib import Path
from typing import Annotated

import typer


def check(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A folder as `presize train` takes it: with one subfolder of pictures for each "
            "class, or with train/, valid/ and perhaps test/ that have; or pictures alone.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the JSON into this file, and print the table.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 after warnings, too.")
    ] = False,
    identical_only: Annotated[
        bool,
        typer.Option(
            "--identical-only",
            help="Find identical files only, no copies that look alike.",
        ),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Pictures read at a time; one per core by default.")
    ] = None,
) -> None:
    """Find what is wrong with a folder of pictures, before training on it.

    Unreadable pictures; the same picture in training and validation or under
    two labels, also resized, recompressed, slightly cropped or mirrored;
    classes that are unequal or written in two ways; sizes and kinds of pictures.

    Exits with 0 if nothing would harm; with 1 after a problem: a picture that
    cannot be read, that is in training and validation both, or that has two
    labels, or classes that cannot be trained on.
    """
    from rich.console import Console

    from presize.data.check.folder import check_folder
    from presize.data.check.terminal import print_report

    if output is not None and not output.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder `{output.parent}` to write the report into.")
    report = check_folder(folder, alike=not identical_only, threads=threads)
    if output is not None:
        report.save(output)
    if as_json:
        typer.echo(report.to_json())
    else:
        print_report(report, Console())
    if not report.ok or (strict and report.of("warning")):
        raise typer.Exit(1)
