"""`presize push`: a model file goes to a hub, with a card that says what it is."""

from pathlib import Path
from typing import Annotated, Any

import typer

from presize.cli.options import DATA, AsJson, LabelDelim, Pattern

_HUB = "Repository"
_File = Annotated[Path, typer.Argument(help="A .safetensors file of `presize train`.")]
_Repo = Annotated[
    str, typer.Argument(help="owner/name on the hub; ./folder is a folder on this machine.")
]
_Labelled = Annotated[
    str | None,
    typer.Option(
        help="Labelled pictures that the model was not trained on, as `presize report` takes them: "
        "the card then tells the figures of each class.",
        rich_help_panel=DATA,
    ),
]
_Private = Annotated[
    bool,
    typer.Option("--private", help="Make it visible to you alone.", rich_help_panel=_HUB),
]
_Message = Annotated[
    str | None, typer.Option(help="Of the commit.", metavar="TEXT", rich_help_panel=_HUB)
]
_Revision = Annotated[
    str | None,
    typer.Option(help="The branch, made if need be.", metavar="NAME", rich_help_panel=_HUB),
]
_Endpoint = Annotated[
    str | None,
    typer.Option(help="The address of another hub.", metavar="URL", rich_help_panel=_HUB),
]
_License = Annotated[
    str | None, typer.Option(help="Of the model, such as apache-2.0.", metavar="NAME")
]
_Report = Annotated[
    bool, typer.Option("--report", help="Put a report beside it; it shows pictures of --data.")
]
_Card = Annotated[bool, typer.Option(help="Write a model card, README.md.")]


def push(
    model: _File,
    repo: _Repo,
    data: _Labelled = None,
    pattern: Pattern = None,
    label_delim: LabelDelim = None,
    license: _License = None,
    card: _Card = True,
    report: _Report = False,
    private: _Private = False,
    message: _Message = None,
    revision: _Revision = None,
    endpoint: _Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Put a model into a repository on a hub, with a card that says what it is.

    Log in once with `hf auth login`, or set HF_TOKEN.
    The repository gets model.safetensors and a card, README.md. The folder that
    the training data lay in and the typed command are left out of both.
    """
    from presize.cli.messages import print_json, told_aside
    from presize.deploy.hub import push_to_hub

    if report and data is None:
        raise typer.BadParameter(
            "it shows how well the model does on labelled pictures: name them with --data.",
            param_hint="--report",
        )
    with told_aside(as_json):
        url = push_to_hub(
            model if data is None else _with(model, data, pattern, label_delim),
            repo,
            message=message,
            private=private,
            revision=revision,
            model_card=card,
            report=report,
            license=license,
            endpoint=endpoint,
        )
    if as_json:
        print_json({"url": url, "private": private})
    else:
        typer.echo(f"pushed     {url}")


def _with(model: Path, data: str, pattern: str | None, label_delim: str | None) -> Any:
    """Return the model together with labelled pictures."""
    import matplotlib

    from presize.cli.source import source_of
    from presize.deploy.labelled import load_with_data

    matplotlib.use("Agg")  # there may be no screen
    labelled = source_of(data, tables=True)
    return load_with_data(model, labelled, pattern=pattern, label_delim=label_delim)
