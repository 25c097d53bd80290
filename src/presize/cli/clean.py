"""`presize clean`: look at suspect pictures on a local page, and decide about each."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presize.cli.messages import print_json, told_aside
from presize.cli.options import AsJson, LabelDelim, Pattern

if TYPE_CHECKING:
    from presize.data.applying import Moved
    from presize.interpret.clean.cleaner import Cleaner
    from presize.learner import Learner

Apply = Annotated[
    bool,
    typer.Option(
        "--apply",
        help="Move the files as decided: what is dropped into DATA-dropped beside the data, "
        "what is relabelled into the folder of its class.",
    ),
]
Undo = Annotated[bool, typer.Option("--undo", help="Put all files back that --apply has moved.")]
Dropped = Annotated[Path | None, typer.Option(help="Another folder for what is dropped.")]
Browser = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Where the page is served; 0 takes a free one.")
]


def clean(
    data: Annotated[
        str,
        typer.Argument(
            help="A folder as `presize train` takes it, or `digits`; with --model also a CSV file "
            "of pictures and labels.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="A trained model, which finds wrong labels and large losses, too."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The CSV file of decisions.")] = Path("decisions.csv"),
    pattern: Pattern = None,
    label_delim: LabelDelim = None,
    apply: Apply = False,
    undo: Undo = False,
    dropped: Dropped = None,
    browser: Browser = True,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Decide about suspect pictures: keep, relabel or drop each, by keyboard.

    Opens a page on this machine with pictures that cannot be read or are there
    twice, and with --model wrong labels and the largest losses. Each decision
    is written into the CSV file at once, which DataBlock(decisions=...) reads.
    No picture is touched until --apply, which moves and never deletes; --undo
    puts all back.
    """
    from presize.cli.source import source_of

    if apply and undo:
        raise typer.BadParameter("--apply and --undo contradict each other.")
    if model is None and (pattern is not None or label_delim is not None):
        raise typer.BadParameter(
            "--pattern and --label-delim say how data is read for a model: give --model, too."
        )
    source = source_of(data, tables=model is not None and not (apply or undo))
    with told_aside(as_json):
        if apply or undo:
            found, whole = _move(source, out, dropped, undo=undo)
        else:
            learn = None
            if model is not None:
                from presize.deploy.labelled import load_with_data

                learn = load_with_data(model, source, pattern=pattern, label_delim=label_delim)
            found, whole = _decide(_cleaner(source, learn, out, port), data, source, browser), True
    if as_json:
        print_json(found)
    if not whole:
        raise typer.Exit(1)


def _decide(cleaner: "Cleaner", data: str, source: Path, browser: bool) -> dict[str, Any]:
    """Serve the page until its user is done; return what was decided."""
    found = {"suspects": len(cleaner.suspects), "pictures": cleaner.suspects.n}
    if not len(cleaner.suspects):
        cleaner.stop()
        typer.echo(f"Nothing looks wrong with these {cleaner.suspects.n:,} pictures.")
        return found
    typer.echo(f"{cleaner.suspects}.")
    typer.echo(f"Decide about them at {cleaner.url}\nDone there, or Ctrl-C here, ends it.")
    if browser:
        cleaner.open()
    _wait(cleaner)
    _tell_end(cleaner, data, source)
    decisions = cleaner.decisions
    return found | {"decisions": str(decisions.path), "counts": dict(decisions.counts())}


def _wait(cleaner: "Cleaner") -> None:
    """Serve the page until its user is done, there or by Ctrl-C."""
    try:
        while not cleaner.wait(0.5):  # in steps: Windows sees Ctrl-C between them alone
            pass
    except KeyboardInterrupt:
        typer.echo("")
    finally:
        cleaner.stop()


def _cleaner(source: Path, learn: "Learner | None", out: Path, port: int) -> "Cleaner":
    from presize.interpret.clean.cleaner import clean as opened

    root, data = (source, source) if source.is_dir() else (source.parent, None)
    return opened(
        learn,
        out,
        data=data if learn is None else None,
        open_browser=False,
        port=port,
        root=root,
    )


def _tell_end(cleaner: "Cleaner", data: str, source: Path) -> None:
    path = cleaner.decisions.path
    typer.echo(f"{cleaner.board.summary()}, in {path}.")
    counts = cleaner.decisions.counts()
    if counts["drop"] or counts["relabel"]:
        typer.echo(f"Train with them: DataBlock(..., decisions={str(path)!r}).")
        if source.is_dir():
            command = shlex.join(["presize", "clean", data, "--out", str(path), "--apply"])
            typer.echo(f"Or move the files: {command}")


def _move(
    root: Path, out: Path, dropped: Path | None, *, undo: bool
) -> tuple[dict[str, Any], bool]:
    """Move the files, or put them back; return what was done, and whether that was all."""
    from presize.data.applying import apply_decisions, dropped_folder, undo_moves
    from presize.data.decisions import Decisions
    from presize.data.journal import journals

    aside = dropped_folder(root, dropped)
    if undo:
        made = undo_moves(root, Decisions(out, root), aside)
        _tell_left(made)
        typer.echo(f"{_files(len(made.moved))} put back.")
    else:
        begun = any(journal.state != "done" for journal in journals(root, aside))
        decisions = Decisions(out, root) if begun else Decisions.read(out, root)
        made = apply_decisions(decisions, root, aside)
        _tell_left(made)
        if made.resumed:
            typer.echo("A run that had been broken off is finished.")
        n = sum(move.row.decision == "drop" for move in made.moved)
        typer.echo(
            f"{_files(n)} moved to {aside}, {_files(len(made.moved) - n)} into the folder of "
            f"another class. --undo puts {'all' if made.moved else 'files'} back."
        )
    left = [{"file": str(name), "why": str(why)} for name, why in made.left]
    return {"moved": len(made.moved), "left": left, "aside": str(aside)}, not made.left


def _tell_left(made: "Moved") -> None:
    for name, why in made.left:
        typer.secho(f"not moved: {name}: {why}", fg="yellow", err=True)


def _files(n: int) -> str:
    return "1 file" if n == 1 else f"{n:,} files"
