"""`presize info`: what a report of a problem should say about the installation."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from presize.cli.messages import print_json

# What each extra of the project brings, by the library that it cannot do without.
EXTRAS = {
    "onnx": "onnxruntime",
    "serve": "fastapi",
    "hub": "huggingface_hub",
    "parquet": "pyarrow",
    "notebook": "ipywidgets",
    "track": "tensorboard",
    "webdataset": "webdataset",
    "huggingface": "datasets",
}


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show versions, devices, and where presize keeps its files."""
    if as_json:
        print_json({**facts(), "devices": devices(), "extras": extras()})
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 3))
    for name, value in facts().items():
        table.add_row(name, value)
    for number, device in enumerate(devices()):
        table.add_row(f"GPU {number}", f"{device['name']}, {device['memory'] / 2**30:.0f} GiB")
    there = [f"{name} ({number})" for name, number in extras().items() if number is not None]
    absent = [name for name, number in extras().items() if number is None]
    table.add_row("extras", ", ".join(there) or "none")
    if absent:
        way = f"{', '.join(absent)}: pip install 'presize[{absent[0]}]'"
        table.add_row("not there", Text(way))
    Console().print(table)


def facts() -> dict[str, str]:
    """Return name and value of each fact, in the order they are shown."""
    from presize.core.environment import environment
    from presize.core.paths import cache_dir

    return {**environment(), "files kept in": str(cache_dir())}


def devices() -> list[dict[str, Any]]:
    """Return name and memory, in bytes, of each GPU."""
    import torch

    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [{"name": one.name, "memory": one.total_memory} for one in found]


def extras() -> dict[str, str | None]:
    """Return the version of what each extra of presize brings; None where it is not installed."""
    return {name: _version(library) for name, library in EXTRAS.items()}


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
