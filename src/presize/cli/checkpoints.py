"""What `presize train` does so that a run can be killed, and `presize train --resume` after it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from presize.cli.recipe import Recipe, as_typed
from presize.core.errors import TrainingError
from presize.core.ranks import is_main

if TYPE_CHECKING:
    from presize.callbacks.base import Callback
    from presize.callbacks.checkpoint import Checkpoints
    from presize.learner import Learner
    from presize.train.checkpoint_files import CheckpointFolder

_RECIPE = "recipe"
# A run goes on with these as it began; the rest of a recipe has no effect any more.
_FIXED = ("arch", "size", "presize", "bs", "flip", "wd", "label_smoothing", "mixup", "ema")
_IGNORED = ("epochs", "freeze_epochs", "lr", "weights", "max_time")


def train_or_resume(
    learn: "Learner",
    recipe: Recipe,
    *,
    resume: bool,
    prepare: Callable[["Learner", Recipe], Recipe] | None = None,
    cbs: "Callback | None" = None,
) -> "Checkpoints":
    """Train by the recipe, or go on with a run that did; return what keeps the checkpoints.

    Args:
        learn: new.
        recipe: the settings.
        resume: go on with the run whose checkpoints are there; without any begin one, and say so.
        prepare: called before a new run begins; returns the recipe that it is to have.
        cbs: takes part in the run.

    Raises:
        TrainingError: the run that is to be gone on with began with settings that do not fit.
    """
    from presize.callbacks.checkpoint import Checkpoints

    # By the clock: a checkpoint takes 0.3 to 1 s for a resnet50 (283 MB), and epochs can be short.
    keeper = Checkpoints(every_epoch=False, every_minutes=1)
    taking_part: list[Callback] = [keeper] if cbs is None else [cbs, keeper]
    place = keeper.place(learn)
    found = bool(place.files())
    try:
        if resume and found:
            _compare(place, recipe, tell=learn.ranks.is_main)
            keeper.note = {_RECIPE: asdict(recipe)}
            learn.resume(cbs=taking_part)
        else:
            if learn.ranks.is_main:
                _tell_new(place, resume=resume)
                place.begin()
            if prepare is not None:
                recipe = prepare(learn, recipe)
            keeper.note = {_RECIPE: asdict(recipe)}
            _train(learn, recipe, taking_part)
    except (SystemExit, KeyboardInterrupt):
        if keeper.last is not None and learn.ranks.is_main:
            typer.echo("The same command with --resume goes on.", err=True)
        raise
    return keeper


def told_ended(out: Path, model: Path) -> bool:
    """Return whether the run in `out` has come to its end; if so, say it, and how to go on."""
    from presize.callbacks.checkpoint import FOLDER
    from presize.train.checkpoint_files import CheckpointFolder

    place = CheckpointFolder(out / FOLDER)
    if not model.is_file() or place.begun.exists() or place.files():
        return False
    if is_main():
        typer.echo(
            f"The run in {out} has ended, and its model is {model}: nothing is left to train. To "
            "train anew, leave out --resume."
        )
    return True


def _tell_new(place: "CheckpointFolder", *, resume: bool) -> None:
    """Say that a run begins where one was to be gone on with, or could be."""
    if resume:
        typer.echo(f"There is no checkpoint in {place.path}: a new run begins.")
    elif place.files():
        typer.echo(
            f"{place.path} has checkpoints of a run that did not end, which --resume would have "
            "gone on with. This is a new run."
        )
    if place.files() or place.earlier.files():
        typer.echo(
            f"Those of the run before are in {place.earlier.path} until the new one has written "
            "its first."
        )


def _train(learn: "Learner", recipe: Recipe, cbs: "list[Callback]") -> None:
    """Train with the recipe of its weights: pretrained ones are adapted, others learn anew."""
    if recipe.lr == "auto":
        raise ValueError("There is no rate to train with: look for one first.")
    if recipe.pretrained:
        learn.fine_tune(
            recipe.epochs,
            recipe.lr,
            recipe.freeze_epochs,
            cbs=cbs,
            max_time=recipe.max_time,
        )
    else:
        learn.fit_one_cycle(recipe.epochs, recipe.lr, cbs=cbs, max_time=recipe.max_time)


def _compare(place: "CheckpointFolder", recipe: Recipe, *, tell: bool) -> None:
    """Say which settings of this command have no effect; refuse those that would spoil the run.

    Raises:
        TrainingError: names them, and what the run began with.
    """
    found = place.newest_meta()
    then: dict[str, Any] = {} if found is None else found[1].get("note", {}).get(_RECIPE, {})
    others = [name for name, now in asdict(recipe).items() if then.get(name, now) != now]
    spoils = [name for name in others if name in _FIXED]
    # Pictures are normalised as pretrained weights expect.
    if "weights" in others and "none" in (recipe.weights, then["weights"]):
        spoils.append("weights")
    if spoils:
        began, given = _options(then, spoils), _options(asdict(recipe), spoils)
        raise TrainingError(
            f"The run in {place.path.parent} began with {began}, and this command has {given}. A "
            f"run goes on as it began: give {began}, or leave out --resume to begin a new run."
        )
    for name in others:
        if name in _IGNORED and tell:
            typer.echo(
                f"{_options(asdict(recipe), [name])} is not used: the run began with "
                f"{then[name]}, and goes on with that."
            )


def _options(settings: dict[str, Any], names: list[str]) -> str:
    return " ".join(word for name in names for word in as_typed(name, settings[name]))
