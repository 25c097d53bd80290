"""`inspect_file`: what is inside a model file, without building anything of it."""

import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path as AnyPath
from typing import Any

import torch
from torch import Tensor

from presize.core.file_kind import file_kind
from presize.deploy.model_facts import ModelFacts
from presize.train.checksums import OF_HEADER, OF_TENSORS, digest_of, header_digest
from presize.train.model_file import BESIDE, FORMAT, KIND
from presize.train.reading import HEADER, add_aliases, opened, our_header
from presize.train.training_record import TrainingRecord

_WAY_OUT = "copy or download it again"
# What a network counts and averages while it trains, and no optimizer changes.
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_WEIGHTS, _OPTIMIZER = "model.", "optimizer."


def inspect_file(path: str | os.PathLike[str]) -> ModelFacts:
    """Say what is in a file: a model, a checkpoint, weights, predictions, or an ONNX model.

    Nothing in it is built or run. Tensors are read one after the other for their checksum, and
    nothing is kept of them. What is wrong with a file of presize's is told in `warnings`.

    Raises:
        FileNotFoundError: there is no such file; near names are shown.
        ModelFileError: it is a file of another kind (says which), or is cut short.
        ImportError: it is an ONNX model, and the package onnx is not installed.
    """
    file = AnyPath(path)
    if file.is_file() and file_kind(file).kind == "onnx":
        from presize.deploy.inspection_onnx import inspect_onnx  # for the few who have one

        return inspect_onnx(file)
    with opened(file, _WAY_OUT) as content:
        metadata = content.metadata()
        entries = {name: content.get_slice(name) for name in content.keys()}  # noqa: SIM118
        shapes = {name: tuple(entry.get_shape()) for name, entry in entries.items()}
        types = Counter(str(entry.get_dtype()) for entry in entries.values())
        facts = ModelFacts(
            file=str(file), kind="weights", size=file.stat().st_size, tensors=dict(types)
        )
        if HEADER not in (metadata or {}):
            facts.parameters = _parameters(shapes)
            facts.more = {str(name): str(value)[:200] for name, value in (metadata or {}).items()}
            return facts
        header = our_header(file, metadata)
        sizes = {
            name: torch.empty(shapes[name], device="meta", dtype=torch.uint8) for name in shapes
        }
        add_aliases(file, sizes, header["aliases"])
        _fill(facts, header["meta"], {name: tuple(t.shape) for name, t in sizes.items()})
        if facts.kind == KIND:
            named = header["aliases"]

            def tensor(name: str) -> Tensor:
                found: Tensor = content.get_tensor(named.get(name, name))
                return found

            _check(facts, header["meta"], digest_of(sizes, tensor))
    return facts


def _fill(facts: ModelFacts, meta: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    kind, version = meta.get("kind"), meta.get("format")
    facts.kind = kind if isinstance(kind, str) else "safetensors file of another program"
    facts.format = version if type(version) is int else None
    facts.written_by = {k: str(v) for k, v in _dict(meta, "versions").items()}
    if facts.kind == KIND:
        beside = tuple(f"{part}:" for part in BESIDE)
        facts.parameters = _parameters(
            {name: shape for name, shape in shapes.items() if not name.startswith(beside)}
        )
        _model(facts, meta)
        return
    weights = {n: s for n, s in shapes.items() if n.startswith(_WEIGHTS)}
    facts.parameters = _parameters(weights) if weights else None
    for name in ("epoch", "batch", "n_epoch", "of", "split"):
        if isinstance(meta.get(name), int | str):
            facts.more[name] = meta[name]
    vocab = meta.get("vocab")
    facts.classes = vocab if isinstance(vocab, list) else None
    if "optimizer" in meta:
        state = sum(math.prod(s) for n, s in shapes.items() if n.startswith(_OPTIMIZER))
        facts.more["optimizer"] = f"its averages, {state:,} numbers"
    if facts.kind == "presize predictions" and "losses" in shapes:
        facts.more["items"] = math.prod(shapes["losses"])


def _model(facts: ModelFacts, meta: dict[str, Any]) -> None:
    facts.architecture = _dict(meta, "architecture")
    loss = meta.get("loss")
    facts.loss = loss if isinstance(loss, str) else None
    facts.calibration = _dict(meta, "calibration") or None
    facts.drift = _dict(meta, "drift") or None
    data = _dict(meta, "data")
    task = data.get("task")
    facts.task = task if isinstance(task, str) else None
    facts.transforms = [
        one for stage in ("after_item", "after_batch") for one in _steps(data.get(stage))
    ]
    for one in facts.transforms:
        _look_at(facts, one["arguments"])
    targets = data.get("targets")
    for group in targets if isinstance(targets, list) else []:
        for one in _steps(group):
            vocab = one["arguments"].get("vocab")
            if isinstance(vocab, list):
                facts.classes = vocab
    try:
        facts.training = _training(TrainingRecord.from_dict(_dict(meta, "training")))
    except (TypeError, ValueError) as error:
        facts.warnings.append(f"what it says of its training is not valid: {error}")


def _look_at(facts: ModelFacts, arguments: dict[str, Any]) -> None:
    size = arguments.get("size")
    if isinstance(size, int):
        size = [size, size]
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size):
        facts.picture_size = (size[0], size[1])
    mean, std = arguments.get("mean"), arguments.get("std")
    if isinstance(mean, list) and isinstance(std, list):
        facts.normalisation = {"mean": mean, "std": std}


def _steps(described: Any) -> list[dict[str, Any]]:
    """Return the transforms of a list that have a name and arguments."""
    steps = described if isinstance(described, list) else []
    return [
        one
        for one in steps
        if isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("arguments"), dict)
    ]


def _training(record: TrainingRecord) -> dict[str, Any] | None:
    rows = [(fit.names, row) for fit in record.fits for row in fit.rows]
    if not rows and not record.data.splits:
        return None
    names, last = rows[-1] if rows else ([], [])
    return {
        "epochs": len(rows),
        "metrics": {n: v for n, v in zip(names, last, strict=False) if n not in ("epoch", "time")},
        "items": record.data.splits,
        "seed": record.seed,
        "started": record.started,
        "source": record.data.source,
        "command": record.command,
        "environment": record.environment,
    }


def _check(facts: ModelFacts, meta: dict[str, Any], found: str) -> None:
    told = meta.get(OF_HEADER)
    facts.checksums = {
        "tensors": found == meta.get(OF_TENSORS),
        "header": None if told is None else told == header_digest(meta),
    }
    for part, right in facts.checksums.items():
        if right is False:
            facts.warnings.append(
                f"the {part} were changed or damaged since the file was written: their SHA-256 is "
                "another one. load_learner refuses it"
                if part == "tensors"
                else "the header was changed since the file was written: its SHA-256 is another "
                "one. load_learner refuses it"
            )
    if facts.format is None or facts.format > FORMAT:
        facts.warnings.append(
            f"it has the format {facts.format}, and this presize reads formats up to {FORMAT}: "
            "upgrade presize"
        )


def _parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(math.prod(s) for n, s in shapes.items() if not n.endswith(_BUFFERS))


def _dict(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = meta.get(name)
    return value if isinstance(value, dict) else {}
