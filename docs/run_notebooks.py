"""Executes the notebooks and saves them with what they print and draw.

    python docs/run_notebooks.py [--out FOLDER] [NAME ...]

Without names all of them, in their place. They need no data: what they do by default they do with
the digits that come along. For the pages of the site `breeds` and `interpretation` are executed
with photos; these variables, and what each makes of them, stand in its first cell of code:

    PRESIZE_NOTEBOOK_DATA     the folder of pictures
    PRESIZE_NOTEBOOK_WEIGHTS  a file of weights, or "default" to fetch the usual ones
    PRESIZE_NOTEBOOK_EPOCHS   how long to train

What they write, they write into a new folder for temporary files.
"""

import argparse
import base64
import io
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).resolve().parent / "notebooks"
NAMES = ("digits", "breeds", "interpretation")
LARGE = 100_000  # bytes of a PNG: drawings stay below, photos lie above


def main() -> None:
    """Execute what the command line names."""
    parser = argparse.ArgumentParser(description="Execute the notebooks and save them.")
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to; else in their place")
    asked = parser.parse_args()
    for name in asked.names:
        notebook = executed(FOLDER / f"{name}.ipynb")
        nbformat.write(notebook, asked.out / f"{name}.ipynb")
        print(asked.out / f"{name}.ipynb")


def executed(path: Path) -> NotebookNode:
    """Run all cells in a new kernel and return the notebook with their outputs.

    Raises CellExecutionError with the cell and its error if one fails.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # What was printed in one go should be one output, not as many as the pipe made of it.
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", coalesce_streams=True)
    client.execute(cwd=str(Path.cwd()))
    tidy(notebook)
    return notebook


def tidy(notebook: NotebookNode) -> None:
    """Leave out what differs from run to run, what is empty, and what is larger than need be."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
        if cell.cell_type == "code":
            cell.outputs = [_slim(output) for output in cell.outputs if not _is_empty(output)]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def _is_empty(output: NotebookNode) -> bool:
    """Return True for what a bar leaves behind when its work is done."""
    data = output.get("data")
    return data is not None and not any(data.values())


def _slim(output: NotebookNode) -> NotebookNode:
    """Keep one format of a picture, of two that Pillow offers; photos become JPEG, a fifth."""
    data = output.get("data", {})
    if output.output_type == "stream":  # the kernel's own file for a cell says nothing to readers
        output.text = re.sub(r"\S*ipykernel_\S+?\.py:\d+: ", "", output.text)
    if "image/png" in data:
        data.pop("image/jpeg", None)
        whole = base64.b64decode(data["image/png"])
        if len(whole) > LARGE:
            small = io.BytesIO()
            Image.open(io.BytesIO(whole)).convert("RGB").save(small, "JPEG", quality=85)
            del data["image/png"]
            data["image/jpeg"] = base64.b64encode(small.getvalue()).decode()
    return output


if __name__ == "__main__":
    sys.exit(main())
