"""`presize train`: from a folder of pictures to a model file and what to look at."""

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

import typer

from presize.cli.checkpoints import told_ended, train_or_resume
from presize.cli.devices import Devices, Restarts, launch, started_again
from presize.cli.options import Decided
from presize.cli.recipe import Recipe, recipe_for
from presize.cli.source import source_of
from presize.core.ranks import is_main

if TYPE_CHECKING:
    from presize.data.loaders import DataLoaders
    from presize.learner import Learner

ENOUGH = 100  # validation pictures: below, a temperature is little more than a guess
VALID_NAMES = ("valid", "val", "validation", "test")


def train(
    data: Annotated[
        str,
        typer.Argument(
            help="A folder with one subfolder of pictures for each class, or with train/ and "
            "valid/ that have; or `digits`, real handwriting that comes with presize.",
        ),
    ],
    arch: Annotated[str | None, typer.Option(help="A torchvision or timm network.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side that the net sees.")] = None,
    presize: Annotated[
        int | None, typer.Option(help="Pixels a side before augmentation; about twice --size.")
    ] = None,
    bs: Annotated[int | None, typer.Option(help="Pictures in a batch.")] = None,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="`default` (pretrained), `none` (from scratch), or a file or URL."),
    ] = None,
    decisions: Decided = None,
    seed: Annotated[int, typer.Option(help="Same seed, same run.")] = 42,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the results; runs/NAME by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, if it did not end.")
    ] = False,
    auto: Annotated[
        bool, typer.Option(help="Measure first what is faster here, and switch it on.")
    ] = True,
    devices: Devices = None,
    max_restarts: Restarts = 1,
) -> None:
    """Train on a folder of pictures and write a model file and a report to open in a browser."""
    recipe = recipe_for(
        data, arch=arch, epochs=epochs, size=size, presize=presize, bs=bs, lr=lr, weights=weights
    )
    name = Path(data).resolve().name
    out, source = out or Path("runs") / name, source_of(data)
    if resume and told_ended(out, out / f"{name}.safetensors"):
        return
    if not launch(devices, max_restarts):
        resume = resume or started_again()
        options: RunOptions = {"resume": resume, "auto": auto, "decisions": decisions}
        run(source, recipe, seed=seed, out=out, name=name, **options)


class RunOptions(TypedDict, total=False):
    """What a run can do without.

    resume: go on with the run whose checkpoints are there; without any begin one. auto: let a new
    run find out first what is faster on this device. decisions: a CSV file of `presize clean`.
    """

    resume: bool
    auto: bool
    decisions: Path | None


def run(
    source: Path,
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    name: str,
    **options: Unpack[RunOptions],
) -> None:
    """Train by the recipe and write all results into `out`, the model file as `name`.

    While it trains, checkpoints are in `out`; they go when the model file is there.

    Args:
        source: the folder of pictures.
        recipe: the settings.
        seed: of the split, the weights and all draws.
        out: the folder for the results.
        name: of the model file.
        options: see `RunOptions`.
    """
    import matplotlib

    from presize.core.randomness import set_seed

    matplotlib.use("Agg")  # figures go to files, also where there is a screen
    started = time.perf_counter()
    set_seed(seed)
    dls = loaders(source, recipe, seed=seed, decisions=options.get("decisions"))
    out.mkdir(parents=True, exist_ok=True)
    if is_main():
        _show(dls, out)
    learn = _learner(dls, recipe, out)
    with learn.distrib_ctx():
        resume, auto = options.get("resume", False), options.get("auto", False)
        keeper = train_or_resume(learn, recipe, resume=resume, auto=auto)
    if not is_main():
        return
    _calibrate(learn)
    model = learn.export(f"{name}.safetensors")
    keeper.place(learn).remove()
    _report(learn, out, started)
    report = learn.report(out.absolute() / "report.html", title=name)
    typer.echo(f"report     {report}\nmodel      {model}\npictures   {out / 'grid.png'}")
    typer.echo(f"try it     {called_as()} predict {model} {_one_picture(dls)}")


def loaders(
    source: Path, recipe: Recipe, *, seed: int, decisions: Path | None = None
) -> "DataLoaders":
    """Return the loaders of a folder: its own split if it has one, else a random fifth."""
    from presize.augment.presets import aug_transforms
    from presize.data.folders import ImageDataLoaders
    from presize.data.resize import Resize

    valid = next((n for n in VALID_NAMES if (source / n).is_dir()), None)
    split = (source / "train").is_dir() and valid is not None
    # Small drawings have nothing to lose at the edge, and a warp changes what a digit is.
    warp = 0.2 if recipe.flip else 0.1
    return ImageDataLoaders.from_folder(
        source,
        valid=valid or "valid",
        valid_pct=None if split else 0.2,
        seed=seed,
        item_tfms=Resize(recipe.presize),
        batch_tfms=aug_transforms(size=recipe.size, do_flip=recipe.flip, max_warp=warp),
        bs=recipe.bs,
        decisions=decisions,
    )


def _learner(dls: "DataLoaders", recipe: Recipe, out: Path) -> "Learner":
    from presize.core.errors import WeightsError
    from presize.train.metrics import accuracy
    from presize.vision.learner import vision_learner

    own = recipe.weights not in ("default", "none")
    try:
        return vision_learner(
            dls,
            recipe.arch,
            pretrained=recipe.pretrained,
            weights=recipe.weights if own else None,
            metrics=accuracy,
            path=out,
        )
    except WeightsError as error:
        way_out = "On the command line that is --weights FILE, and --weights none."
        raise WeightsError(f"{error} {way_out}") from error


def _calibrate(learn: "Learner") -> None:
    """Fit how sure the model really is, where there are pictures enough to tell."""
    if len(learn.dls.valid_ds) >= ENOUGH:
        learn.calibrate()


def _show(dls: "DataLoaders", out: Path) -> None:
    typer.echo(
        f"{len(dls.train_ds)} pictures to train on, {len(dls.valid_ds)} to validate, "
        f"{len(dls.vocab)} classes: {_brief(list(dls.vocab))}"
    )
    dls.show_batch(max_n=16)
    _save_figure(out / "grid.png")


def _report(learn: "Learner", out: Path, started: float) -> None:
    from presize.interpret.classification import ClassificationInterpretation

    found = ClassificationInterpretation.from_learner(learn)
    found.plot_confusion_matrix()
    _save_figure(out / "confusion.png")
    right, n = int((found.decoded == found.targs).sum()), len(found.targs)
    seconds = time.perf_counter() - started
    typer.echo(f"\naccuracy   {right / n:.2%} of {n} pictures, after {seconds:.0f} s")
    if learn.calibration is not None and learn.calibration.threshold is not None:
        sure = 1 - learn.calibration.threshold
        typer.echo(
            f"confidence calibrated, temperature {learn.calibration.temperature:.2f}; below "
            f"{sure:.0%} it is none of these"
        )
    wrong = ", ".join(f"{a} for {b} ({k}x)" for b, a, k in found.most_confused()[:3])
    typer.echo(f"confusion  {out / 'confusion.png'}{f'; most often {wrong}' if wrong else ''}")


def _save_figure(path: Path) -> None:
    from matplotlib import pyplot as plt

    plt.savefig(path, dpi=100, bbox_inches="tight")
    plt.close()


def _brief(vocab: list[Any], n: int = 12) -> str:
    names = [str(v) for v in vocab]
    return ", ".join(names if len(names) <= n else [*names[:n], "…"])


def called_as() -> str:
    """Return how to call this command: by name if it is on the PATH, else by its file."""
    if sys.argv[0].endswith("__main__.py"):
        return "python -m presize"
    return "presize" if shutil.which("presize") else sys.argv[0]


def _one_picture(dls: "DataLoaders") -> Path:
    item: Path = dls.valid_ds.items[0]
    return item
