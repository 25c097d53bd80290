"""A run of `presize train`: from settings and pictures to a folder of results."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from presize.cli.checkpoints import train_or_resume
from presize.cli.config import NAME, write_config
from presize.cli.loading import loaders
from presize.cli.recipe import Recipe
from presize.cli.results import result_of, show_data, show_results
from presize.cli.settings import Settings
from presize.cli.source import Source
from presize.core.ranks import is_main

if TYPE_CHECKING:
    from presize.callbacks.base import Callback
    from presize.data.loaders import DataLoaders
    from presize.learner import Learner

ENOUGH = 100  # validation pictures: below, a temperature is little more than a guess
METRICS = "metrics.csv"


def run(
    settings: Settings, source: Source, *, out: Path, resume: bool = False
) -> dict[str, Any] | None:
    """Train as the settings say, and write all results into `out`.

    While it trains, checkpoints are in `out`; they go when the model file is there.

    Args:
        settings: of the run.
        source: where the data is.
        out: the folder for the results.
        resume: go on with the run whose checkpoints are there; without any begin one.

    Returns:
        What came of it, for programs; None in a process that only helps another one.
    """
    import matplotlib

    from presize.core.randomness import set_seed

    matplotlib.use("Agg")  # figures go to files, also where there is a screen
    started, name = time.perf_counter(), settings.name
    set_seed(settings.seed)
    dls = loaders(source, settings)
    out.mkdir(parents=True, exist_ok=True)
    if is_main():
        show_data(dls, out)
    learn = learner_for(dls, settings.recipe, out)
    with learn.distrib_ctx():
        keeper = train_or_resume(
            learn, settings.recipe, resume=resume, prepare=_preparation(settings, out), cbs=_log()
        )
    if not is_main():
        return None
    if len(learn.dls.valid_ds) >= ENOUGH:
        learn.calibrate()
    model = Path(learn.export(f"{name}.safetensors"))
    keeper.place(learn).remove()
    told = show_results(learn, out, time.perf_counter() - started)
    report = out / "report.html"
    learn.report(report.absolute(), title=name)
    typer.echo(f"report     {report}\nmodel      {model}\npictures   {out / 'grid.png'}")
    result = result_of(learn, told, out)
    result |= {"seconds": round(time.perf_counter() - started, 2)}
    files = {"model": model, "report": report, "metrics": out / METRICS, "config": out / NAME}
    return result | {"files": {name: str(file) for name, file in files.items()}}


def learner_for(dls: "DataLoaders", recipe: Recipe, out: Path) -> "Learner":
    """Return the learner of a recipe.

    Raises:
        WeightsError: the pretrained weights cannot be had, with the options that help.
        ValueError: an option that does not go with this data.
    """
    from presize.core.errors import WeightsError
    from presize.train.metrics import accuracy, accuracy_multi
    from presize.train.precision import Kind
    from presize.vision.learner import vision_learner

    kinds: dict[str, Kind] = {"fp16": "fp16", "bf16": "bf16", "tf32": "tf32"}
    own = recipe.weights not in ("default", "none")
    try:
        return vision_learner(
            dls,
            recipe.arch,
            pretrained=recipe.pretrained,
            weights=recipe.weights if own else None,
            loss_func=_loss(dls, recipe),
            metrics=accuracy_multi if dls.task == "multilabel" else accuracy,
            path=out,
            wd=recipe.wd,
            cbs=_callbacks(recipe),
            precision=kinds.get(recipe.amp, "fp32"),
            channels_last=recipe.channels_last,
            compile=recipe.compile,
        )
    except WeightsError as error:
        way_out = "On the command line: --weights FILE, or --weights none to begin from nothing."
        raise WeightsError(f"{error} {way_out}") from error


def _loss(dls: "DataLoaders", recipe: Recipe) -> Callable[..., Any] | None:
    from presize.train.losses import LabelSmoothingCrossEntropy

    if not recipe.label_smoothing:
        return None
    if dls.task != "classification":
        raise ValueError(
            "--label-smoothing spreads the one label of a picture over all classes, but here "
            "pictures may have several: leave it out."
        )
    return LabelSmoothingCrossEntropy(recipe.label_smoothing)


def _callbacks(recipe: Recipe) -> list["Callback"]:
    from presize.callbacks.ema import EMA
    from presize.callbacks.mixing import MixUp

    found: list[Callback] = []
    if recipe.mixup:
        found.append(MixUp(recipe.mixup))
    if recipe.ema:
        found.append(EMA())
    return found


def _log() -> "Callback":
    from presize.callbacks.csv_logger import CSVLogger

    return CSVLogger(METRICS)


def _preparation(settings: Settings, out: Path) -> Callable[["Learner", Recipe], Recipe]:
    """Return what is done before a new run begins: settle what is "auto", and keep all settings."""

    def prepare(learn: "Learner", recipe: Recipe) -> Recipe:
        if recipe.amp == "auto":
            learn.auto(epochs=recipe.epochs)
            kind = learn.precision.kind
            recipe = replace(
                recipe,
                amp="no" if kind == "fp32" else kind,
                channels_last=learn.channels_last,
                compile=bool(learn.compile),
            )
        if recipe.lr == "auto":
            recipe = replace(recipe, lr=found_rate(learn))
            if learn.ranks.is_main:
                typer.echo(f"Looked for a rate: --lr {recipe.lr:g}.")
        if learn.ranks.is_main:
            write_config(out / NAME, replace(settings, recipe=recipe))
        return recipe

    return prepare


def found_rate(learn: "Learner") -> float:
    """Return the rate that `lr_find` suggests, with two digits: it knows no more."""
    from presize.train.rate_suggestions import valley

    found = learn.lr_find(show_plot=False, suggest_funcs=valley)
    return float(f"{found[0]:.2g}")
