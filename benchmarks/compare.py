"""Runs a script of this folder for presize and for fastai in turn, and prints a table of both.

    python benchmarks/compare.py [--runs 3] SCRIPT [ARGUMENTS ...]
    python benchmarks/compare.py benchmarks/pipeline.py PHOTOS --passes 3

The script is one that takes the library from the environment variable LIB and prints a line of
JSON. It runs in a process of its own each time, A B A B ..., so that a machine whose speed drifts
treats both alike; and once before that for each, not counted, so that files lie in memory.

fastai is found by this Python, or by `--fastai-python PYTHON` (or $FASTAI_PYTHON), or in the folder
`--fastai-path FOLDER` (or $FASTAI_PATH), as `pip install --target` fills one. The table is
Markdown: medians, with the range in brackets, and by how much presize is better, as the median and
the range over neighbouring runs.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBRARIES = ("presize", "fastai")
VERSIONS = (
    "import importlib.metadata as m, json, os, platform, sys; "
    "names = ('torch', 'torchvision', os.environ['LIB']); "
    "print(json.dumps([platform.python_version(), *(f'{n} {m.version(n)}' for n in names)]))"
)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fastai-python", default=os.environ.get("FASTAI_PYTHON", sys.executable))
    parser.add_argument("--fastai-path", default=os.environ.get("FASTAI_PATH"))
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args()


def run(library: str, given: argparse.Namespace, code: list[str]) -> Any:
    """Return the JSON of the last line that a program prints with one of the libraries."""
    environment = os.environ | {"LIB": library}
    python = sys.executable
    if library == "fastai":
        python = given.fastai_python
        if given.fastai_path:
            environment["PYTHONPATH"] = given.fastai_path
    done = subprocess.run(
        [python, *code], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def figures(result: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a result that are measured, those of lists one by one."""
    found: dict[str, float] = {}
    for name, value in result.items():
        if direction(name) is None:
            continue
        many = value if isinstance(value, list) else [value]
        for i, one in enumerate(many):
            found[name if len(many) == 1 else f"{name}, pass {i + 1}"] = float(one)
    return found


def direction(name: str) -> Callable[[float, float], float] | None:
    """Return how much better a is than b, for a figure of this name; None if it is no figure."""
    name = name.partition(",")[0]
    if name.endswith(("_per_s", "accuracy")):
        return lambda a, b: a / b
    if name.endswith("_db"):
        return lambda a, b: a - b
    if name.endswith(("_s", "_ms", "_us", "_mb", "error_rate")) or name == "s":
        return lambda a, b: b / a
    return None


def spread(values: list[float]) -> str:
    """Return median and range."""
    low, middle, high = (f"{v:.4g}" for v in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}-{high})"


def processor() -> str:
    """Return the name of the processor, where the system tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def main() -> None:
    """Run, and print the table."""
    given = parsed()
    code = [given.script, *given.arguments]
    found: dict[str, list[dict[str, float]]] = {library: [] for library in LIBRARIES}
    versions = {library: run(library, given, ["-c", VERSIONS]) for library in LIBRARIES}
    for turn in range(given.runs + 1):
        for library in LIBRARIES:
            result = run(library, given, code)
            print(json.dumps({"turn": turn, **result}), file=sys.stderr, flush=True)
            if turn:
                found[library].append(figures(result))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"`{' '.join([Path(given.script).name, *given.arguments])}`, n = {given.runs} in turn")
    print(f"({cores} cores, {processor()}; Python {', '.join(versions['presize'])};", end=" ")
    print(f"{versions['fastai'][-1]} with Python {', '.join(versions['fastai'][:-1])}):\n")
    print("| | presize | fastai | presize is better by |\n|---|---|---|---|")
    ours, theirs = found.values()
    for name in ours[0]:
        better = direction(name)
        pairs = [(a[name], b[name]) for a, b in zip(ours, theirs, strict=True) if name in b]
        if better is None or not pairs:
            continue
        unit = " dB" if name.endswith("_db") else "x"
        ratio = spread([better(a, b) for a, b in pairs]) + unit
        print(f"| {name} | {spread([a[name] for a in ours])} |", end=" ")
        print(f"{spread([b for _, b in pairs])} | {ratio} |")


if __name__ == "__main__":
    main()
