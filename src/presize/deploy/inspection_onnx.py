"""What presize wrote into an ONNX model, and what the graph says of itself."""

import json
import math
from collections import Counter
from pathlib import Path as AnyPath
from typing import Any

from presize.core.errors import ModelFileError
from presize.data.extras import extra_library
from presize.deploy.model_facts import ModelFacts

_NESTED = 300  # brackets in a value that is read as JSON: so many may be in each other
# Which field of the facts tells which key of presize's metadata, if it is of this type.
_KNOWN: tuple[tuple[str, str, type], ...] = (
    ("classes", "vocab", list),
    ("task", "task", str),
    ("architecture", "architecture", dict),
    ("normalisation", "normalisation", dict),
)


def inspect_onnx(path: AnyPath) -> ModelFacts:
    """Return what is in an ONNX model; nothing of it is run, and no other file is read.

    Raises:
        ImportError: the package onnx is not installed.
        ModelFileError: it cannot be read.
    """
    onnx = extra_library("onnx", extra="onnx", what="Looking into an ONNX model")
    try:
        model = onnx.load(str(path), load_external_data=False)
        told = {p.key: _value(p.value) for p in model.metadata_props}
        opsets = {one.domain or "ai.onnx": one.version for one in model.opset_import}
        weights = model.graph.initializer
        outside = any(one.data_location == onnx.TensorProto.EXTERNAL for one in weights)
        more = {
            "opset": opsets,
            "inputs": {one.name: _shape(one) for one in model.graph.input},
            "outputs": {one.name: _shape(one) for one in model.graph.output},
        }
        kinds = Counter(onnx.TensorProto.DataType.Name(one.data_type) for one in weights)
        parameters = sum(math.prod(one.dims) for one in weights)
        producer = {model.producer_name: model.producer_version} if model.producer_name else {}
        version = int(model.ir_version)
    except Exception as error:  # protobuf's errors, of a library that may not be there
        raise ModelFileError(
            f"{path} cannot be read as an ONNX model: {error!s:.200}. It was cut short, or is "
            "something else: copy or download it again."
        ) from error
    facts = ModelFacts(file=str(path), kind="onnx", size=path.stat().st_size, format=version)
    facts.written_by, facts.parameters, facts.tensors = producer, parameters, dict(kinds)
    for name, key, kind in _KNOWN:
        if isinstance(told.get(key), kind):
            setattr(facts, name, told.pop(key))
    if "presize" in told:
        facts.written_by = {"presize": str(told.pop("presize"))} | facts.written_by
    facts.more = more | told
    if outside:
        facts.warnings.append(
            "its weights are in another file beside it, which has to go with it wherever it goes"
        )
    return facts


def _value(text: str) -> Any:
    """Return what JSON says, where a value is JSON; else the text."""
    try:
        return json.loads(text) if max(text.count("["), text.count("{")) < _NESTED else text
    except ValueError:
        return text


def _shape(one: Any) -> list[Any]:
    return [d.dim_param or d.dim_value for d in one.type.tensor_type.shape.dim]
