"""`presize export`: a model file becomes ONNX or a program of torch.export, checked."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from presize.cli.messages import print_json, told_aside
from presize.cli.options import DATA, MODEL, RESULTS, AsJson, LabelDelim, Pattern

Model = Annotated[Path, typer.Argument(help="A .safetensors file of `presize train`.")]
To = Annotated[
    Literal["onnx", "pt2"] | None,
    typer.Option(
        help="onnx, for onnxruntime; or pt2, as torch.export writes it. By default what --out "
        "ends with, else onnx.",
        rich_help_panel=RESULTS,
    ),
]
Target = Annotated[
    Path | None,
    typer.Option(
        help="The file to write; by default beside the model, with its name.",
        rich_help_panel=RESULTS,
    ),
]
Preprocessing = Annotated[
    bool,
    typer.Option(
        "--preprocessing",
        help="Take decoded pictures of any size, uint8 RGB; the file resizes, cuts and "
        "normalises them.",
        rich_help_panel=MODEL,
    ),
]
Quantise = Annotated[
    Literal["none", "dynamic", "static"],
    typer.Option(
        help="8-bit integers; what they cost in accuracy is measured on --data.",
        rich_help_panel=MODEL,
    ),
]
Pictures = Annotated[
    str | None,
    typer.Option(
        help="Labelled pictures to compare with: a folder as `presize train` takes it, "
        "`digits`, or a CSV file. Without them the pictures are made up.",
        rich_help_panel=DATA,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        help="The largest difference of a probability let through.", rich_help_panel=MODEL
    ),
]
MostLost = Annotated[
    float,
    typer.Option(help="The accuracy that 8-bit integers may cost, 0 to 1.", rich_help_panel=MODEL),
]


def export(
    model: Model,
    to: To = None,
    out: Target = None,
    preprocessing: Preprocessing = False,
    quantise: Quantise = "none",
    data: Pictures = None,
    pattern: Pattern = None,
    label_delim: LabelDelim = None,
    tolerance: Tolerance = 1e-4,
    most_lost: MostLost = 0.05,
    as_json: AsJson = False,
) -> None:
    """Write a model for other programs: ONNX, or a program of torch.export.

    Before it is written it runs on real pictures and on random inputs, and is
    compared with PyTorch; what does not answer as the model does is not written.
    """
    to = to or ("pt2" if out is not None and out.suffix == ".pt2" else "onnx")
    if quantise != "none" and to != "onnx":
        raise typer.BadParameter("8-bit integers are for --to onnx.", param_hint="--quantise")
    target = out or model.with_suffix(f".{to}")
    options: dict[str, Any] = {"preprocessing": preprocessing, "tolerance": tolerance}
    if to == "onnx":
        options |= {"quantise": quantise, "most_lost": most_lost}
    with told_aside(as_json):
        source = _source(model, data, pattern, label_delim)
        report = _exporter(to)(source, target, **options)  # which prints it
    if as_json:
        print_json(report.to_dict())


def _exporter(to: str) -> Any:
    if to == "onnx":
        from presize.deploy.exporting.onnx import export_onnx

        return export_onnx
    from presize.deploy.exporting.program import export_program

    return export_program


def _source(model: Path, data: str | None, pattern: str | None, label_delim: str | None) -> Any:
    """Return the model file, together with the pictures where there are some."""
    if data is None:
        return model
    from presize.cli.source import source_of
    from presize.deploy.labelled import load_with_data

    source = source_of(data, tables=True)
    return load_with_data(model, source, pattern=pattern, label_delim=label_delim)
