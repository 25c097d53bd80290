"""The same pictures as files, in tar shards, behind a URL, and as a Hugging Face data set.

    python benchmarks/sources.py FOLDER_OF_JPEGS [PASSES]

Prints a line of JSON for each source: pictures/s of the whole loader (Resize(460), aug_transforms
to 224, batches of 64, 2 threads, no cache) as median and range of PASSES (9), taken in turns so
that what else the machine does falls on all of them. The URL is one of this machine's memory: what
is measured is the way through a stream, and no network.
"""

import io
import json
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as AnyPath
from typing import Any

import datasets
import fsspec
import torch

from presize.augment.presets import aug_transforms
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.data.splits import IndexSplitter
from presize.data.stream.shardsource import Shards

CLASSES = [str(i) for i in range(10)]
SHARDS = 8


def label_of(file: AnyPath) -> str:
    return CLASSES[sum(file.name.encode()) % 10]


def write_shards(folder: AnyPath, files: list[AnyPath]) -> None:
    per = -(-len(files) // SHARDS)
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for number, file in enumerate(files[shard * per : (shard + 1) * per]):
                for ending, data in (("jpg", file.read_bytes()), ("cls", label_of(file).encode())):
                    info = tarfile.TarInfo(f"{number:06d}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


@contextmanager
def all_sources(files: list[AnyPath]) -> Iterator[dict[str, Any]]:
    """Yield what `dataloaders` takes, by name; in each an eighth is for validation."""
    with tempfile.TemporaryDirectory() as name:
        folder = AnyPath(name)
        write_shards(folder, files)
        memory = fsspec.filesystem("memory")
        for path in folder.iterdir():
            memory.pipe(f"/shards/{path.name}", path.read_bytes())
        datasets.disable_progress_bars()
        table = datasets.Dataset.from_dict(
            {
                "image": [{"bytes": f.read_bytes(), "path": f.name} for f in files],
                "label": [CLASSES.index(label_of(f)) for f in files],
            },
            features=datasets.Features(
                image=datasets.Image(), label=datasets.ClassLabel(names=CLASSES)
            ),
        )
        table.save_to_disk(folder / "table")
        table = datasets.load_from_disk(folder / "table")
        n, last = len(files), f"{SHARDS - 1}.tar"
        valid_n = len(files) - (SHARDS - 1) * -(-n // SHARDS)
        yield {
            "files": files,
            "shards on a disk": Shards(folder / "[0-6].tar", folder / last, classes=CLASSES),
            "shards behind a URL": Shards(
                "memory://shards/{0..6}.tar",
                f"memory://shards/{last}",
                n=n - valid_n,
                valid_n=valid_n,
                classes=CLASSES,
            ),
            "Hugging Face": datasets.DatasetDict(
                train=table.select(range(n - valid_n)),
                test=table.select(range(n - valid_n, n)),
            ),
        }


def rate(loader: Any) -> float:
    start, pictures = time.perf_counter(), 0
    for _, labels in loader:
        pictures += len(labels)
    return pictures / (time.perf_counter() - start)


def main(folder: str, passes: int = 9) -> None:
    """Measure, and print medians and ranges."""
    torch.set_num_threads(1)
    files = list(get_image_files(folder))
    tfms: Any = {"item_tfms": Resize(460), "batch_tfms": aug_transforms(size=224)}
    block = DataBlock((ImageBlock, CategoryBlock), **tfms)
    split = IndexSplitter(range(len(files) // SHARDS))
    of_files = DataBlock((ImageBlock, CategoryBlock), get_y=label_of, splitter=split, **tfms)
    with all_sources(files) as sources:
        loaders = {
            name: (of_files if name == "files" else block)
            .dataloaders(source, bs=64, num_workers=2, device="cpu", cache=False)
            .train
            for name, source in sources.items()
        }
        for loader in loaders.values():
            rate(loader)  # the first pass imports libraries and takes memory
        found: dict[str, list[float]] = {name: [] for name in loaders}
        for _ in range(passes):
            for name, loader in loaders.items():
                found[name].append(rate(loader))
    for name, rates in found.items():
        spread = [round(min(rates)), round(max(rates))]
        result = {"source": name, "images_per_s": round(statistics.median(rates)), "range": spread}
        print(json.dumps(result | {"passes": passes, "files": len(files)}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
