"""Making, joining, running and describing ONNX graphs."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from presize.core.errors import ExportError
from presize.core.homography import HW
from presize.data.extras import extra_library
from presize.deploy.exporting.compare import Run
from presize.deploy.exporting.metadata import INPUT, OUTPUT
from presize.deploy.exporting.subject import Subject
from presize.deploy.exporting.verify import not_exportable

_MOST_BYTES = 2**31 - 2**20  # of one ONNX file
_BETWEEN = "prepared"


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Keep to themselves what the exporters tell their own developers."""
    loud = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    before = [logger.level for logger in loud]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loud, before, strict=True):
                logger.setLevel(level)


def network_graph(subject: Subject, opset: int) -> Any:
    """Return the ONNX model of the network, from what it sees to probabilities."""
    batch = torch.export.Dim("batch")
    try:
        return _traced(subject.network, subject.example(), {0: batch}, (INPUT, OUTPUT), opset)
    except Exception as error:  # exporters raise errors of many kinds
        raise not_exportable(subject, error, "PyTorch's exporter to ONNX") from error


def preprocessing_graph(first: nn.Module, fixed: HW | None, opset: int) -> Any:
    """Return the ONNX model of the preprocessing, from decoded pictures to what the model sees."""
    sides = {} if fixed else {1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    example = torch.zeros((2, *(fixed or (331, 277)), 3), dtype=torch.uint8)
    shapes = {0: torch.export.Dim("batch"), **sides}
    return _traced(first, example, shapes, (INPUT, _BETWEEN), opset)


def _traced(
    module: nn.Module, example: Tensor, shapes: dict[int, Any], names: tuple[str, str], opset: int
) -> Any:
    program = torch.onnx.export(
        torch.export.export(module, (example,), dynamic_shapes=(shapes,)),
        opset_version=opset,
        dynamo=True,
        verbose=False,
        input_names=[names[0]],
        output_names=[names[1]],
    )
    assert program is not None
    return program.model_proto


def joined(first: Any, then: Any) -> Any:
    """Return the model that does the preprocessing and then the network."""
    import onnx

    front = onnx.compose.add_prefix(
        first, "prepare/", rename_inputs=False, rename_outputs=False, rename_functions=False
    )
    back = onnx.compose.add_prefix(
        then, "network/", rename_inputs=True, rename_outputs=False, rename_functions=False
    )
    back.ir_version = front.ir_version = max(front.ir_version, back.ir_version)
    return onnx.compose.merge_models(front, back, io_map=[(_BETWEEN, f"network/{INPUT}")])


def onnx_run(model: Any) -> Run:
    """Return an ONNX model as a program that runs in onnxruntime, on the CPU.

    Raises:
        ExportError: onnxruntime cannot load it.
    """
    onnxruntime: Any = extra_library("onnxruntime", extra="onnx", what="Exporting to ONNX")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; the rest is for those who work on graphs
    data = model if isinstance(model, bytes) else in_bytes(model)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own kinds, which share no base
        raise ExportError(
            f"onnxruntime {onnxruntime.__version__} cannot load the exported model: "
            f"{str(error)[:300]}. Give another opset=, or update onnxruntime."
        ) from error

    def run(x: Tensor) -> Tensor:
        made: Tensor = torch.from_numpy(session.run([OUTPUT], {INPUT: x.numpy()})[0])
        return made

    return run


def in_bytes(model: Any) -> bytes:
    """Return a model as the bytes of its file; ExportError if they are too many for one."""
    size = model.ByteSize()
    if size > _MOST_BYTES:
        raise ExportError(
            f"The model has {size / 1e9:.1f} GB, and one ONNX file holds 2 GB at most. Export it "
            'with quantise="dynamic", or with export_program, whose files have no such limit.'
        )
    made: bytes = model.SerializeToString()
    return made


def described(model: Any, values: Mapping[str, str]) -> bytes:
    """Return the bytes of a model with these metadata, and no paths of this machine."""
    import onnx

    for node in model.graph.node:  # stack traces of the exporter: a third of a small file
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.helper.set_model_props(model, dict(values))
    model.producer_name = "presize"
    model.producer_version = values["presize"]
    return in_bytes(model)
