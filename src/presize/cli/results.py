"""What a run shows and leaves to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from presize.data.loaders import DataLoaders
    from presize.learner import Learner


def show_data(dls: "DataLoaders", out: Path | None = None) -> None:
    """Say how much data there is, and draw some of it into `out`."""
    typer.echo(
        f"{len(dls.train_ds)} pictures to train on, {len(dls.valid_ds)} to validate, "
        f"{len(dls.vocab)} classes: {brief(list(dls.vocab))}"
    )
    if out is not None:
        dls.show_batch(max_n=16)
        _save_figure(out / "grid.png")


def show_counts(classes: dict[str, dict[str, int]], n: int = 30) -> None:
    """Print how many pictures each class has in training and validation."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = list(dict.fromkeys(name for counts in classes.values() for name in counts))
    table = Table("class", *classes, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in names[:n]:
        counts = [f"{counts.get(name, 0):,}" for counts in classes.values()]
        table.add_row(Text(name, overflow="fold"), *counts)
    if names:
        Console().print(table)
    if len(names) > n:
        typer.echo(f"… and {len(names) - n} more")


def show_results(learn: "Learner", out: Path, seconds: float) -> dict[str, Any]:
    """Say how well a model does after so long, draw its confusions, and return the figures."""
    if learn.dls.task == "multilabel":
        return _show_several(learn, seconds)
    from presize.interpret.classification import ClassificationInterpretation

    found = ClassificationInterpretation.from_learner(learn)
    found.plot_confusion_matrix()
    _save_figure(out / "confusion.png")
    right, n = int((found.decoded == found.targs).sum()), len(found.targs)
    typer.echo(f"\naccuracy   {right / n:.2%} of {n} pictures, after {seconds:.0f} s")
    if learn.calibration is not None and learn.calibration.threshold is not None:
        sure = 1 - learn.calibration.threshold
        typer.echo(
            f"confidence calibrated, temperature {learn.calibration.temperature:.2f}; below "
            f"{sure:.0%} it is none of these"
        )
    confused = found.most_confused()
    wrong = ", ".join(f"{a} for {b} ({k}x)" for b, a, k in confused[:3])
    typer.echo(f"confusion  {out / 'confusion.png'}{f'; most often {wrong}' if wrong else ''}")
    return {
        "accuracy": right / n,
        "confused": [{"actual": str(b), "predicted": str(a), "n": k} for b, a, k in confused[:10]],
    }


def _show_several(learn: "Learner", seconds: float) -> dict[str, Any]:
    row = learn.recorder.values[-1]
    names = [name for name in learn.recorder.metric_names if name not in ("epoch", "time")]
    figures = dict(zip(names, row, strict=False))
    right, n = figures["accuracy_multi"], len(learn.dls.valid_ds)
    typer.echo(f"\nlabels     {right:.2%} right, of {n} pictures, after {seconds:.0f} s")
    return {"accuracy_multi": right}


def result_of(learn: "Learner", told: dict[str, Any], out: Path) -> dict[str, Any]:
    """Return what came of a run, for programs."""
    from presize.data.batchfiles import file_of

    fits = [
        {"epochs": [dict(zip(fit.names, row, strict=False)) for row in fit.rows]}
        | {"method": fit.method, "trained": fit.trained, "seconds": fit.seconds}
        for fit in learn.history.fits
    ]
    calibration = learn.calibration
    valid = learn.dls.valid_ds
    return {
        "out": str(out),
        "classes": [str(name) for name in learn.dls.vocab],
        "n_train": len(learn.dls.train_ds),
        "n_valid": len(valid),
        "picture": file_of(valid, 0),
        **told,
        "temperature": None if calibration is None else calibration.temperature,
        "fits": fits,
    }


def _save_figure(path: Path) -> None:
    from matplotlib import pyplot as plt

    plt.savefig(path, dpi=100, bbox_inches="tight")
    plt.close()


def brief(vocab: list[Any], n: int = 12) -> str:
    """Return the first names of a list, and a sign that there are more."""
    names = [str(v) for v in vocab]
    return ", ".join(names if len(names) <= n else [*names[:n], "…"])
