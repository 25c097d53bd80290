"""`write_report`: asks for every section, and writes the page."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

from presize.core.paths import Path
from presize.core.progress import working
from presize.data.warned import warn_user
from presize.interpret.report.checked import check_section
from presize.interpret.report.confusion import class_section, confusion_section, pairs_section
from presize.interpret.report.dataset import data_section
from presize.interpret.report.overview import Head, head_of
from presize.interpret.report.parts import Section
from presize.interpret.report.rendering import rendered
from presize.interpret.report.repeating import repeat_section
from presize.interpret.report.source import Source
from presize.interpret.report.sureness import calibration_section, curves_section
from presize.interpret.report.training import training_section
from presize.interpret.report.worst import labels_section, losses_section

if TYPE_CHECKING:
    from presize.learner import Learner

MOST_BYTES = 5_000_000
# (pictures, rows of a table) that are shown at most; the next pair where the page is too large.
_LIMITS = ((400, 1000), (200, 500), (100, 250), (50, 100), (12, 50), (0, 20))
_Make = Callable[[Source], Section]
_ANSWERS: dict[str | None, Sequence[tuple[str, _Make]]] = {
    "classification": (
        ("Confusion matrix", confusion_section),
        ("Classes", class_section),
        ("Most confused", pairs_section),
        ("Largest losses", losses_section),
        ("Confidence", calibration_section),
        ("Suspected label errors", labels_section),
    ),
    "multilabel": (
        ("Labels", class_section),
        ("Precision and recall", curves_section),
        ("Largest losses", losses_section),
        ("Suspected label errors", labels_section),
    ),
}
_OTHER_TASKS = (("Largest losses", losses_section),)


def write_report(
    learn: "Learner",
    path: str | AnyPath = "report.html",
    *,
    title: str | None = None,
    label_errors: bool = True,
    heat_maps: bool = True,
    check: bool = True,
    k: int = 12,
    command: str | None = None,
) -> Path:
    """Write one HTML file on what was trained, how well it does, and where it errs.

    The file needs no network and no other file, and takes less than 5 MB. What cannot be told,
    such as how well a model does that has no validation set, is named in it.

    Args:
        learn: the learner; one from a model file tells of its training, too.
        path: the file, whose folder is made if need be; a name without a folder goes into
            `learn.path`.
        title: the heading; None takes the names of the data and the model.
        label_errors: list labels of the validation set that are probably wrong.
        heat_maps: show what the model looked at in the pictures with the largest losses.
        check: look for broken and doubled pictures in the data, which reads all of them.
        k: how many pictures a section shows at most.
        command: what repeats the run; None takes the command line that trained, where it is known.

    Raises:
        ValueError: `k` is less than 1.
        IsADirectoryError: `path` is a folder.
    """
    if k < 1:
        raise ValueError(f"A section of the report shows at least one picture; got k={k}.")
    file = _place(learn, path)
    source = Source(
        learn, k=k, label_errors=label_errors, heat_maps=heat_maps, check=check, command=command
    )
    with working("report", 1) as work:
        sections = list(_sections(source, work))
        page = small_enough(sections, head_of(source, title))
    _write(file, page)
    return Path(file)


def _place(learn: "Learner", path: str | AnyPath) -> AnyPath:
    given = AnyPath(path)
    file = AnyPath(learn.path) / given if given.parent == AnyPath() else given
    if file.is_dir():
        raise IsADirectoryError(
            f"The report is one file, but {file} is a folder. Name a file in it: "
            f"{file / 'report.html'}."
        )
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    return file


def _sections(source: Source, work: Any) -> list[Section]:
    """Return all sections; one that fails says so, and the others are there all the same."""
    made = [
        _made("Data", data_section, source, work),
        _made("Training", training_section, source, work),
    ]
    if source.interp is None:
        made.append(
            Section(
                key="answers",
                title="How well it does",
                template="notes.html",
                missing=source.why_no_answers,
            )
        )
    else:
        for title, make in _ANSWERS.get(source.task, _OTHER_TASKS):
            made.append(_made(title, make, source, work))
    made += [
        _made("Duplicates and faults", check_section, source, work),
        _made("Repeat this run", repeat_section, source, work),
    ]
    return made


def _made(title: str, make: _Make, source: Source, work: Any) -> Section:
    work.rename(f"report: {title.lower()}")
    try:
        return make(source)
    except Exception as error:  # a report on hours of training does not fail for one part of it
        what = f"{type(error).__name__}: {error}"
        warn_user(f"The part `{title}` of the report could not be made: {what}")
        key = make.__name__.removesuffix("_section")
        text = f"This part could not be made. {what}"
        return Section(key=key, title=title, template="notes.html", missing=text)


def small_enough(sections: Sequence[Section], head: Head) -> bytes:
    """Return the page, with fewer pictures and rows until it takes less than 5 MB."""
    page = b""
    for pictures, rows in _LIMITS:
        page = rendered(sections, head, most_pictures=pictures, most_rows=rows).encode()
        if len(page) < MOST_BYTES:
            break
    return page


def _write(file: AnyPath, page: bytes) -> None:
    """Write the file, whole or not at all."""
    number, temporary = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "wb") as out:
            out.write(page)
        umask = os.umask(0)
        os.umask(umask)
        AnyPath(temporary).chmod(0o666 & ~umask)
        AnyPath(temporary).replace(file)
    except BaseException:
        AnyPath(temporary).unlink(missing_ok=True)
        raise
