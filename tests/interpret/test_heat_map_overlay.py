"""A heat map over its picture, and on real photos: it lies on the object."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from presize.core.errors import DataError
from presize.data.folders import ImageDataLoaders
from presize.interpret.heat_map import heat_maps
from presize.interpret.heat_map_overlay import blend, show_heat_map
from presize.learner import Learner
from presize.models.arch import create_vision_model


def test_the_cold_hides_nothing_and_the_warm_is_bright() -> None:
    picture = PIL.Image.new("RGB", (40, 20), (30, 60, 90))
    heat = torch.zeros(2, 4)
    heat[:, 3] = 1
    pixels = np.asarray(blend(picture, heat))
    assert pixels.shape == (20, 40, 3)
    assert (pixels[:, :5] == (30, 60, 90)).all()
    assert pixels[:, -3:].astype(int).sum() > 2 * pixels[:, :3].astype(int).sum()
    assert np.array_equal(np.asarray(blend(picture, heat, opacity=0)), np.asarray(picture))


def test_pictures_of_any_kind_can_lie_below() -> None:
    heat = np.random.default_rng(0).random((7, 7), dtype=np.float32)
    below: list[Any] = [
        PIL.Image.new("L", (31, 17), 9), PIL.Image.new("P", (31, 17)), torch.rand(3, 17, 31),
        torch.rand(1, 17, 31), torch.randn(3, 17, 31), np.zeros((17, 31), np.uint8),
    ]  # fmt: skip
    for picture in below:
        mixed = blend(picture, heat)
        assert (mixed.mode, mixed.size) == ("RGB", (31, 17))


def test_a_map_has_two_dimensions() -> None:
    with pytest.raises(DataError, match=r"\[h, w\]; got \[1, 7, 7\]"):
        blend(PIL.Image.new("RGB", (9, 9)), torch.zeros(1, 7, 7))


@pytest.fixture
def learn(picture_folder: Path) -> Learner:
    dls = ImageDataLoaders.from_folder(picture_folder, bs=4, item_tfms=None, num_workers=0)
    model = create_vision_model("resnet18", 2, pretrained=False)
    return Learner(dls, model, loss_func=nn.CrossEntropyLoss())


def test_a_learner_shows_what_speaks_for_a_class(learn: Learner, picture_folder: Path) -> None:
    file = picture_folder / "valid/dog/0.jpg"
    label, number, probabilities = learn.predict(file)
    ax = show_heat_map(learn, file)
    assert ax.get_title() == f"{label} {float(probabilities[number]):.2f}"
    with PIL.Image.open(file) as opened:
        assert ax.images[0].get_array().shape[:2] == opened.size[::-1]
    assert show_heat_map(learn, file, "dog").get_title().startswith("dog 0.")
    assert show_heat_map(learn, file, 0).get_title().startswith("cat 0.")
    assert show_heat_map(learn, file, "dog", ax=ax) is ax
    with pytest.raises(DataError, match=r"no class 'dgo'\. Did you mean .*dog"):
        show_heat_map(learn, file, "dgo")
    with pytest.raises(DataError, match="classes 0 to 1, but got 2"):
        show_heat_map(learn, file, 2)


def test_a_model_of_one_output_shows_what_speaks_for_the_second_class(
    learn: Learner, picture_folder: Path
) -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    single = Learner(learn.dls, nn.Sequential(body, nn.Linear(4, 1)), nn.BCEWithLogitsLoss())
    file = picture_folder / "valid" / "cat" / "1.jpg"
    for target in (None, "dog", 1):
        assert show_heat_map(single, file, target).get_title().startswith("dog 0.")
    for target in ("cat", 0):
        with pytest.raises(DataError, match="one output, which speaks for 'dog': what speaks for"):
            show_heat_map(single, file, target)


def test_a_model_shows_a_tensor(learn: Learner) -> None:
    x = torch.randn(3, 64, 80)
    ax = show_heat_map(learn.model, x, 1, picture=PIL.Image.new("RGB", (160, 128)))
    assert ax.get_title() == "class 1"
    assert ax.images[0].get_array().shape[:2] == (128, 160)
    with pytest.raises(DataError, match=r"tensor \[C, H, W\] as it sees it, but got str"):
        show_heat_map(learn.model, "photo.jpg")


# ---- real photos and weights -----------------------------------------------------------------

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.fixture
def imagenet_model(mobilenet_weights: Path) -> nn.Module:
    from torchvision.models import mobilenet_v2

    model = mobilenet_v2()
    model.load_state_dict(torch.load(mobilenet_weights, weights_only=True))
    return model.eval()


def photo(file: Path, side: int) -> torch.Tensor:
    with PIL.Image.open(file) as opened:
        pixels = np.array(PIL.ImageOps.fit(opened.convert("RGB"), (side, side)))
    return (torch.from_numpy(pixels).permute(2, 0, 1) / 255 - MEAN) / STD


def test_it_lies_on_the_object(imagenet_model: nn.Module, imagenette_path: Path) -> None:
    """Of two photos side by side, the map of what one shows lies on that one."""
    folders = sorted((imagenette_path / "val").iterdir())
    numbers = [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]  # of the folders, in ImageNet
    photos = [photo(sorted(folder.iterdir())[3], 224) for folder in folders]
    inside = []
    for i, number in enumerate(numbers):
        other = (i + 5) % len(photos)
        both = torch.cat([photos[i], photos[other]], 2)[None]
        heat = heat_maps(imagenet_model, both, torch.tensor([number]))[0]
        inside.append(float(heat[:, :224].sum() / heat.sum()))
    assert sum(inside) / len(inside) > 0.85
    assert sum(part > 0.5 for part in inside) >= 9
