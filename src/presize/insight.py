"""The learner's doors to what lies in `interpret`, which is imported when one is opened.

A script that only trains pays for none of it.
"""

from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

from presize.core.paths import Path

if TYPE_CHECKING:
    from presize.interpret.clean.cleaner import Cleaner
    from presize.interpret.interpretation import Interpretation
    from presize.interpret.label_errors import LabelErrors
    from presize.learner import Learner
    from presize.train.calibration import Calibration, UnknownBy


def calibrate(
    learn: "Learner",
    dl: Any = None,
    *,
    unknown: "UnknownBy | None" = "confidence",
    coverage: float = 0.99,
) -> "Calibration":
    """Fit how sure the model really is, so that what it is 80 % sure of is right in 80 %.

    Its scores are divided by one temperature (arXiv:1706.04599), fitted to items that it was not
    trained on. From here on `predict`, `get_preds` and `tta` return probabilities with it, and
    `export` puts it into the model file; what is predicted stays the same. Training drops it.

    Beside it a threshold is fitted for "none of these": `predict(item, with_unknown=True)`. With
    several labels an item there is none: that is what no label at all says.

    Args:
        dl: labelled items that the model was not trained on; None takes the validation set.
        unknown: what tells that an item is none of the classes: "confidence", the highest
            probability; "features", how far the item is from the training set in what the last
            layer sees, which takes a pass over up to 5,000 training items, or 10 for each class;
            None for no threshold.
        coverage: the share of known items that are to be taken for known, above 0, up to 1.

    Returns:
        The temperature, with calibration error, Brier score and NLL before and after; it is
        `learn.calibration` as well.

    Raises:
        ValueError: `unknown` or `coverage` is none of these.
        DataError: no items, no targets, one class only, a task without probabilities, or a loss
            that does not say how outputs become probabilities.
    """
    from presize.calibrating import calibrate

    return calibrate(learn, dl, unknown=unknown, coverage=coverage)


def interpret(learn: "Learner", ds_idx: int = 1, dl: Any = None) -> "Interpretation":
    """Return where the model errs on a loader: `dl`, or number `ds_idx` of the data.

    A `ClassificationInterpretation` for one label an item, a `MultiLabelInterpretation` for
    several, else an `Interpretation`.

    Raises:
        DataError: the loader is empty, or has no targets.
    """
    from presize.interpret.choice import interpret

    return interpret(learn, ds_idx, dl)


def find_label_errors(learn: "Learner") -> "LabelErrors":
    """Return the items of the validation set whose label is probably wrong, worst first.

    One held-out pass; see `presize.interpret.label_errors.find_label_errors` for the training set
    as well, by cross-validation.

    Raises:
        DataError: there is no validation set with one label an item.
    """
    from presize.interpret.label_errors import find_label_errors

    return find_label_errors(learn)


def report(
    learn: "Learner",
    path: str | AnyPath = "report.html",
    *,
    title: str | None = None,
    label_errors: bool = True,
    heat_maps: bool = True,
    check: bool = True,
    k: int = 12,
) -> Path:
    """Write one HTML file on what was trained, how well it does, and where it errs.

    The file needs no network and no other file, and is less than 5 MB.

    Args:
        path: the file; a name without a folder goes into `learn.path`.
        title: the heading; None takes the name of the data.
        label_errors: list labels of the validation set that are probably wrong.
        heat_maps: show what the model looked at in the pictures with the largest losses.
        check: look for broken and doubled pictures in the data, which reads all of them.
        k: how many pictures a section shows at most.
    """
    from presize.interpret.report.write import write_report

    return write_report(
        learn,
        path,
        title=title,
        label_errors=label_errors,
        heat_maps=heat_maps,
        check=check,
        k=k,
    )


def clean(
    learn: "Learner",
    out: str | AnyPath = "decisions.csv",
    *,
    label_errors: "LabelErrors | bool" = True,
    open_browser: bool = True,
    port: int = 0,
) -> "Cleaner":
    """Open a local page with the items to look at again: keep, relabel or drop each.

    Listed are labels that are probably wrong, doubled and broken pictures, and the largest losses.
    Decisions are written to a CSV file at once, which `DataBlock(..., decisions=...)` reads; the
    pictures themselves are not touched.

    Args:
        out: the CSV file; decisions that are in it already are shown, and kept.
        label_errors: those that `find_label_errors` has found, as by a cross-validation of all
            items; True looks for them in the validation set, False leaves them out.
        open_browser: open the page; else its address is in `.url`.
        port: where the page is served; 0 takes a port that is free.
    """
    from presize.interpret.clean.cleaner import clean

    return clean(learn, out, label_errors=label_errors, open_browser=open_browser, port=port)
