import numpy as np
import pytest
import torch
from PIL import Image

from presize.augment.presets import Normalize, imagenet_stats
from presize.core.randomness import set_seed
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.exporting import verify
from presize.models.zoo import resnet18
from presize.train.calibration import Calibration
from presize.train.calibration_error import ProbabilityFigures
from presize.vision.learner import vision_learner


@pytest.fixture(autouse=True)
def timed_in_a_moment(monkeypatch):
    """Time three pictures, not as many as there are in a part of a second."""
    monkeypatch.setattr(verify, "_TIMED", 0.0)


NO_FIGURES = ProbabilityFigures.of(torch.tensor([[0.5, 0.5]]), torch.tensor([0]))


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory):
    """train/{cat,dog}, valid/{cat,dog} of PNG pictures of several sizes: 4 + 6 a class."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(5)
    for split, count in (("train", 4), ("valid", 6)):
        for label, hue in (("cat", 0), ("dog", 2)):
            (root / split / label).mkdir(parents=True)
            for i in range(count):
                height, width = (int(n) for n in rng.integers(30, 60, size=2))
                pixels = rng.integers(0, 160, (height, width, 3))
                pixels[..., hue] += 80
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(root / split / label / f"{label}{i}.png")
    return root


def tiny(folder, path):
    """A learner with a network of a few layers, calibrated with a temperature of 2."""
    set_seed(1)
    dls = ImageDataLoaders.from_folder(
        folder,
        item_tfms=Resize(24),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
        bs=4,
        num_workers=0,
    )
    learn = vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], path=path)
    learn.calibration = Calibration(
        temperature=2.0,
        n=100,
        before=NO_FIGURES,
        after=NO_FIGURES,
        unknown="confidence",
        coverage=0.99,
        threshold=0.4,
    )
    return learn


@pytest.fixture(scope="module")
def learn(photo_folder, tmp_path_factory):
    return tiny(photo_folder, tmp_path_factory.mktemp("learner"))
