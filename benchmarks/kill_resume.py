"""Trainings that are killed at random moments and resumed, against one that is not killed.

    python benchmarks/kill_resume.py [RUNS] [EPOCHS] [PICTURES]

For each of several ways to train on the digits that come with presize (or on a folder
PICTURES/{train,valid}/CLASS) one program runs to its end. Then RUNS programs (20 in all, the ways
in turn) begin the same and are killed with SIGKILL at a random moment, also while a checkpoint is
written; every other one is resumed, and killed once more; then they are resumed to their end.
They write a checkpoint after every step. Compared to the bit: all weights and buffers, the loss of
every step, and the table. Prints a line of JSON a run, and one for all; ends with 1 if any differs.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from presize.augment.presets import aug_transforms
from presize.callbacks.base import Callback
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.ema import EMA
from presize.callbacks.mixing import MixUp
from presize.core.randomness import set_seed
from presize.data.digits import digits_folder
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.optim import SGD, Adam
from presize.train.state import load_state
from presize.vision.learner import vision_learner

rng = random.Random(0)
# name: recipe, optimizer, worker threads, weights of items, callbacks
WAYS: dict[str, tuple[str, Any, int, Any, Callable[[], list[Callback]]]] = {
    "fine_tune, Adam, 2 workers, EMA": ("fine_tune", Adam, 2, None, lambda: [EMA(0.99)]),
    "fit_one_cycle, SGD, no workers": ("fit_one_cycle", SGD, 0, None, list),
    "fit_one_cycle, Adam, balanced draws": ("fit_one_cycle", Adam, 2, "balanced", list),
    "fine_tune, Adam, no workers, MixUp": ("fine_tune", Adam, 0, None, lambda: [MixUp()]),
}


def make_learner(folder: Path, source: Path, way: str) -> Learner:
    """Make the learner of a way to train: a small resnet with dropout, augmented pictures."""
    _, opt_func, workers, weights, _ = WAYS[way]
    set_seed(0)
    own = (source / "valid").is_dir()
    dls = ImageDataLoaders.from_folder(
        source,
        valid_pct=None if own else 0.2,
        seed=0,
        item_tfms=Resize(40),
        batch_tfms=aug_transforms(size=32, do_flip=False),
        bs=64,
        num_workers=workers,
    )
    if weights is not None:
        dls.loaders[0] = dls.train.new(weights=weights, shuffle=False)
    return vision_learner(
        dls, "resnet18", pretrained=False, opt_func=opt_func, metrics=accuracy, path=folder
    )


def train(folder: Path, source: Path, way: str, epochs: int) -> None:
    """Train, or go on, and write down how it ended."""
    torch.set_num_threads(1)
    begun = time.perf_counter()
    learn, rows = make_learner(folder, source, way), []
    cbs = [Checkpoints(every_steps=1), *WAYS[way][-1]()]
    with learn.no_bar():
        learn.logger = rows.append
        if list(folder.glob("checkpoints/checkpoint-*")):
            learn.resume(cbs=cbs)
        else:
            getattr(learn, WAYS[way][0])(epochs, cbs=cbs)
    learn.save(folder / "end.safetensors")
    table = [row[:-1] for row in rows if len(row) > 2]  # without the time
    (folder / "end.json").write_text(
        json.dumps([table, learn.recorder.losses, time.perf_counter() - begun])
    )


def start(folder: Path, source: Path, way: str, epochs: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-W", "ignore", __file__, "--train", str(folder), str(source), way]
    quiet = {"OMP_NUM_THREADS": "1", "PRESIZE_PLAIN": "1"}
    return subprocess.Popen(
        [*command, str(epochs)], env=os.environ | quiet, stdout=subprocess.DEVNULL
    )


def kill_at_random(folder: Path, running: "subprocess.Popen[bytes]", wait: float) -> bool:
    """Kill a program `wait` seconds after it has written; return whether it was still alive."""
    place = folder / "checkpoints"
    seen = set(place.glob("checkpoint-*"))
    while running.poll() is None and set(place.glob("checkpoint-*")) <= seen:
        time.sleep(0.002)
    time.sleep(wait)
    running.send_signal(signal.SIGKILL)
    return running.wait() == -signal.SIGKILL


def compare(one: Path, other: Path) -> dict[str, bool]:
    weights = [load_state(folder / "end.safetensors")[0] for folder in (one, other)]
    (table, losses, _), (rows, again, _) = (
        json.loads((folder / "end.json").read_text()) for folder in (one, other)
    )
    return {
        "weights": weights[0].keys() == weights[1].keys()
        and all(torch.equal(value, weights[1][name]) for name, value in weights[0].items()),
        "losses": losses == again,
        "table": len(rows) > 0 and rows == table[-len(rows) :],
    }


def killed_run(plain: Path, source: Path, way: str, epochs: int, kills: int) -> dict[str, Any]:
    """Kill a training so many times, let it end, and compare the ends."""
    seconds = json.loads((plain / "end.json").read_text())[2]
    places, in_mid_writing = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while len(places) < kills:
            running = start(folder, source, way, epochs)
            if kill_at_random(folder, running, rng.uniform(0, 0.8 * seconds / kills)):
                in_mid_writing += bool(list(folder.glob("checkpoints/.*.part")))
                newest = max(folder.glob("checkpoints/checkpoint-*"))
                places.append(int(newest.stem.rpartition("-")[2]))
            else:  # it came to its end before: begin anew
                shutil.rmtree(folder)
                places, in_mid_writing = [], 0
        assert start(folder, source, way, epochs).wait() == 0
        return {
            "way": way,
            "killed_after_checkpoint": places,
            "in_mid_writing": in_mid_writing,
            "equal": compare(plain, folder),
        }


def main(runs: int = 20, epochs: int = 2, pictures: str | None = None) -> int:
    source = digits_folder() if pictures is None else Path(pictures)
    ways, results = list(WAYS)[:runs], []
    with tempfile.TemporaryDirectory() as name:
        plain = [Path(name) / str(number) for number in range(len(ways))]
        for folder, way in zip(plain, ways, strict=True):
            assert start(folder, source, way, epochs).wait() == 0
        for run in range(runs):
            number, kills = run % len(ways), 1 + run // len(ways) % 2
            results.append(killed_run(plain[number], source, ways[number], epochs, kills))
            print(json.dumps(results[-1]), flush=True)
    equal = sum(all(result["equal"].values()) for result in results)
    kills = sum(len(result["killed_after_checkpoint"]) for result in results)
    mid = sum(result["in_mid_writing"] for result in results)
    told = {"kills": kills, "in_mid_writing": mid, "ends": len(results), "equal_ends": equal}
    print(json.dumps(told | {"torch": torch.__version__}))
    return 0 if equal == len(results) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        numbers = [int(text) for text in sys.argv[1:3]]
        sys.exit(main(*numbers, *sys.argv[3:4]))
