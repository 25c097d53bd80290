"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Takes the label from the name of each file in the folder: its one group.",
    ),
]
LabelDelim = Annotated[
    str | None,
    typer.Option(help="What separates several labels of a picture in the CSV file."),
]
Decided = Annotated[
    Path | None,
    typer.Option(
        "--decisions",
        help="A CSV file of `presize clean`: drops and relabels pictures; the files stay.",
    ),
]
