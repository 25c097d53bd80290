"""`presize predict`: ask a model file about pictures."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from presize.learner import Learner


@dataclass(kw_only=True, slots=True)
class Answer:
    """What the model says about one picture; `error` in place of that if it cannot be read.

    Where the model can tell, `unknown` says whether the picture is none of its classes; `labels`
    then holds the nearest.
    """

    file: str
    labels: list[str] = field(default_factory=list)
    probabilities: dict[str, float] = field(default_factory=dict)
    unknown: bool | None = None
    error: str | None = None


def predict(
    model: Annotated[Path, typer.Argument(help="A .safetensors file of `presize train`.")],
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Pictures, or folders of them.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what is in pictures, with the probability.

    A model that was calibrated, learn.calibrate(), also says of a picture that it is none of its
    classes, with the nearest one.

    A picture that cannot be read is named, the others are answered, and the exit code is 1.
    """
    from presize.deploy.load import load_learner

    learn = load_learner(model)
    answers = ask(learn, _files(pictures))
    if as_json:
        typer.echo(json.dumps([_plain(a) for a in answers], indent=2, ensure_ascii=False))
    else:
        _print_table(answers)
    if any(a.error is not None for a in answers):
        raise typer.Exit(1)


def ask(learn: "Learner", files: list[Path]) -> list[Answer]:
    """Return the model's answer about each file, in their order.

    Raises:
        ValueError: the model is no classifier.
    """
    from presize.core.errors import ImageError

    task = learn.dls.task
    if task not in ("classification", "multilabel"):
        raise ValueError(
            f"`presize predict` shows labels, but this model is made for {task}. Use it from "
            "Python: load_learner(file).predict(picture)."
        )
    try:
        return _ask_together(learn, files)
    except (ImageError, FileNotFoundError):
        # At least one is unreadable: asked one by one, the others still get their answer.
        return [_ask_alone(learn, file) for file in files]


def _ask_alone(learn: "Learner", file: Path) -> Answer:
    from presize.core.errors import ImageError

    try:
        return _ask_together(learn, [file])[0]
    except (ImageError, FileNotFoundError) as error:
        return Answer(file=str(file), error=str(error))


def _ask_together(learn: "Learner", files: list[Path]) -> list[Answer]:
    loader = learn.dls.test_dl(files)
    can_tell = learn.calibration is not None and learn.calibration.unknown is not None
    probabilities, _, decoded, *told = learn.get_preds(
        dl=loader, with_decoded=True, with_unknown=can_tell
    )
    unknown: list[bool | None] = told[0].tolist() if can_tell else [None] * len(files)
    vocab = [str(name) for name in learn.dls.vocab]
    answers = []
    rows = zip(files, probabilities.tolist(), decoded.tolist(), unknown, strict=True)
    for file, row, chosen, none_of_these in rows:
        if isinstance(chosen, list):
            labels = [name for name, yes in zip(vocab, chosen, strict=True) if yes]
        else:
            labels = [vocab[chosen]]
        all_of_them = dict(zip(vocab, row, strict=True))
        answers.append(
            Answer(
                file=str(file),
                labels=labels,
                probabilities=all_of_them,
                unknown=none_of_these,
            )
        )
    return answers


def _files(pictures: list[Path]) -> list[Path]:
    """Return the files, and for each folder the pictures that are in it."""
    from presize.data.items import get_image_files

    files: list[Path] = []
    for picture in pictures:
        files += list(get_image_files(picture)) if picture.is_dir() else [picture]
    if not files:
        raise FileNotFoundError(f"There are no pictures in {', '.join(map(str, pictures))}.")
    return files


def _plain(answer: Answer) -> dict[str, Any]:
    if answer.error is not None:
        return {"file": answer.file, "error": answer.error}
    plain: dict[str, Any] = {
        "file": answer.file,
        "labels": answer.labels,
        "probabilities": {k: round(v, 6) for k, v in answer.probabilities.items()},
    }
    return plain if answer.unknown is None else plain | {"unknown": answer.unknown}


def _print_table(answers: list[Answer]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("label", "probability", "picture", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for answer in answers:
        if answer.error is None:
            share = [f"{answer.probabilities[name]:.1%}" for name in answer.labels]
            labels = ", ".join(answer.labels) or "none"
            if answer.unknown:
                labels = f"none of these (nearest: {labels})"
            # A path is never cut: the next command may need it.
            table.add_row(Text(labels), ", ".join(share), Text(answer.file, overflow="fold"))
    if table.rows:
        Console().print(table)
    for answer in answers:
        if answer.error is not None:
            typer.secho(answer.error, fg="red", err=True)
