"""`presize report`: a model file and labelled pictures become one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from presize.cli.messages import print_json, told_aside
from presize.cli.options import AsJson, LabelDelim, Pattern


def report(
    model: Annotated[Path, typer.Argument(help="A .safetensors file of `presize train`.")],
    data: Annotated[
        str,
        typer.Argument(
            help="Labelled pictures: a folder as `presize train` takes it, `digits`, or a CSV file "
            "of pictures and labels.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="The heading of the page.")] = None,
    pattern: Pattern = None,
    label_delim: LabelDelim = None,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures in a section, at most.")] = 12,
    label_errors: Annotated[bool, typer.Option(help="List labels that are probably wrong.")] = True,
    heat_maps: Annotated[
        bool, typer.Option(help="Show what the model looked at, where it was most wrong.")
    ] = True,
    check: Annotated[
        bool, typer.Option(help="Look for broken and doubled pictures, which reads all of them.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on a model: its training, how well it does, where it errs.

    The model is judged by the pictures that DATA sets apart for validation
    (a folder valid/, val/ or test/, or the column is_valid); else by those
    that it was judged by when it was trained; else by all of them.
    The page needs no network and no other file, and takes less than 5 MB.
    """
    import matplotlib

    from presize.cli.source import source_of
    from presize.deploy.labelled import load_with_data
    from presize.interpret.report.write import write_report

    matplotlib.use("Agg")  # there may be no screen
    with told_aside(as_json):
        source = source_of(data, tables=True)
        learn = load_with_data(model, source, pattern=pattern, label_delim=label_delim)
        page = write_report(
            learn,
            out.absolute(),
            title=title,
            label_errors=label_errors,
            heat_maps=heat_maps,
            check=check,
            k=pictures,
        )
    size = page.stat().st_size
    if as_json:
        print_json({"report": str(out), "bytes": size, "pictures": len(learn.dls.valid_ds)})
    else:
        typer.echo(f"report     {out}  ({size / 1e6:.1f} MB; open it in a browser)")
