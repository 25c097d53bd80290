"""Suspects made by hand, of small pictures, and cleaners that are closed in the end."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from presize.interpret.clean.cleaner import Cleaner
from presize.interpret.suspects import Suspect, Suspects

VOCAB = ["beagle", "boxer", "great dane", "pug", "puli", "<b>bold</b>"]


def _picture(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (5, 4 + seed % 4, 3), np.uint8)
    Image.fromarray(pixels).resize((80 + seed, 60)).save(file)


@pytest.fixture
def found(tmp_path: Path) -> Suspects:
    """One broken picture, three of the same, three with wrong labels, two with large losses."""
    root = tmp_path / "dogs"
    evil = "<script>alert(1)</script>&\"'.jpg".replace("/", "\u2215") if os.sep == "/" else "e.jpg"
    names = ["pug/broken.jpg", "pug/a.jpg", "boxer/a.jpg", "pug/b.jpg"]
    names += ["pug/c.jpg", f"boxer/{evil}", "beagle/d.jpg", "boxer/e.jpg", "puli/f.jpg"]
    for i, name in enumerate(names):
        _picture(root / name, i)
    (root / names[0]).write_bytes(b"no picture")
    made = []
    for i, name in enumerate(names):
        given = name.split("/")[0]
        common = {"file": str(root / name), "given": given, "split": "train"}
        if i == 0:
            made.append(
                Suspect(reasons=("unreadable",), notes=("cannot be read",), score=1.0, **common)
            )
        elif i < 4:
            made.append(
                Suspect(reasons=("duplicate",), notes=("same",), score=0.9, group=0, **common)
            )
        else:
            likely = tuple((o, 0.7 / (k + 1)) for k, o in enumerate(VOCAB) if o != given)
            reason = ("label error", "top loss") if i < 7 else ("top loss",)
            notes = (f"looks like {likely[0][0]}", "loss 3.21")[: len(reason)]
            made.append(
                Suspect(reasons=reason, notes=notes, score=0.8, likely=likely[:3], **common)
            )
    return Suspects(listed=made, root=root, vocab=VOCAB, n=120)


@pytest.fixture
def opened(found: Suspects, tmp_path: Path) -> Iterator[Callable[..., Cleaner]]:
    """Open the page of the suspects, with decisions in `decisions.csv`."""
    made: list[Cleaner] = []

    def open_(what: Suspects = found, **options: object) -> Cleaner:
        made.append(Cleaner(what, tmp_path / "decisions.csv", **options))
        return made[-1]

    yield open_
    for cleaner in made:
        cleaner.stop()
