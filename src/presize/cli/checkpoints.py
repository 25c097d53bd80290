"""What `presize train` does so that a run can be killed, and `presize train --resume` after it."""

from typing import TYPE_CHECKING, Any

import typer

from presize.cli.recipe import Recipe

if TYPE_CHECKING:
    from presize.callbacks.checkpoint import Checkpoints
    from presize.learner import Learner


def train_or_resume(
    learn: "Learner", recipe: Recipe, *, resume: bool, auto: bool = False
) -> "Checkpoints":
    """Train by the recipe, or go on with a run that did; return what keeps the checkpoints.

    Args:
        learn: new.
        recipe: the settings.
        resume: go on with the run whose checkpoints are there; without any begin one, and say so.
        auto: let a new run find out first what is faster on this device.
    """
    from presize.callbacks.checkpoint import Checkpoints

    # By the clock: a checkpoint takes 0.3 to 1 s for a resnet50 (283 MB), and epochs can be short.
    keeper = Checkpoints(every_epoch=False, every_minutes=1)
    place, method, arguments = keeper.place(learn), *_call(recipe)
    found = bool(place.files())
    try:
        if resume and found:
            _tell_ignored(learn, place.newest()[2], arguments)
            learn.resume(cbs=keeper)
        else:
            _tell_new(learn, str(place.path), resume=resume, found=found)
            if auto:
                learn.auto(epochs=recipe.epochs)
            getattr(learn, method)(**arguments, cbs=keeper)
    except (SystemExit, KeyboardInterrupt):
        if keeper.last is not None and learn.ranks.is_main:
            typer.echo("The same command with --resume goes on.", err=True)
        raise
    return keeper


def _tell_new(learn: "Learner", place: str, *, resume: bool, found: bool) -> None:
    """Say that a run begins where one was to be gone on with, or could be."""
    if learn.ranks.is_main and resume:
        typer.echo(f"There is no checkpoint in {place}: a new run begins.")
    elif learn.ranks.is_main and found:
        typer.echo(
            f"{place} has checkpoints of a run that did not end, which --resume goes on with. "
            "This is a new run, and its checkpoints take their place."
        )


def _call(recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """Return which method of the learner trains, and with what."""
    if recipe.pretrained:
        return "fine_tune", {"epochs": recipe.epochs, "base_lr": recipe.lr}
    return "fit_one_cycle", {"n_epoch": recipe.epochs, "lr_max": recipe.lr}


def _tell_ignored(learn: "Learner", meta: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Say which settings of this command have no effect, because the run began with others."""
    options = {"epochs": "--epochs", "n_epoch": "--epochs", "base_lr": "--lr", "lr_max": "--lr"}
    then = meta["run"]["call"]["arguments"]
    for name, now in arguments.items():
        if name in then and then[name] != now and learn.ranks.is_main:
            typer.echo(
                f"{options[name]} {now} is not used: the run began with {then[name]}, and goes on "
                "with that."
            )
