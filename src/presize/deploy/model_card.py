"""The model card: what a model is, how well it does, what it was trained on, where its limits are.

All of it comes from the model file, and from the answers of a learner that has a validation set.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as AnyPath
from typing import Any

from presize.core.errors import ModelFileError
from presize.deploy.card_figures import Answers, answers_of, class_table, figures, last_figures
from presize.deploy.card_markdown import Marked, front_matter, plain, table
from presize.deploy.hub_client import folder_of
from presize.learner import Learner
from presize.train.calibration import Calibration
from presize.train.model_file import ModelFile
from presize.train.training_record import TrainingRecord

MARK = "<!-- Written by presize: the next push writes this card anew unless this line is gone. -->"
_KINDS = {"classification": "one class", "multilabel": "any number of labels"}
_NAMED = 20  # classes in a line of text; a table or the file has all


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What a card is written from."""

    name: str
    on_hub: bool
    file: ModelFile
    record: TrainingRecord
    sha256: str | None
    answers: Answers | None
    report: bool

    @property
    def vocab(self) -> list[str]:
        """The classes."""
        pipelines = self.file.data.get("targets")
        for pipeline in pipelines if isinstance(pipelines, list) else ():
            for arguments in _arguments(pipeline):
                if isinstance(arguments.get("vocab"), list):
                    return [str(name) for name in arguments["vocab"]]
        return []

    @property
    def data_name(self) -> str:
        """What the training data is called: the last part of its folder's name."""
        source = (self.record.data.source or "").replace("\\", "/").rstrip("/")
        return source.rpartition("/")[2] or "unknown data"


def model_card(
    source: Learner | str | AnyPath, repo_id: str = "owner/name", *, license: str | None = None
) -> str:
    """Return the card that `push_to_hub` writes, Markdown with metadata at its head.

    Names of classes and folders are escaped: they are shown as they are and are never markup. The
    SHA-256 of the file is left to `push_to_hub`, which knows the file.

    Args:
        source: a learner, or a model file. Of a learner with a validation set the card tells the
            figures of each class, which takes one pass over it.
        repo_id: the repository that the card is for.
        license: of the model, such as "apache-2.0"; None says nothing of it.

    Raises:
        ModelFileError: the file is no model file, or the learner cannot be exported.
    """
    on_hub = folder_of(repo_id) is None
    if not isinstance(source, Learner):
        return card_of(AnyPath(source), None, repo_id, license=license, on_hub=on_hub, final=False)
    with tempfile.TemporaryDirectory(prefix="presize-card-") as folder:
        file = source.export((AnyPath(folder) / "model.safetensors").absolute(), drift=False)
        return card_of(AnyPath(file), source, repo_id, license=license, on_hub=on_hub, final=False)


def card_of(
    path: AnyPath,
    learn: Learner | None,
    name: str,
    *,
    license: str | None = None,
    on_hub: bool = True,
    report: bool = False,
    final: bool = True,
) -> str:
    """Return the card of a model file; the arguments are those of `model_card`.

    Args:
        path: the model file.
        learn: what the file was written from, for the figures on its validation set.
        name: of the repository.
        license: of the model.
        on_hub: whether that is on a hub, and no folder.
        report: whether the repository has a report.
        final: whether the file itself goes there, so that its SHA-256 is told.
    """
    file = ModelFile.read(path)
    try:
        record = TrainingRecord.from_dict(file.training or {})
    except (TypeError, ValueError) as error:
        raise ModelFileError(
            f"What {path} says of how its model was trained is not valid: {error}. Export the "
            "model again."
        ) from error
    facts = _Facts(
        name=name,
        on_hub=on_hub,
        file=file,
        record=record,
        sha256=sha256(path) if final else None,
        answers=None if learn is None else answers_of(learn),
        report=report,
    )
    parts = [_metadata(facts, license), _head(facts), _use(facts), _how_well(facts)]
    parts += [_confidence(facts), _training(facts), _limits(facts), _file(facts), MARK]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(facts: _Facts) -> str:
    return facts.name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or "model"


def _metadata(facts: _Facts, license: str | None) -> str:
    """Return the metadata, as the hub documents it for model cards."""
    found = figures(facts.answers) or last_figures(facts.record)
    task = {"type": "image-classification", "name": "Image Classification"}
    dataset = {"name": facts.data_name, "type": "custom", "split": "validation"}
    values = [{"type": f.kind, "name": f.name, "value": f.value} for f in found if f.kind]
    index = [{"name": _title(facts), "results": [_result(task, dataset, values)]}]
    tags = ["presize", "image-classification"]
    if facts.file.architecture.get("source") in ("torchvision", "timm"):
        tags.append(str(facts.file.architecture["source"]))
    return front_matter(
        {
            "license": license,
            "library_name": "presize",
            "pipeline_tag": "image-classification",
            "tags": tags,
            "metrics": [v["type"] for v in values] or None,
            "model-index": index if values else None,
        }
    )


def _result(task: Any, dataset: Any, metrics: Any) -> dict[str, Any]:
    return {"task": task, "dataset": dataset, "metrics": metrics}


def _head(facts: _Facts) -> str:
    n = len(facts.vocab)
    spec, known = facts.file.architecture, facts.record.model
    size = known.get("parameters")
    count = f", {plain(size)} parameters" if size else ""
    kind = _KINDS.get(str(facts.file.data.get("task")), "an answer")
    shown = ", ".join(plain(name) for name in facts.vocab[:_NAMED])
    more = f" and {n - _NAMED:,} more" if n > _NAMED else ""
    told = f" of {n:,}: {shown}{more}" if n else ""
    name = plain(spec.get("name") or "network")
    return (
        f"# {plain(_title(facts))}\n\nThis model gives a picture {kind}{told}.\n\nIt is a {name}"
        f"{count}, trained with presize."
    )


def _use(facts: _Facts) -> str:
    own = facts.file.architecture.get("source") == "custom"
    network = ", model=MyNetwork()" if own else ""
    extra, call = "", f'load_learner("model.safetensors"{network})'
    if facts.on_hub:
        extra, call = "[hub]", f"from_hub({json.dumps(facts.name)}{network})"
    lines = [
        "## Use",
        "",
        "```python",
        f"# pip install 'presize{extra}'",
        f"from presize import {call.partition('(')[0]}",
        "",
        f"learn = {call}",
        'label, number, probabilities = learn.predict("picture.jpg")',
        "```",
    ]
    if own:
        lines += ["", "The network is its author's own, and the file holds no code: pass it in."]
    return "\n".join(lines)


def _how_well(facts: _Facts) -> str:
    answers = facts.answers
    found = figures(answers) or last_figures(facts.record)
    if not found:
        return "## How well it does\n\nNothing is known of it: no figures are in the model file."
    n = facts.record.data.splits.get("valid") if answers is None else answers.n
    judged = f" on {n:,} pictures that it was not trained on" if n else ""
    when = "Measured" if answers is not None else "Measured at the end of training"
    rows = [(f.name, Marked(f.text)) for f in found]
    lines = ["## How well it does", "", f"{when}{judged}."]
    lines += ["", table(["Figure", "Value"], rows)]
    if facts.report:
        lines += [
            "",
            "More is in the [report](report.html): download it, and open it in a browser.",
        ]
    if answers is not None:
        lines += ["", class_table(answers)]
    return "\n".join(lines)


def _confidence(facts: _Facts) -> str:
    if facts.file.calibration is None:
        return (
            "## Confidence\n\nThe model was not calibrated: its probabilities may be too high or "
            "too low."
        )
    told = Calibration.from_dict(facts.file.calibration, facts.file.calibration_tensors)
    text = (
        f"## Confidence\n\nProbabilities are calibrated, on {told.n:,} pictures, with a "
        f"temperature of {told.temperature:.3g}: the calibration error went from "
        f"{told.before.ece:.4f} to {told.after.ece:.4f}."
    )
    if told.unknown is None:
        return text
    return (
        f"{text} The model can say that a picture is none of its classes, "
        f"`predict(item, with_unknown=True)`, judged by {told.unknown}; it takes "
        f"{told.coverage:.4g} of known pictures for known."
    )


def _training(facts: _Facts) -> str:
    record = facts.record
    if not record.fits and not record.data.splits:
        return ""
    rows: list[tuple[str, str]] = []
    counts = ", ".join(f"{n:,} for {name}" for name, n in record.data.splits.items())
    rows.append(("Data", f"{facts.data_name}: {counts}" if counts else facts.data_name))
    for fit in record.fits:
        epochs = f"{len(fit.rows)} epoch{'s' * (len(fit.rows) != 1)}"
        rows.append(("Fit", f"{fit.method}: {fit.trained}; {epochs}, {fit.n_steps:,} steps"))
    for name, value in record.model.items():
        rows.append(("Model" if name == "name" else name.capitalize(), value))
    rows.append(("Pictures", _pictures(facts.file.data)))
    if record.seed is not None:
        rows.append(("Seed", str(record.seed)))
    if record.started:
        rows.append(("Trained", record.started[:10]))
    return "## How it was trained\n\n" + table(["What", "Value"], rows).replace(" ---: |", " --- |")


def _pictures(data: dict[str, Any]) -> str:
    """Return how pictures are treated before the model sees them, from the names in the file."""
    said: list[str] = []
    for arguments in _arguments(data.get("after_item")) + _arguments(data.get("after_batch")):
        size = arguments.get("size")
        if isinstance(size, list) and len(size) == 2:
            sized = f"{size[0]} by {size[1]}"
            if not said or said[-1] != sized:
                said.append(sized)
    return f"resized to {', then '.join(said)} (height by width)" if said else "in their own size"


def _arguments(pipeline: Any) -> list[dict[str, Any]]:
    """Return the arguments of the transforms of a pipeline, of whatever a file says one is."""
    steps = pipeline if isinstance(pipeline, list) else []
    found = [step.get("arguments") for step in steps if isinstance(step, dict)]
    return [arguments for arguments in found if isinstance(arguments, dict)]


def _limits(facts: _Facts) -> str:
    data = f' (the data "{plain(facts.data_name)}")' if facts.record.data.source else ""
    limits = [
        f"It was made for pictures like those that it was trained on{data}. On others its "
        "figures do not hold: measure first.",
    ]
    if facts.file.drift_tensors:
        limits[0] += (
            " The file says what is usual of its pictures: `presize predict --drift` tells when "
            "others come in."
        )
    if facts.answers is not None or last_figures(facts.record):
        limits.append(
            "The figures are those of a validation set. If it served to choose the model as well, "
            "they are a little too good."
        )
    unknown = (facts.file.calibration or {}).get("unknown")
    if facts.file.data.get("task") == "classification" and not unknown:
        limits.append("It gives every picture one of its classes, even if it shows none of them.")
    if facts.answers is not None:
        limits += facts.answers.limits()
    return "\n".join(["## Limits", "", *(f"- {line}" for line in limits)])


def _file(facts: _Facts) -> str:
    known = facts.record.environment | facts.file.versions
    shown: Sequence[str] = [n for n in ("presize", "Python", "torch", "torchvision") if n in known]
    made = ", ".join(f"{plain(n)} {plain(known[n])}" for n in shown)
    text = (
        "## The file\n\n`model.safetensors` holds numbers and JSON, and no code: nothing in it is "
        f"run when it is opened. Made with {made or 'presize'}."
    )
    return text if facts.sha256 is None else f"{text}\n\nIts SHA-256: `{facts.sha256}`"


def sha256(path: AnyPath) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
