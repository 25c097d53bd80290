"""The notebooks: executed on what comes along, and committed with what they showed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from presize.data.digits import digits_folder

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/notebooks"
NAMES = ("digits", "breeds", "interpretation")
MOST = 1_500_000  # bytes of a committed notebook
# Of a folder of this machine: what a notebook shows is to be the same everywhere.
OF_A_MACHINE = re.compile(r"/(home|root|tmp|work|Users)/|[A-Z]:\\")

nbformat = pytest.importorskip("nbformat")


def read(path):
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    return [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]


def text_of(output):
    """What an output shows in words; pictures have none."""
    data = {k: v for k, v in output.get("data", {}).items() if k.startswith("text/")}
    return "".join(map(str, [*data.values(), output.get("text", "")]))


def some_digits(folder):
    """A third of the pictures that come along."""
    for file in sorted(digits_folder().glob("*/*/*"))[::3]:
        copied = folder.joinpath(*file.parts[-3:])
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copied)
    return folder


def test_these_are_all_of_them():
    assert {p.stem for p in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_on_what_comes_along(name, tmp_path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    (tmp_path / "out").mkdir()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PRESIZE_NOTEBOOK")},
        "PRESIZE_NOTEBOOK_EPOCHS": "1",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
    }
    if name == "digits":  # the others take a part of them by themselves
        environment["PRESIZE_NOTEBOOK_DATA"] = str(some_digits(tmp_path / "some"))
    command = [sys.executable, str(ROOT / "docs/run_notebooks.py"), name, "--out", "out"]
    done = subprocess.run(  # noqa: PLW1510 - told below, with what it printed
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-4000:]
    made = outputs(read(tmp_path / "out" / f"{name}.ipynb"))
    assert not [o for o in made if o.output_type == "error"]
    warned = [o.text for o in made if o.output_type == "stream" and o.name == "stderr"]
    assert not warned
    pictures = [o for o in made if {"image/png", "image/jpeg"} & {*o.get("data", {})}]
    assert len(pictures) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_was_executed_in_order(name):
    notebook = read(FOLDER / f"{name}.ipynb")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert not [o for o in outputs(notebook) if o.output_type == "error"]
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_is_small_and_names_no_folder_of_a_machine(name):
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < MOST
    notebook = read(path)
    everything = [cell.source for cell in notebook.cells] + [text_of(o) for o in outputs(notebook)]
    assert not [text[:200] for text in everything if OF_A_MACHINE.search(text)]
    stamped = [cell.id for cell in notebook.cells if "execution" in cell.metadata]
    assert not stamped
