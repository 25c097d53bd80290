"""How well `presize check` finds copies of pictures, and how often it takes two for one.

    python benchmarks/near_duplicates.py FOLDER... [--most N]

For each FOLDER of different pictures, of which N (5,000) are taken: the groups of copies that are
found among them, which are false alarms where all are different; then, for each kind of change,
the part of changed copies that is found when all originals and all copies lie together, and how
many groups join two different originals. Prints a table, and seconds for reading and for searching.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from presize.data.check.copies import PHOTOS, Copies, find_copies
from presize.data.check.entries import Entry
from presize.data.check.scan import scan
from presize.data.items import get_image_files

Change = Callable[[Image.Image], tuple[Image.Image, int]]


def resized(im: Image.Image, factor: float) -> Image.Image:
    """Return the picture at `factor` of its size."""
    return im.resize((max(1, round(im.width * factor)), max(1, round(im.height * factor))))


def cropped(im: Image.Image, part: float) -> Image.Image:
    """Return the picture without `part` of its width and height, taken away anywhere."""
    width, height = round(im.width * (1 - part)), round(im.height * (1 - part))
    x, y = random.randint(0, im.width - width), random.randint(0, im.height - height)
    return im.crop((x, y, x + width, y + height))


CHANGES: dict[str, Change] = {
    "half the size": lambda im: (resized(im, 0.5), 90),
    "JPEG quality 30": lambda im: (im, 30),
    "brightness - 10 %": lambda im: (ImageEnhance.Brightness(im).enhance(0.9), 90),
    "brightness + 10 %": lambda im: (ImageEnhance.Brightness(im).enhance(1.1), 90),
    "contrast + 20 %": lambda im: (ImageEnhance.Contrast(im).enhance(1.2), 90),
    "gray": lambda im: (im.convert("L"), 90),
    "squashed to a square": lambda im: (im.resize((200, 200)), 90),
    "3 % cropped": lambda im: (cropped(im, 0.03), 90),
    "6 % cropped": lambda im: (cropped(im, 0.06), 90),
    "mirrored": lambda im: (ImageOps.mirror(im), 90),
    "0.6, - 7 %, quality 60": lambda im: (
        ImageEnhance.Brightness(resized(im, 0.6)).enhance(0.93),
        60,
    ),
}


def searched(files: list[Path]) -> tuple[Copies, float, float]:
    """Return the copies among files, and seconds for reading and for searching."""
    entries = [Entry(str(file), "all", (), file) for file in files]
    started = time.perf_counter()
    found = scan(entries, show=False)
    read = time.perf_counter()
    copies = find_copies(found)
    return copies, read - started, time.perf_counter() - read


def measured(name: str, files: list[Path], folder: Path) -> None:
    """Print the line for one kind of change."""
    random.seed(0)
    changed = []
    for number, file in enumerate(files):
        im, quality = CHANGES[name](Image.open(file).convert("RGB"))
        changed.append(folder / f"{number}.jpg")
        im.save(changed[-1], quality=quality)
    copies, read, search = searched([*files, *changed])
    n, hits, joined = len(files), 0, 0
    for group in copies.groups:
        originals = {m % n for m in group.members}
        hits += sum(m >= n and m - n in group.members for m in group.members)
        joined += len(originals) > 1
    print(f"| {name} | {hits / n:.2%} | {joined} | {2 * n / read:.0f} | {search:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=5000)
    wanted = parser.parse_args()
    for folder in wanted.folders:
        files = list(get_image_files(folder))
        random.seed(0)
        files = random.sample(files, min(len(files), wanted.most))
        copies, read, search = searched(files)
        rule = "photos" if copies.rule == PHOTOS else "lookalikes"
        print(
            f"\n{folder.name}: {len(files)} pictures, {len(copies.groups)} groups of copies, rule "
            f"for {rule}; read at {len(files) / read:.0f} pictures/s, searched in {search:.1f} s\n"
        )
        print("| change | found | groups of two originals | pictures/s read | s searched |")
        print("|---|---|---|---|---|")
        for name in CHANGES:
            with tempfile.TemporaryDirectory() as place:
                measured(name, files, Path(place))


if __name__ == "__main__":
    sys.exit(main())
