"""`export_onnx`: a model for onnxruntime, compared with PyTorch before it is written."""

from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any, get_args

from presize.core.errors import did_you_mean
from presize.core.progress import working
from presize.data.extras import extra_library
from presize.deploy.exporting.metadata import metadata_of
from presize.deploy.exporting.onnx_graph import (
    described,
    joined,
    network_graph,
    onnx_run,
    preprocessing_graph,
)
from presize.deploy.exporting.report import ExportReport, Findings, Quantise
from presize.deploy.exporting.subject import CHECKED, Subject, subject_of
from presize.deploy.exporting.verify import (
    Whole,
    check_pixels,
    check_random,
    check_real,
    milliseconds,
    network_of,
    preprocessing_of,
)
from presize.deploy.exporting.writing import with_suffix, write_whole

if TYPE_CHECKING:
    from presize.deploy.predictor import Predictor
    from presize.learner import Learner

_JUDGED = 500  # validation pictures that int8 is judged by, at most
_RUNTIME = "onnxruntime"


def export_onnx(
    source: "Learner | Predictor | str | AnyPath",
    path: str | AnyPath = "model.onnx",
    *,
    preprocessing: bool = False,
    quantise: Quantise = "none",
    samples: Any = None,
    tolerance: float = 1e-4,
    most_lost: float = 0.05,
    opset: int = 18,
    quiet: bool = False,
) -> ExportReport:
    """Write an ONNX file that answers with probabilities, of batches of any number.

    Before it is written it runs in onnxruntime, on real pictures and on random inputs, in batches
    of several sizes, and is compared with PyTorch. What was found is printed, returned, and stored
    in the metadata of the file, beside the classes, the size and the normalisation.

    Args:
        source: a learner, a predictor, or the path of a model file.
        path: the file to write.
        preprocessing: let the file take decoded pictures, uint8 [batch, height, width, 3], RGB, of
            any size, and resize, cut and normalise them as validation does. Else it takes what the
            model sees, float32 [batch, channels, height, width].
        quantise: 8-bit integers. "dynamic" for linear layers alone, which is for transformers: the
            range of what flows between them is measured anew for each batch. "static" for
            convolutions as well, with ranges that are measured on training pictures. What it
            costs in accuracy is measured on the validation set.
        samples: pictures to compare with, or a folder of them; by default those of the validation
            set, and without one some that are made up.
        tolerance: the largest difference of a probability that is let through, in float32.
        most_lost: the accuracy that int8 may lose, 0..1; without labels, the part of pictures that
            may get another answer.
        opset: the version of ONNX's operators.
        quiet: print nothing.

    Raises:
        ImportError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: the exporter cannot follow the network; or the file does not answer as the
            model does, and was not written.
        ValueError: an unknown `quantise`, or a path with another ending.
    """
    if quantise not in get_args(Quantise):
        raise ValueError(
            f"quantise= is one of {', '.join(map(repr, get_args(Quantise)))}, but got "
            f"{quantise!r}.{did_you_mean(quantise, get_args(Quantise))}"
        )
    target = with_suffix(path, ".onnx")
    for name in ("onnx", "onnxscript", "onnxruntime"):
        extra_library(name, extra="onnx", what="Exporting to ONNX")
    with working("exporting: asking the learner", show=False if quiet else None, delay=0) as work:
        subject = subject_of(source, samples, checked=CHECKED if quantise == "none" else _JUDGED)
        work.rename("exporting: following the network")
        model = network_graph(subject, opset)
        work.rename("exporting: comparing with PyTorch")
        found, front = _checked(model, subject, tolerance), None
        if preprocessing:
            work.rename("exporting: following the preprocessing")
            front, found.prepared = _front(subject, model, tolerance, opset)
        if quantise != "none":
            from presize.deploy.exporting.quantise import quantised_model

            work.rename("exporting: going to 8 bits")
            model, found.quantisation = quantised_model(model, subject, quantise, most_lost)
        values = metadata_of(
            subject, preprocessing=preprocessing, quantised=quantise, check=found.to_dict()
        )
        data = described(model if front is None else joined(front, model), values)
        onnx_run(data)  # it loads as it will be written
    write_whole(target, lambda part: part.write_bytes(data))
    report = ExportReport.of(target, "onnx", found)
    if not quiet:
        print(report)
    return report


def _checked(model: Any, subject: Subject, tolerance: float) -> Findings:
    """Return how far the model of the network agrees with PyTorch."""
    run, one = onnx_run(model), subject.pictures.inputs[:1]
    return Findings(
        source=subject.pictures.source,
        real=check_real(run, subject, tolerance, _RUNTIME),
        random=check_random(run, subject, tolerance, _RUNTIME),
        torch_ms=milliseconds(network_of(subject.network), one),
        file_ms=milliseconds(run, one),
    )


def _front(subject: Subject, model: Any, tolerance: float, opset: int) -> tuple[Any, Any]:
    """Return the model of the preprocessing, and how far pixels get the learner's answers."""
    first = preprocessing_of(subject)
    front = preprocessing_graph(first, subject.fixed, opset)
    run = onnx_run(joined(front, model))
    whole = Whole(first, subject.network)
    return front, check_pixels(run, subject, whole, tolerance, _RUNTIME).prepared
