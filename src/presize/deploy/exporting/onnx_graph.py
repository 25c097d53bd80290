"""Making, joining, running and describing ONNX graphs."""

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
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
_AXES = ("batch", "height", "width")


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Keep to themselves what the exporters tell their own developers."""
    loud = [logging.getLogger(name) for name in ("torch", "onnxscript", "onnx_ir", "root")]
    before = [logger.level for logger in loud]
    told = io.StringIO()  # where they cannot follow a network, they print its whole graph
    with warnings.catch_warnings(), redirect_stdout(told), redirect_stderr(told):
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
    try:
        return _traced(subject.network, subject.example(), (INPUT, OUTPUT), opset)
    except ExportError:
        raise
    except Exception as error:  # exporters raise errors of many kinds
        raise not_exportable(subject, error, "PyTorch's exporter to ONNX") from error


def preprocessing_graph(first: nn.Module, fixed: HW | None, opset: int) -> Any:
    """Return the ONNX model of the preprocessing, from decoded pictures to what the model sees."""
    return _traced(first, pixels_example(fixed), (INPUT, _BETWEEN), opset, sides=fixed is None)


def pixels_example(fixed: HW | None) -> Tensor:
    """Return decoded pictures for an exporter to follow: uint8 [2,h,w,3]."""
    return torch.zeros((2, *(fixed or (47, 41)), 3), dtype=torch.uint8)


def followed(module: nn.Module, example: Tensor, *, sides: bool = False) -> Any:
    """Return a module as torch.export follows it, for batches of any number.

    Args:
        module: what is followed.
        example: a batch.
        sides: let height and width, the axes 1 and 2, be any as well.
    """
    axes = _AXES[: 3 if sides else 1]
    shapes = {i: torch.export.Dim(name) for i, name in enumerate(axes)}
    with quiet_exporters():
        return torch.export.export(module, (example,), dynamic_shapes=(shapes,))


def _traced(
    module: nn.Module, example: Tensor, names: tuple[str, str], opset: int, *, sides: bool = False
) -> Any:
    program = followed(module, example, sides=sides)
    with quiet_exporters():
        made = torch.onnx.export(
            program,
            opset_version=opset,
            dynamo=True,
            verbose=False,
            input_names=[names[0]],
            output_names=[names[1]],
        )
    assert made is not None
    model = made.model_proto
    _check_opset(model, opset)
    _name_axes(model.graph)
    return model


def _check_opset(model: Any, opset: int) -> None:
    """Raise ExportError if the exporter took another opset, which it does without a word."""
    written = {one.domain: one.version for one in model.opset_import}[""]
    if written != opset:
        raise ExportError(
            f"The exporter writes operators of opset {written} where opset={opset} was asked for. "
            f"Give another one; opset={written} works."
        )


def _name_axes(graph: Any) -> None:
    """Call what varies batch, height and width, where the exporter numbers it."""
    # Between the layers shapes are expressions of these numbers; every runtime finds them itself.
    graph.ClearField("value_info")
    inputs = graph.input[0].type.tensor_type.shape.dim
    names = {dim.dim_param: name for dim, name in zip(inputs, _AXES, strict=False) if dim.dim_param}
    for value in (*graph.input, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]


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
