"""`presize inspect`: what is inside a model file."""

import json
from pathlib import Path
from typing import Annotated

import typer


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            help="A model file, a checkpoint, what learn.save wrote, saved predictions, weights in "
            "a .safetensors file, or an ONNX model."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what is inside a model file, without building or running anything of it.

    The exit code is 1 if its checksums are wrong, or it is of a newer format.
    """
    from presize.deploy.inspection import inspect_file

    facts = inspect_file(file)
    # ASCII alone: names in a file are anybody's, and could steer a terminal.
    typer.echo(json.dumps(facts.to_dict(), indent=2) if as_json else str(facts))
    if not facts.whole:
        raise typer.Exit(1)
