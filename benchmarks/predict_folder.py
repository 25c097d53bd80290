"""Pictures a second of a folder through a predictor, beside its pipeline and its model alone.

    python benchmarks/predict_folder.py FOLDER [--model FILE] [--arch resnet18] [--rounds 3]

FOLDER holds photos. Without a model file, a network without training is asked: speed is the same.
The slower of the two parts is the limit: `ratio` is the rate of the whole over that of the limit.
On a CPU both parts share the cores, so that even at best the seconds of a picture add up, which
`shared` compares with: 1 / (1 / pipeline + 1 / model). Rounds take turns, since a machine may have
other work; each figure is the median, with the lowest and the highest. Prints lines of JSON.

`--memory` streams so many pictures, the folder's again and again, into a CSV file, and tells by how
much the memory in use grew between a tenth of the way and the end.
"""

import argparse
import itertools
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from presize.core.allocator import memory_kept
from presize.data.asking import asking
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.deploy.prediction_table import table_writer
from presize.deploy.predictor import Predictor
from presize.vision.learner import vision_learner


def main() -> None:
    """Print the three rates, and what they say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="a model file")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, help="take so many pictures of the folder")
    parser.add_argument("--device")
    parser.add_argument(
        "--memory", type=int, help="stream so many pictures, and look at the memory"
    )
    given = parser.parse_args()
    files = list(get_image_files(given.folder))[: given.most]
    predictor = asked(given, files)
    if given.memory:
        print(json.dumps(memory(predictor, files, given)))
        return
    found = rates(predictor, files, given)
    for name, values in found.items():
        print(json.dumps({"part": name, "img_s": spread(values)}))
    middle = {name: statistics.median(values) for name, values in found.items()}
    limit = min(middle["pipeline"], middle["model"])
    shared = 1 / (1 / middle["pipeline"] + 1 / middle["model"])
    print(
        json.dumps(
            {
                "arch": str(given.model or given.arch),
                "pictures": len(files),
                "device": str(predictor.learn.device),
                "threads": torch.get_num_threads(),
                "limit": "pipeline" if limit == middle["pipeline"] else "model",
                "ratio": round(middle["whole"] / limit, 3),
                "shared": round(middle["whole"] / shared, 3),
            }
        )
    )


def asked(given: argparse.Namespace, files: list[Path]) -> Predictor:
    """Return the predictor of a file, or of a network without training."""
    if given.model is not None:
        return Predictor.load(given.model, device=given.device)
    dls = ImageDataLoaders.from_lists(
        given.folder,
        files,
        [str(i % 10) for i in range(len(files))],
        item_tfms=Resize(given.size),
        bs=given.batch,
        device=given.device,
    )
    return Predictor(vision_learner(dls, given.arch, pretrained=False))


def rates(
    predictor: Predictor, files: list[Path], given: argparse.Namespace
) -> dict[str, list[float]]:
    """Return pictures a second, of each round."""
    parts = {
        "pipeline": lambda: pipeline(predictor, files, given),
        "model": lambda: model(predictor, len(files), given),
        "whole": lambda: whole(predictor, files, given),
    }
    predictor.warm_up(given.batch)
    found: dict[str, list[float]] = {name: [] for name in parts}
    with memory_kept(predictor.learn.device):  # as the whole does: the parts are to have the same
        for part in parts.values():
            part()  # the files come into the memory of the system, and threads begin
        for _, (name, part) in itertools.product(range(given.rounds), parts.items()):
            found[name].append(len(files) / seconds(part))
    return found


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def pipeline(predictor: Predictor, files: list[Path], given: argparse.Namespace) -> None:
    asks = asking(predictor.learn.dls, files[0])
    names: dict[int, Any] = {}
    for _ in asks.batches(files, size=given.batch, threads=given.workers, failed=None, names=names):
        pass


def model(predictor: Predictor, n: int, given: argparse.Namespace) -> None:
    learn = predictor.learn
    learn.model.eval()
    x = torch.randn(given.batch, 3, given.size, given.size, device=learn.device)
    with torch.no_grad():
        for done in range(0, n, given.batch):
            learn.model(x[: n - done]).cpu()


def whole(predictor: Predictor, files: list[Path], given: argparse.Namespace) -> None:
    predictor.predict_many(files, batch_size=given.batch, num_workers=given.workers, show=False)


def memory(predictor: Predictor, files: list[Path], given: argparse.Namespace) -> dict[str, Any]:
    n, marks = given.memory, {}
    endless = itertools.islice(itertools.cycle(files), n)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "all.csv"
        with table_writer(table, predictor.vocab) as writer:
            rows = predictor.stream(endless, batch_size=given.batch, num_workers=given.workers)
            for i, row in enumerate(rows, 1):
                writer.write(row)
                if i in (n // 10, n):
                    marks[i] = resident()
        size = table.stat().st_size
    return {
        "pictures": n,
        "mb_at_a_tenth": round(marks[n // 10], 1),
        "mb_at_the_end": round(marks[n], 1),
        "table_mb": round(size / 1e6, 1),
        "mb_at_most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def resident() -> float:
    """Return the memory in use, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def spread(values: list[float]) -> list[float]:
    """Return the median, the lowest and the highest."""
    return [round(f(values), 1) for f in (statistics.median, min, max)]


if __name__ == "__main__":
    main()
