"""What it costs to interpret a classifier: memory and time of one pass over synthetic answers.

    LIB=presize|get_preds|fastai python benchmarks/interpretation.py [--classes 1000] [--runs 3]
    LIB=presize python benchmarks/interpretation.py --labels      # several labels an item
    LIB=presize python benchmarks/interpretation.py --arrays      # probabilities in a file

The model draws its outputs (normal, 4 more for the true class) when it is asked, so that neither
they nor pictures take memory. Each run is a process of its own; its address space is limited to
`--limit` GB, so that a library that needs more fails and does not stop the machine. For each stage:
seconds, and the peak of the process' memory up to its end in MB. "learner" is the state before the
first pass: imports, data, model.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

BATCH = 64


class Drawn(nn.Module):
    """Answers items, which are (number, class), with drawn outputs that favour the class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.weight = classes, nn.Parameter(torch.zeros(1))

    def forward(self, items: Tensor) -> Tensor:
        """Draw the outputs of a batch."""
        generator = torch.Generator().manual_seed(int(items[0, 0]))
        outputs = torch.randn(len(items), self.classes, generator=generator)
        return outputs + 4 * F.one_hot(items[:, 1], self.classes) + self.weight


class DrawnLabels(Drawn):
    """The same with several labels: every label whose number modulo 50 is that of the class."""

    def forward(self, items: Tensor) -> Tensor:
        """Draw the outputs of a batch."""
        generator = torch.Generator().manual_seed(int(items[0, 0]))
        outputs = torch.randn(len(items), self.classes, generator=generator) - 3
        return outputs + 4 * labels_of(items[:, 1], self.classes) + self.weight


def labels_of(numbers: Tensor, classes: int) -> Tensor:
    return (torch.arange(classes) % 50 == numbers[:, None] % 50).float()


def targets_of(items: int, classes: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, classes, items))


def data_of(items: int, classes: int) -> TensorDataset:
    targets = targets_of(items, classes)
    data = TensorDataset(torch.stack([torch.arange(items), targets], 1), targets)
    data.vocab = [f"class {i}" for i in range(classes)]
    return data


class WithLabels(TensorDataset):
    """Items with a 0 or 1 for each label, made when they are asked for."""

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        item = self.tensors[0][i]
        return item, labels_of(item[1:], len(self.vocab))[0]


# ---- the libraries -----------------------------------------------------------------------------


def presize_stages(args: argparse.Namespace) -> list[tuple[str, Callable[[dict[str, Any]], None]]]:
    from presize.data.loader import DataLoader
    from presize.data.loaders import DataLoaders
    from presize.interpret.classification import ClassificationInterpretation
    from presize.interpret.multilabel import MultiLabelInterpretation
    from presize.learner import Learner
    from presize.train.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat

    kind = MultiLabelInterpretation if args.labels else ClassificationInterpretation

    def learner(state: dict[str, Any]) -> None:
        data = data_of(args.items, args.classes)
        if args.labels:
            vocab, data = data.vocab, WithLabels(data.tensors[0])
            data.vocab = vocab
        loader = DataLoader(data, BATCH)
        model = (DrawnLabels if args.labels else Drawn)(args.classes)
        loss = BCEWithLogitsLossFlat() if args.labels else CrossEntropyLossFlat()
        state["learn"] = Learner(DataLoaders(loader, loader, device="cpu"), model, loss)

    def one_pass(state: dict[str, Any]) -> None:
        state["interp"] = kind.from_learner(state["learn"])

    def arrays(state: dict[str, Any]) -> None:
        probs = np.load(args.arrays, mmap_mode="r")
        state["interp"] = kind.from_arrays(probs, targets_of(args.items, args.classes))

    def figures(state: dict[str, Any]) -> None:
        interp = state["interp"]
        if not args.labels:
            interp.confusion_matrix()
            interp.most_confused(2)
        interp.per_class()
        interp.top_losses(9)

    def report(state: dict[str, Any]) -> None:
        state["interp"].classification_report()

    def on_disk(state: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = state["interp"].save(Path(folder) / "predictions")
            state["file size MB"] = file.stat().st_size / 1e6
            kind.load(file)

    first = [("from_arrays", arrays)] if args.arrays else [("one pass", one_pass)]
    rest = [("matrix, figures, top losses", figures), ("report", report), ("save, load", on_disk)]
    return [("learner", learner), *first, *rest]


def all_kept_stages(args: argparse.Namespace) -> list[tuple[str, Callable[[dict[str, Any]], None]]]:
    """What it takes to keep the probabilities of all classes, as `get_preds` does."""
    learner = presize_stages(args)[0]

    def one_pass(state: dict[str, Any]) -> None:
        state["all"] = state["learn"].get_preds(with_loss=True, with_decoded=True)

    return [learner, ("get_preds", one_pass)]


def fastai_stages(args: argparse.Namespace) -> list[tuple[str, Callable[[dict[str, Any]], None]]]:
    from fastai.vision.all import (
        CategoryMap,
        ClassificationInterpretation,
        CrossEntropyLossFlat,
        DataLoader,
        DataLoaders,
        Learner,
    )

    def learner(state: dict[str, Any]) -> None:
        data = data_of(args.items, args.classes)
        data.vocab = CategoryMap(data.vocab, sort=False)  # of a list it takes the last
        loader = DataLoader(data, BATCH, n=len(data))
        dls = DataLoaders(loader, loader)
        state["learn"] = Learner(dls, Drawn(args.classes), CrossEntropyLossFlat())

    def one_pass(state: dict[str, Any]) -> None:
        with state["learn"].no_bar():
            learn = state["learn"]
            state["interp"] = ClassificationInterpretation.from_learner(learn, dl=learn.dls[1])

    def figures(state: dict[str, Any]) -> None:
        with state["learn"].no_bar():
            state["interp"].confusion_matrix()
            state["interp"].top_losses(9)

    return [
        ("learner", learner),
        ("one pass", one_pass),
        ("matrix, top losses", figures),
    ]


# ------------------------------------------------------------------------------------------------


def child(args: argparse.Namespace) -> None:
    """Carry out the stages and print what each took, as JSON."""
    limit = int(args.limit * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    torch.set_num_threads(1)
    makers = {"presize": presize_stages, "get_preds": all_kept_stages, "fastai": fastai_stages}
    state: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, stage in makers[os.environ.get("LIB", "presize")](args):
        start = time.perf_counter()
        try:
            stage(state)
        except (MemoryError, RuntimeError) as error:
            found[name] = [float("nan"), float("nan")]
            found["error"] = f"{name}: {str(error).strip()[:120]}"
            break
        found[name] = [time.perf_counter() - start, peak()]
    if "file size MB" in state:
        found["file size MB"] = state["file size MB"]
    print(json.dumps(found))


def peak() -> float:
    """Return the most memory that the process has had, in MB (Linux)."""
    # Not ru_maxrss: that of a child counts the memory that its parent had when it was started.
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1]) / 1024


def write_probabilities(path: Path, items: int, classes: int) -> None:
    """Write probabilities as a .npy file, piece by piece."""
    file = np.lib.format.open_memmap(path, "w+", np.float32, (items, classes))
    targets, model = targets_of(items, classes), Drawn(classes)
    for start in range(0, items, BATCH):
        numbers = torch.arange(start, min(start + BATCH, items))
        with torch.no_grad():
            outputs = model(torch.stack([numbers, targets[numbers]], 1))
        file[start : start + len(numbers)] = outputs.softmax(1).numpy()
    file.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=12)
    parser.add_argument("--labels", action="store_true")
    parser.add_argument("--arrays", nargs="?", const="yes", default="")
    parser.add_argument("--child", action="store_true")
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    command = [sys.executable, __file__, "--child", f"--items={args.items}"]
    command += [f"--classes={args.classes}", f"--limit={args.limit}"]
    command += ["--labels"] if args.labels else []
    with tempfile.TemporaryDirectory() as folder:
        if args.arrays:
            write_probabilities(Path(folder) / "probs.npy", args.items, args.classes)
            command += [f"--arrays={folder}/probs.npy"]
        runs = []
        for _ in range(args.runs):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{os.environ.get('LIB', 'presize')}: {args.items:,} x {args.classes:,}, n = {len(runs)}")
    for name in runs[0]:
        values = [run[name] for run in runs if name in run]
        if isinstance(values[0], list):
            seconds, peaks = zip(*values, strict=True)
            low, high = min(seconds), max(seconds)
            took = f"{name:30} {statistics.median(seconds):8.2f} s ({low:.2f}-{high:.2f})"
            print(f"{took:58} peak {statistics.median(peaks):5.0f} MB (max {max(peaks):.0f})")
        else:
            print(f"{name:30} {values[0]}")


if __name__ == "__main__":
    main()
