"""What a data set of very many files costs: seconds until the loaders stand, megabytes held.

    python benchmarks/many_files.py [FILES] [RUNS]

Writes FILES (100,000) tiny JPEGs named `breed_123.jpg` into a temporary folder, as hard links to a
few where the disk has links, and builds the loaders of breeds from names, and those of a table,
RUNS (5) times, each in a process of its own. Prints a line of JSON for each: seconds as median and
range; megabytes that the process grew by since it had walked through the same loaders of 1,000 of
the files, by which all libraries and the memory of batches were there.
"""

import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path as AnyPath

BREEDS = ("Abyssinian", "Maine_Coon", "american_pit_bull_terrier", "great_pyrenees", "pug")
FEW = 1000
BATCHES = 30
LINKS = 1000  # to one file; some disks refuse more than 1,023


def make_files(folder: AnyPath, count: int) -> None:
    """Write `count` files of 32 x 32 pixels, and `FEW` of them into the folder `few` beside."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG")
    for name, n in (("few", FEW), ("all", count)):
        (folder / name).mkdir()
        first = folder
        for i in range(n):
            file = folder / name / f"{BREEDS[i % len(BREEDS)]}_{i}.jpg"
            if i % LINKS == 0 or not linked(first, file):
                file.write_bytes(held.getvalue())
                first = file


def linked(first: AnyPath, file: AnyPath) -> bool:
    """Make `file` another name of `first`; return whether the disk can."""
    try:
        os.link(first, file)
    except OSError:
        return False
    return True


def held_mb() -> float:
    """Return the memory that the process holds: now where the system says so, else at most."""
    statm = AnyPath("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def measure(what: str, folder: str) -> None:
    """Build loaders of `few`, then of `all`, and print seconds and memory of the second."""
    from presize.vision.all import (
        CategoryBlock,
        DataBlock,
        DataLoaders,
        ImageBlock,
        ImageDataLoaders,
        RandomSplitter,
        RegexLabeller,
        Resize,
        aug_transforms,
        get_image_files,
        pd,
        using_attr,
    )

    tfms = {"item_tfms": Resize(64), "batch_tfms": aug_transforms(size=32)}

    def from_names(path: AnyPath) -> Callable[[], DataLoaders]:
        pets = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_items=get_image_files,
            splitter=RandomSplitter(seed=42),
            get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
            **tfms,
        )
        return lambda: pets.dataloaders(path, num_workers=2)

    def from_table(path: AnyPath) -> Callable[[], DataLoaders]:
        names = sorted(p.name for p in path.iterdir())
        df = pd.DataFrame({"name": names, "label": [re.sub(r"_\d+.jpg$", "", n) for n in names]})
        return lambda: ImageDataLoaders.from_df(df, path, seed=42, num_workers=2, **tfms)

    build = {"from_names": from_names, "from_df": from_table}[what]
    few, make = build(AnyPath(folder) / "few")(), build(AnyPath(folder) / "all")
    walk(few)
    before = held_mb()
    start = time.perf_counter()
    dls = make()
    seconds = time.perf_counter() - start
    built = held_mb() - before
    walk(dls)
    found = {"s": seconds, "built_mb": built, "walked_mb": held_mb() - before}
    print(json.dumps(found | {"files": len(dls.train_ds) + len(dls.valid_ds)}))


def walk(dls: object) -> None:
    """Take some batches, as training does; again from the start where there are few."""
    taken = 0
    while taken < BATCHES:
        for _ in dls.train:
            taken += 1
            if taken == BATCHES:
                break


def main() -> None:
    """Make the files, measure in processes of their own, and print medians and ranges."""
    if len(sys.argv) > 1 and sys.argv[1] == "--one":
        measure(*sys.argv[2:])
        return
    count, runs = (int(v) for v in (*sys.argv[1:], *("100000", "5")[len(sys.argv) - 1 :]))
    folder = AnyPath(tempfile.mkdtemp())
    try:
        make_files(folder, count)
        for what in ("from_names", "from_df"):
            found = []
            for _ in range(runs):
                code = [sys.executable, __file__, "--one", what, str(folder)]
                done = subprocess.run(code, stdout=subprocess.PIPE, text=True, check=True)
                found.append(json.loads(done.stdout))
            result = {"what": what, "files": found[0]["files"], "n": runs}
            for key in ("s", "built_mb", "walked_mb"):
                values = sorted(one[key] for one in found)
                spread = [round(values[0], 2), round(values[-1], 2)]
                result |= {key: round(statistics.median(values), 2), f"{key}_range": spread}
            print(json.dumps(result))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
