"""`presize train`: from labelled pictures to a model file and what to look at."""

import shlex
import shutil
import sys
from typing import Any

import typer

from presize.cli import options
from presize.cli.devices import Devices, Restarts, launch, started_again
from presize.cli.messages import print_json, told_aside
from presize.cli.plan import Plan, plan_of
from presize.core.ranks import started_together


def train(
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
    epochs: options.Epochs = None,
    freeze_epochs: options.FreezeEpochs = None,
    bs: options.Batch = None,
    lr: options.Rate = None,
    wd: options.Decay = None,
    label_smoothing: options.Smoothing = None,
    mixup: options.Mixup = None,
    ema: options.Ema = None,
    max_time: options.MaxTime = None,
    seed: options.Seed = None,
    amp: options.Amp = None,
    auto: options.Auto = None,
    devices: Devices = None,
    max_restarts: Restarts = 1,
    workers: options.Workers = None,
    cache: options.Cache = None,
    config: options.Config = None,
    out: options.Out = None,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train on labelled pictures; write a model file and a report to open in a browser.

    The folder of results gets the model, metrics.csv with a row for each
    epoch, a report, pictures of the data and of the confusions, and
    config.toml, which repeats the run: presize train --config FILE --out NEW.
    While it trains, checkpoints are there, from which --resume goes on.
    """
    given = dict(locals())  # every option by its name, and nothing else yet
    with told_aside(as_json):
        plan = plan_of(given)
        found = _dry_run(plan) if dry_run else _run(plan, max_restarts)
    if as_json and found is not None:
        print_json(found)


def _run(plan: Plan, max_restarts: int) -> dict[str, Any] | None:
    """Train, in several processes where that is asked for; return what came of it."""
    from presize.cli.checkpoints import told_ended

    if plan.resume and told_ended(plan.out, plan.model):
        return {"out": str(plan.out), "ended": True, "files": {"model": str(plan.model)}}
    wanted = plan.settings.devices
    if started_together() and not plan.devices_said:
        wanted = None  # the file of settings says what the launcher has done already
    if launch(wanted, max_restarts):
        return None
    from presize.cli.run import run

    resume = plan.resume or started_again()
    result = run(plan.settings, plan.source, out=plan.out, resume=resume)
    if result is not None:
        shown = shlex.join(map(str, (result["files"]["model"], result["picture"])))
        typer.echo(f"try it     {called_as()} predict {shown}")
    return result


def _dry_run(plan: Plan) -> dict[str, Any]:
    """Show the settings and the data of a run that is not made."""
    from presize.cli.config import config_text
    from presize.cli.loading import described, loaders
    from presize.cli.results import show_counts, show_data
    from presize.models.backbones import find_arch

    find_arch(plan.settings.recipe.arch)  # what could not be built is to be told now
    dls = loaders(plan.source, plan.settings)
    typer.echo(config_text(plan.settings, {}))
    show_data(dls)
    data = described(dls)
    show_counts(data["classes"])
    typer.echo(f"The results would be in {plan.out}. Nothing was trained or written.")
    settings = {name: value for name, value in plan.settings.flat().items() if value is not None}
    return {"dry_run": True, "out": str(plan.out), "settings": settings, "data": data}


def called_as() -> str:
    """Return how to call this command: by name if it is on the PATH, else by its file."""
    if sys.argv[0].endswith("__main__.py"):
        return "python -m presize"
    return "presize" if shutil.which("presize") else sys.argv[0]
