"""`presize lr-find`: which learning rates are good, before training."""

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presize.cli import options
from presize.cli.messages import print_json, told_aside
from presize.cli.plan import Plan, plan_of
from presize.cli.recipe import RECIPE_NAMES, as_typed
from presize.cli.settings import OWN_NAMES

if TYPE_CHECKING:
    from presize.learner import Learner

BEST = "valley"

Steps = Annotated[
    int,
    typer.Option(min=1, help="Batches to train with growing rates.", rich_help_panel="Search"),
]
Lowest = Annotated[float, typer.Option(help="The first rate.", rich_help_panel="Search")]
Highest = Annotated[float, typer.Option(help="The last rate.", rich_help_panel="Search")]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Draw the loss against the rate into this file, such as rates.png.",
        rich_help_panel=options.RESULTS,
    ),
]


def lr_find(
    data: options.Data = None,
    pattern: options.Pattern = None,
    label_delim: options.LabelDelim = None,
    valid_pct: options.ValidPct = None,
    decisions: options.Decided = None,
    download: options.Download = False,
    arch: options.Arch = None,
    weights: options.Weights = None,
    size: options.Size = None,
    presize: options.Presize = None,
    flip: options.Flip = None,
    bs: options.Batch = None,
    wd: options.Decay = None,
    label_smoothing: options.Smoothing = None,
    mixup: options.Mixup = None,
    seed: options.Seed = None,
    workers: options.Workers = None,
    steps: Steps = 100,
    start: Lowest = 1e-7,
    end: Highest = 10.0,
    config: options.Config = None,
    out: Plot = None,
    as_json: options.AsJson = False,
) -> None:
    """Suggest learning rates: train some batches with growing rates, and look at the loss.

    With pretrained weights the new head alone is trained, as at the beginning
    of `presize train`. Nothing is kept of the training. The first suggestion,
    `valley`, is what `presize train --lr auto` takes.
    """
    given = dict(locals())  # every option by its name, and nothing else yet
    if out is not None:
        out = _picture_file(out)
    with told_aside(as_json):
        plan = plan_of(given | {"out": None, "amp": "no"})
        found = _search(plan, steps, start, end, out)
        if not as_json:
            _show(found, _training(given, found["suggestions"][BEST]))
    if as_json:
        print_json(found)


def _search(plan: Plan, steps: int, start: float, end: float, out: Path | None) -> dict[str, Any]:
    """Return the suggestions by name, and the rates and losses that they are read off."""
    import matplotlib

    from presize.cli.loading import loaders
    from presize.cli.run import learner_for
    from presize.core.randomness import set_seed
    from presize.train.rate_suggestions import minimum, slide, steep, valley

    matplotlib.use("Agg")  # there may be no screen
    set_seed(plan.settings.seed)
    dls = loaders(plan.source, plan.settings)
    with tempfile.TemporaryDirectory() as folder:  # the learner has one, and writes nothing
        learn = learner_for(dls, plan.settings.recipe, Path(folder))
        functions = (valley, steep, minimum, slide)
        found = learn.lr_find(start, end, steps, show_plot=False, suggest_funcs=functions)
    if out is not None:
        _draw(learn, out)
    search = learn.recorder.rate_search
    assert search is not None
    names = [function.__name__ for function in functions]
    return {
        "suggestions": dict(zip(names, map(float, found), strict=True)),
        "rates": list(search.lrs),
        "losses": list(search.losses),
        "plot": None if out is None else str(out),
    }


def _picture_file(out: Path) -> Path:
    """Return the file of the picture, a PNG where its name does not say what it is.

    Raises:
        FileNotFoundError: there is no folder for it.
        ValueError: such a picture cannot be written.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder `{out.parent}` to write the picture into.")
    known = FigureCanvasBase.get_supported_filetypes()
    if out.suffix and out.suffix[1:].lower() not in known:
        raise ValueError(
            f"A picture of the kind `{out.suffix}` cannot be written, asked for by --out {out}. "
            "Give a name such as rates.png, rates.svg or rates.pdf."
        )
    return out if out.suffix else out.with_name(f"{out.name}.png")


def _draw(learn: "Learner", out: Path) -> None:
    from matplotlib import pyplot as plt

    learn.recorder.plot_lr_find()
    plt.savefig(out, dpi=100, bbox_inches="tight")
    plt.close()


def _training(given: Mapping[str, Any], rate: float) -> str:
    """Return the command that trains with a rate, on the same data and with the same settings."""
    own = ("config", *OWN_NAMES, *RECIPE_NAMES)
    told = {name: given[name] for name in own if given.get(name) is not None}
    words = [] if given["data"] is None else [given["data"]]
    words += [word for name, value in told.items() for word in as_typed(name, value)]
    return shlex.join(["presize", "train", *words, "--lr", f"{rate:.2g}"])


def _show(found: dict[str, Any], command: str) -> None:
    rates = found["suggestions"]
    meanings = {
        "valley": "two thirds down its longest fall",
        "steep": "where the loss falls fastest",
        "minimum": "a tenth of the rate of the lowest loss",
        "slide": "the highest at which it still falls fast",
    }
    for name, meaning in meanings.items():
        typer.echo(f"{name:<9}{rates[name]:<9.2g}{meaning}")
    if found["plot"] is not None:
        typer.echo(f"picture  {found['plot']}")
    typer.echo(f"\nTrain with it: {command}")
