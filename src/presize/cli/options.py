"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DATA, MODEL, TRAINING, MACHINE, RESULTS = "Data", "Model", "Training", "Machine", "Results"


def _architectures(incomplete: str) -> list[str]:
    from presize.models.listing import architecture_names

    return architecture_names(incomplete)


def _amp(incomplete: str) -> list[str]:
    from presize.cli.recipe import AMP

    return [name for name in AMP if name.startswith(incomplete)]


def _caches(incomplete: str) -> list[str]:
    from presize.cli.settings import CACHES

    return [name for name in CACHES if name.startswith(incomplete)]


def _weights(incomplete: str) -> list[str]:
    return [name for name in ("default", "none") if name.startswith(incomplete)]


# --- what data there is ---------------------------------------------------------------------------
Data = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="A folder with one subfolder of pictures for each class, or with train/ and valid/ "
        "that have; a CSV or TSV file of pictures and labels; `digits`, real handwriting that "
        "comes with presize; or the name of a public data set, such as MNIST_SAMPLE. May "
        "be left out where --config says it.",
        show_default=False,
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Takes the label from the name of each file in the folder: its one group.",
        rich_help_panel=DATA,
    ),
]
LabelDelim = Annotated[
    str | None,
    typer.Option(
        help="What separates several labels of a picture in the CSV file.", rich_help_panel=DATA
    ),
]
ValidPct = Annotated[
    float | None,
    typer.Option(
        help="The part of all pictures that is drawn for validation, 0.2 by default; where the "
        "data has its own split, in place of that.",
        rich_help_panel=DATA,
    ),
]
Decided = Annotated[
    Path | None,
    typer.Option(
        "--decisions",
        help="A CSV file of `presize clean`: drops and relabels pictures; the files stay.",
        rich_help_panel=DATA,
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch the public data set.", rich_help_panel=DATA)
]

# --- the network and its pictures -----------------------------------------------------------------
Arch = Annotated[
    str | None,
    typer.Option(
        help="A torchvision or timm network; resnet18 by default.",
        autocompletion=_architectures,
        rich_help_panel=MODEL,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="`default` (pretrained), `none` (from scratch), or a file or URL.",
        autocompletion=_weights,
        rich_help_panel=MODEL,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        help="Pixels a side that the net sees; 224 by default, 32 for digits.",
        rich_help_panel=MODEL,
    ),
]
Presize = Annotated[
    int | None,
    typer.Option(
        help="Pixels a side before augmentation; about twice --size.", rich_help_panel=MODEL
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Mirror pictures in training, which is wrong for writing; on, but not for digits.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]

# --- how it is trained ----------------------------------------------------------------------------
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Passes over the training set; 5 by default, 10 for digits.", rich_help_panel=TRAINING
    ),
]
FreezeEpochs = Annotated[
    int | None,
    typer.Option(
        help="Passes before these for the new head alone, with pretrained weights; 1 by default.",
        rich_help_panel=TRAINING,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--bs", help="Pictures in a batch; 64 by default, 32 for digits.", rich_help_panel=TRAINING
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--lr",
        metavar="X|auto",
        help="The highest learning rate, or `auto` to look for it first; 0.002 by default, 0.005 "
        "without pretrained weights.",
        rich_help_panel=TRAINING,
    ),
]
Decay = Annotated[
    float | None, typer.Option("--wd", help="Weight decay.", rich_help_panel=TRAINING)
]
Smoothing = Annotated[
    float | None,
    typer.Option(
        "--label-smoothing",
        help="Spread this part of each target over all classes, such as 0.1.",
        rich_help_panel=TRAINING,
    ),
]
Mixup = Annotated[
    float | None,
    typer.Option(
        metavar="ALPHA",
        help="Train on blends of two pictures; 0.4 is usual.",
        rich_help_panel=TRAINING,
    ),
]
Ema = Annotated[
    bool | None,
    typer.Option(
        "--ema/--no-ema",
        help="Average the weights over the steps, and keep the average.",
        rich_help_panel=TRAINING,
        show_default=False,
    ),
]
MaxTime = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="A limit such as 90s, 20m or 1h30m; the schedule is fitted to it.",
        rich_help_panel=TRAINING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Same seed, same run; 42 by default.", rich_help_panel=TRAINING, show_default=False
    ),
]

# --- the machine ----------------------------------------------------------------------------------
Amp = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="How numbers are computed: no (float32), tf32, fp16, bf16; or `auto`, the default, "
        "which measures what is faster here.",
        autocompletion=_amp,
        rich_help_panel=MACHINE,
    ),
]
Auto = Annotated[
    bool | None,
    typer.Option(
        "--auto/--no-auto",
        help="The same as --amp auto, and --amp no.",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Threads that read pictures; by default one for each core, 16 at most.",
        rich_help_panel=MACHINE,
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="auto|ram|disk|no",
        help="Where decoded pictures are kept for later epochs; `auto`: in memory, if they fit.",
        autocompletion=_caches,
        rich_help_panel=MACHINE,
    ),
]

# --- what comes in and out ------------------------------------------------------------------------
Config = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A TOML file of settings, such as the config.toml of a run; options of the command "
        "line go before it.",
        rich_help_panel=RESULTS,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="The folder for the results; runs/NAME by default.",
        rich_help_panel=RESULTS,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the run in --out, if it did not end.",
        rich_help_panel=RESULTS,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show the settings and the data; train and write nothing.",
        rich_help_panel=RESULTS,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, for programs.", rich_help_panel=RESULTS)
]
