"""8-bit integers in an ONNX model, and what they cost: accuracy before and after, size and time."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from presize.core.errors import ExportError
from presize.data.extras import extra_library
from presize.deploy.exporting.compare import agreement, in_batches
from presize.deploy.exporting.metadata import INPUT
from presize.deploy.exporting.onnx_graph import in_bytes, onnx_run, quiet_exporters
from presize.deploy.exporting.report import Quantisation
from presize.deploy.exporting.subject import Subject
from presize.deploy.exporting.verify import first_line, milliseconds

Mode = Literal["dynamic", "static"]

_LAYERS = ("Gemm", "MatMul", "Conv", "Add")
_MEASURED = 128  # training pictures that tell the ranges of what flows between layers


def quantised_model(
    model: Any, subject: Subject, mode: Mode, most_lost: float
) -> tuple[Any, Quantisation]:
    """Return a model with 8-bit integers, and what that cost and gained.

    Args:
        model: the ONNX model of the network.
        subject: what is exported.
        mode: "dynamic" or "static", see `export_onnx`.
        most_lost: the accuracy that may be lost, 0..1; of answers, where there are no labels.

    Raises:
        ExportError: it loses more, or cannot be quantised.
    """
    try:
        with quiet_exporters():
            smaller = _smaller(model, subject, mode)
    except Exception as error:  # the quantiser raises errors of many kinds
        raise ExportError(
            f'This network cannot be quantised ("{mode}"): {first_line(error)}. '
            'Export it with quantise="none".'
        ) from error
    before, after = onnx_run(model), onnx_run(smaller)
    inputs, targets = subject.pictures.inputs, subject.pictures.targets
    told, tells = (in_batches(run, inputs, (16,)) for run in (before, after))
    found = Quantisation(
        mode=mode,
        accuracy_before=_accuracy(told, targets, subject.task),
        accuracy_after=_accuracy(tells, targets, subject.task),
        size_before=len(in_bytes(model)),
        size_after=len(in_bytes(smaller)),
        ms_before=milliseconds(before, inputs[:1]),
        ms_after=milliseconds(after, inputs[:1]),
        agreement=agreement(told, tells, subject.pictures.names, subject.task, tie=0.0),
    )
    _check_lost(found, most_lost)
    return smaller, found


def _check_lost(found: Quantisation, most_lost: float) -> None:
    lost = found.lost
    what = f"{found.accuracy_before} -> {found.accuracy_after} of accuracy on validation pictures"
    if lost is None:
        lost = 1 - found.agreement.share
        what = f"{lost:.3g} of the pictures get another answer"
    # `not <=`: an answer that is no number is none.
    if not lost <= most_lost or not torch.tensor(found.agreement.largest).isfinite():
        raise ExportError(
            f"int8 ({found.mode}) costs this model too much, so nothing was written: {what}, where "
            f"a loss of {most_lost:.3g} is let through (most_lost=). "
            + ('Try quantise="dynamic", ' if found.mode == "static" else 'Try quantise="static", ')
            + "or stay with float32."
        )


def _accuracy(preds: Tensor, targets: Tensor | None, task: str) -> float | None:
    """Return the part of pictures with the right class, or of labels that are right."""
    if targets is None or task not in ("classification", "multilabel"):
        return None
    if task == "multilabel":
        return float(((preds > 0.5) == (targets > 0.5)).double().mean())
    return float((preds.argmax(1) == targets).double().mean())


class _Batches:
    """What the quantiser reads to see the ranges of values."""

    def __init__(self, inputs: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(inputs.split(8))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch by the name of the input; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def _smaller(model: Any, subject: Subject, mode: Mode) -> Any:
    import onnx

    quantiser: Any = extra_library("onnxruntime.quantization", extra="onnx", what="quantise=")
    shapes: Any = extra_library(
        "onnxruntime.quantization.shape_inference", extra="onnx", what="quantise="
    )
    kinds = quantiser.QuantType
    with tempfile.TemporaryDirectory() as folder:
        first, ready, last = (str(Path(folder) / f"{i}.onnx") for i in range(3))
        Path(first).write_bytes(in_bytes(model))
        shapes.quant_pre_process(first, ready, skip_symbolic_shape=True)
        fused = onnx.load(ready)
        # Shapes that were noted are wrong once layers are fused; they are found again.
        fused.graph.ClearField("value_info")
        Path(ready).write_bytes(in_bytes(fused))
        behind = _behind_scores(fused)
        if mode == "dynamic":
            # Convolutions stay: with one range for all channels a MobileNetV2 fell from 0.916 to
            # 0.246 of accuracy (500 photos), and took twice the time.
            quantiser.quantize_dynamic(
                ready,
                last,
                op_types_to_quantize=["MatMul", "Gemm"],
                weight_type=kinds.QUInt8,
                nodes_to_exclude=behind,
            )
        else:
            quantiser.quantize_static(
                ready,
                last,
                _Batches(subject.some_of_training(_MEASURED)),
                nodes_to_exclude=behind,
                per_channel=True,
                # Without it sums of products of 8 bits overflow 16 on processors before 2019.
                reduce_range=True,
                activation_type=kinds.QUInt8,
                weight_type=kinds.QInt8,
            )
        return onnx.load(last)


def _behind_scores(model: Any) -> list[str]:
    """Return the nodes from the scores to the probabilities, which stay floats.

    256 levels of a probability would not sum to 1, nor tell 0.999 from 1.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    found, name = [], model.graph.output[0].name
    while (node := makers.get(name)) is not None and node.op_type not in _LAYERS:
        found.append(node.name)
        name = node.input[0]
    return found
