"""`export_program`: a model as torch.export writes it, compared with PyTorch before it stays."""

import json
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from presize.core.progress import working
from presize.deploy.exporting.metadata import metadata_of
from presize.deploy.exporting.onnx_graph import followed, pixels_example, quiet_exporters
from presize.deploy.exporting.report import ExportReport, Findings
from presize.deploy.exporting.subject import Subject, subject_of
from presize.deploy.exporting.verify import (
    Whole,
    check_pixels,
    check_random,
    check_real,
    milliseconds,
    network_of,
    not_exportable,
    preprocessing_of,
)
from presize.deploy.exporting.writing import with_suffix, write_whole

if TYPE_CHECKING:
    from presize.deploy.predictor import Predictor
    from presize.learner import Learner

METADATA = "presize.json"
_RUNTIME = "the reloaded program"
# Lines of source and paths of this machine, half of a small file.
_TRACES = ("stack_trace", "source_fn_stack", "torch_fn", "from_node")


def export_program(
    source: "Learner | Predictor | str | AnyPath",
    path: str | AnyPath = "model.pt2",
    *,
    preprocessing: bool = False,
    samples: Any = None,
    tolerance: float = 1e-4,
    quiet: bool = False,
) -> ExportReport:
    """Write a program of `torch.export` that answers with probabilities, of batches of any number.

    Before it is there it is loaded again, runs on real pictures and on random inputs, in batches
    of several sizes, and is compared with the network. What was found is printed, returned, and
    stored in the file, as the JSON `presize.json` among its extra files.

    `torch.export.load` may unpickle parts of such a file: load those of people you trust, and
    share the model file or ONNX.

    Args:
        source: a learner, a predictor, or the path of a model file.
        path: the file to write.
        preprocessing: let it take decoded pictures, uint8 [batch, height, width, 3], RGB, of any
            size; see `export_onnx`.
        samples: pictures to compare with, or a folder of them; by default those of the validation
            set, and without one some that are made up.
        tolerance: the largest difference of a probability that is let through.
        quiet: print nothing.

    Raises:
        ExportError: the exporter cannot follow the network; or the program does not answer as the
            model does, and was not written.
        ValueError: a path with another ending.
    """
    target = with_suffix(path, ".pt2")
    found: list[Findings] = []

    def write(part: AnyPath) -> None:
        first = preprocessing_of(subject) if preprocessing else None
        module = subject.network if first is None else Whole(first, subject.network)
        work.rename("exporting: following the network")
        program = _program(module, subject, preprocessing=preprocessing)
        # Twice: what is stored includes what the first reading found.
        _save(program, part, {})
        work.rename("exporting: comparing with PyTorch")
        found.append(_checked(part, subject, module, tolerance, preprocessing=preprocessing))
        values = metadata_of(
            subject, preprocessing=preprocessing, quantised="none", check=found[0].to_dict()
        )
        _save(program, part, values)

    with working("exporting: asking the learner", show=False if quiet else None, delay=0) as work:
        subject = subject_of(source, samples)
        write_whole(target, write)
    report = ExportReport.of(target, "pt2", found[0])
    if not quiet:
        print(report)
    return report


def _program(module: nn.Module, subject: Subject, *, preprocessing: bool) -> Any:
    example = pixels_example(subject.fixed) if preprocessing else subject.example()
    try:
        program = followed(module, example, sides=preprocessing and subject.fixed is None)
    except Exception as error:  # the exporter raises errors of many kinds
        raise not_exportable(subject, error, "torch.export") from error
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                for trace in _TRACES:
                    node.meta.pop(trace, None)
    return program


def _save(program: Any, path: AnyPath, values: dict[str, str]) -> None:
    with quiet_exporters(), path.open("wb") as file:
        torch.export.save(program, file, extra_files={METADATA: json.dumps(values)})


def _checked(
    path: AnyPath, subject: Subject, module: nn.Module, tolerance: float, *, preprocessing: bool
) -> Findings:
    """Return how far what was written agrees with PyTorch, read from its file."""
    with quiet_exporters(), path.open("rb") as file:
        again = torch.export.load(file).module()
    run, pictures = network_of(again), subject.pictures
    one = pictures.decoded(0) if preprocessing else pictures.inputs[:1]
    torch_ms, file_ms = milliseconds(network_of(module), one), milliseconds(run, one)
    prepared = None
    if preprocessing:
        pixels = check_pixels(run, subject, module, tolerance, _RUNTIME)
        real, random, prepared = pixels.real, pixels.random, pixels.prepared
    else:
        real = check_real(run, subject, tolerance, _RUNTIME)
        random = check_random(run, subject, tolerance, _RUNTIME)
    return Findings(
        source=pictures.source,
        real=real,
        random=random,
        prepared=prepared,
        torch_ms=torch_ms,
        file_ms=file_ms,
    )
