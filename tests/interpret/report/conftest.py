"""Learners whose reports are read: small pictures, names that are hostile, a net of two layers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from presize.core.randomness import set_seed
from presize.data.resize import Resize
from presize.learner import Learner
from presize.train.metrics import accuracy

SCRIPT = "<img src=x onerror=\"document.title='run'\">"
LABEL = "</script><script>document.title='run'</script>"


def draw(kind: int, seed: int, size: tuple[int, int] = (48, 64), strength: int = 70) -> Image.Image:
    """A picture in the colour of its kind, with noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(110, 40, (*size, 3))
    pixels[..., kind % 3] += strength
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def small_net(n_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, n_out),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """A classifier of three classes that has learnt them.

    One label is hostile, and the name of one file, whose label is wrong.
    """
    set_seed(1)
    root = tmp_path_factory.mktemp("data") / "pictures"
    for split, n in (("train", 16), ("valid", 8)):
        for kind, folder in enumerate(("red", "green", "blue")):
            (root / split / folder).mkdir(parents=True)
            for i in range(n):
                seed = 100 * kind + i + 1000 * (split == "valid")
                draw(kind, seed).save(root / split / folder / f"{i}.png")
    # A copy that is in training and validation both, and a label that is wrong.
    (root / "valid/red/copy.png").write_bytes((root / "train/red/3.png").read_bytes())
    draw(2, 7000, strength=130).save(root / f"valid/red/{SCRIPT}.png")
    files = sorted(root.rglob("*.png"))
    dls = _loaders(root, files)
    learn = Learner(dls, small_net(3), metrics=accuracy, path=root.parent)
    with learn.no_logging():
        learn.fit(1, 1e-2)
        learn.fit_one_cycle(8, 2e-2)
    return learn


def _loaders(root: Path, files: list[Path]) -> Any:
    from presize.data.blocks import CategoryBlock, ImageBlock
    from presize.data.datablock import DataBlock
    from presize.data.splits import GrandparentSplitter

    names = {"red": "red", "green": LABEL, "blue": "blue"}
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=lambda file: names[file.parent.name],
        splitter=GrandparentSplitter(),
        item_tfms=Resize(32),
    )
    return block.dataloaders(files, path=root, bs=16, num_workers=0)
