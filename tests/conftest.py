"""Fixtures that the whole suite shares: sample data, small pictures, seeds, a home of its own.

The sample archives are no part of the project. They are looked for in the folder that the
environment variable PRESIZE_TEST_DATA names, else in `shared/data` in the repository or beside
it; a test that needs one is skipped where it is not there.
"""

import atexit
import getpass
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before anything imports matplotlib, torch.hub or huggingface_hub: no window is ever opened, and
# no test reads or writes the caches of the person who runs it.
os.environ["MPLBACKEND"] = "Agg"
_home = tempfile.mkdtemp(prefix="presize-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.update(
    PRESIZE_HOME=f"{_home}/presize", TORCH_HOME=f"{_home}/torch", HF_HOME=f"{_home}/huggingface"
)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from presize.core.randomness import set_seed  # noqa: E402

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers already fill the cores

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Start every test from the same random state, whichever ran before it."""
    set_seed(42)


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """Close what a test drew: matplotlib warns about many open figures, and warnings are errors."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


def _sample_folder(archive: str) -> Path:
    """Return the folder that holds the unpacked `archive`, unpacking it once per machine."""
    named = os.environ.get("PRESIZE_TEST_DATA")
    places = [Path(named)] if named else [ROOT / "shared/data", ROOT.parent / "shared/data"]
    source = next((p / archive for p in places if (p / archive).is_file()), None)
    if source is None:
        looked = " and ".join(str(p) for p in places)
        pytest.skip(
            f"sample data {archive} is not in {looked}; set PRESIZE_TEST_DATA to its folder"
        )
    stat = source.stat()
    store = Path(tempfile.gettempdir()) / f"presize-samples-{getpass.getuser()}"
    store.mkdir(mode=0o700, exist_ok=True)
    folder = store / f"{source.stem}-{stat.st_size}-{int(stat.st_mtime)}"
    if not folder.is_dir():
        # Several workers may come here at once: each unpacks for itself, the first rename wins.
        mine = Path(tempfile.mkdtemp(dir=store))
        with tarfile.open(source) as tar:
            tar.extractall(mine, filter="data")
        try:
            mine.rename(folder)
        except OSError:
            shutil.rmtree(mine)
    return folder


@pytest.fixture(scope="session")
def mnist_path() -> Path:
    """The real 3s and 7s: train/{3,7}, valid/{3,7}, labels.csv."""
    return _sample_folder("mnist_sample.tgz") / "mnist_sample"


@pytest.fixture(scope="session")
def pets_path() -> Path:
    """One flat folder of photos named `Breed_number.jpg`: 37 breeds, 7 photos each."""
    return _sample_folder("pets_sample.tgz") / "pets_sample/images"


@pytest.fixture(scope="session")
def imagenette_path() -> Path:
    """Photos of ten classes: train/<id> and val/<id>."""
    return _sample_folder("imagenette_mini.tgz") / "imagenette_mini"


@pytest.fixture(scope="session")
def odd_images_path() -> Path:
    """A flat folder of odd and broken pictures."""
    return _sample_folder("odd_images.tgz") / "odd_images"


@pytest.fixture(scope="session")
def mobilenet_weights() -> Path:
    """A file of MobileNetV2 weights trained on ImageNet, with torchvision's key names."""
    folder = _sample_folder("weights.tgz") / "weights"
    return folder / "mobilenet_v2_imagenet_torchvision_layout.pth"


@pytest.fixture
def mobilenet_hub(mobilenet_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds those weights under the name that torchvision looks for."""
    checkpoints = tmp_path / "torch_home/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    shutil.copy(mobilenet_weights, checkpoints / "mobilenet_v2-7ebf99e0.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    return checkpoints


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A folder train/{cat,dog}, valid/{cat,dog} of small JPEGs of many sizes: 12 + 6 a class.

    The classes differ in hue and in the direction of their stripes, so a net can tell them apart.
    """
    rng = np.random.default_rng(7)
    root = tmp_path / "pictures"
    for split, count in (("train", 12), ("valid", 6)):
        for label in ("cat", "dog"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                _stripes(label, rng).save(folder / f"{number}.jpg", quality=90)
    return root


def _stripes(label: str, rng: np.random.Generator) -> Image.Image:
    height, width = (int(n) for n in rng.integers(40, 90, size=2))
    rows, columns = np.mgrid[:height, :width]
    wave = 90 + 60 * np.sin((rows if label == "cat" else columns) * rng.uniform(0.5, 0.9))
    picture = np.repeat(wave[..., None], 3, axis=2)
    picture[..., 0 if label == "cat" else 2] += 60
    noisy = picture + rng.normal(0, 12, picture.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
