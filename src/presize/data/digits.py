"""Real handwritten digits without a download, as a folder of pictures like any other.

scikit-learn carries 1,797 digits of 8x8 pixels (Alpaydin and Kaynak, "Optical recognition of
handwritten digits", UCI, 1998; written by 43 people). They are written to disk once, so that
they go the same way as the user's own pictures.
"""

import shutil
import tempfile

import numpy as np
import numpy.typing as npt
from PIL import Image

from presize.core.paths import Path, data_dir
from presize.core.randomness import shuffled

VALID_SHARE = 0.2
INK_LEVELS = 16  # the pixels count the ink of 4x4 blocks: 0..16


def digits_folder() -> Path:
    """Return the folder of digits, train/0..9 and valid/0..9, and write it if it is not there.

    Every fifth picture or so of each digit, the same ones on every machine, is in `valid`: 1,438
    to train on, 359 to validate.
    """
    folder = data_dir() / "digits"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed when complete: a run that is killed leaves no half
    # folder, and of two runs at once the first one wins.
    unfinished = Path(tempfile.mkdtemp(prefix=".digits-", dir=folder.parent))
    try:
        _write(unfinished)
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _write(root: Path) -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = (data.images * (255 / INK_LEVELS)).round().astype(np.uint8)
    valid = _valid_mask(data.target)
    for number, (picture, label) in enumerate(zip(pixels, data.target, strict=True)):
        folder = root / ("valid" if valid[number] else "train") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number:04}.png")
    root.chmod(0o755)  # mkdtemp makes folders that their owner alone may enter


def _valid_mask(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Say which pictures are for validation: a fifth of each label, always the same."""
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        places = places[shuffled(len(places), seed=0, epoch=int(label))]
        mask[places[: round(VALID_SHARE * len(places))]] = True
    return mask
