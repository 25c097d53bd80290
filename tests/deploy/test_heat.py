"""A heat map of one picture: where what the model saw lies in the whole picture."""

import io
from base64 import b64decode

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from presize.augment.presets import aug_transforms
from presize.core.errors import DataError, PresizeError, TrainingError
from presize.core.transform import Transform
from presize.data.crops import CropPad
from presize.data.folders import ImageDataLoaders
from presize.data.resize import RandomResizedCrop, Resize
from presize.deploy.heat import HeatMap, heat_map
from presize.learner import Learner


class Redness(nn.Module):
    """Class 1 is red and class 0 blue, and Grad-CAM finds the red or the blue places."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.maps.weight.data = torch.tensor([[-1.0, 0, 1], [1, 0, -1]])[..., None, None]
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return 9 * self.head(self.maps(x).relu())


def learner(folder, item_tfms, batch_tfms=None, model=None):
    dls = ImageDataLoaders.from_folder(
        folder, valid="valid", bs=4, num_workers=0, item_tfms=item_tfms, batch_tfms=batch_tfms
    )
    return Learner(dls, model or Redness(), loss_func=nn.CrossEntropyLoss())


def ramp(width, height):
    """A picture whose red says how far to the right a place is, and its green how far down."""
    rows, columns = np.mgrid[:height, :width]
    channels = [(columns + 0.5) / width, (rows + 0.5) / height, np.zeros((height, width))]
    return Image.fromarray((np.stack(channels, -1) * 255).round().astype(np.uint8))


@pytest.mark.parametrize("size", [(90, 60), (50, 81)], ids=["wide", "high"])
@pytest.mark.parametrize(
    ("item_tfms", "batch_tfms"),
    [
        (Resize(40), None),
        (Resize((32, 48), "squish"), None),
        (Resize(40, "pad", pad_mode="zeros"), None),
        (RandomResizedCrop(40), None),
        (CropPad(36), None),
        ([Resize(48), CropPad(32)], None),
        (Resize(64), aug_transforms(size=40)),
        (Resize(64), aug_transforms(size=(30, 50))),
    ],
    ids=["crop", "squish", "pad", "random crop", "cut", "two cuts", "presize", "oblong"],
)
def test_the_box_is_where_the_model_saw(picture_folder, item_tfms, batch_tfms, size):
    """The colours of what it saw tell where each place comes from."""
    learn = learner(picture_folder, item_tfms, batch_tfms)
    map_ = heat_map(learn, ramp(*size))
    left, top, right, bottom = map_.box
    seen = np.asarray(map_.seen, float)[..., :2] / 255
    rows, columns = seen.shape[:2]
    across = left + (np.arange(columns) + 0.5) / columns * (right - left)
    down = top + (np.arange(rows) + 0.5) / rows * (bottom - top)
    # Away from the edge, where pixels are blended with those beyond it.
    ins, ons = (np.flatnonzero((at > 0.06) & (at < 0.94)) for at in (across, down))
    assert len(ins) > 15 and len(ons) > 15
    assert np.abs(seen[ons][:, ins, 0] - across[ins]).max() < 0.02
    assert np.abs(seen[ons][:, ins, 1] - down[ons, None]).max() < 0.02


def two_colours():
    """Blue, with a red square right of the middle of a wide picture."""
    picture = Image.new("RGB", (120, 60), (40, 40, 200))
    picture.paste((220, 40, 40), (66, 20, 86, 40))
    return picture


def test_the_map_lies_on_what_speaks_for_the_class(picture_folder):
    learn = learner(picture_folder, Resize(40))
    map_ = heat_map(learn, two_colours(), learn.dls.vocab[1])
    assert (map_.label, map_.box) == ("dog", (0.25, 0.0, 0.75, 1.0))
    on = map_.on((120, 60))
    assert on.shape == (60, 120) and on[25:35, 70:82].min() > 0.8
    assert on[:, :60].max() < 0.1 and on[:, 92:].max() == 0 and on[45:].max() < 0.1
    other = heat_map(learn, two_colours())
    assert other.label == "cat" and other.on((120, 60))[:, 32:60].min() > 0.8
    assert other.probability == pytest.approx(float(learn.predict(two_colours())[2][0]))


def test_a_map_is_drawn_over_the_whole_picture_which_stays_itself_outside(picture_folder):
    learn = learner(picture_folder, Resize(40))
    drawn = np.asarray(heat_map(learn, two_colours(), 1).picture(), int)
    before = np.asarray(two_colours(), int)
    assert drawn.shape == before.shape
    assert (drawn[:, :29] == before[:, :29]).all()
    assert np.abs(drawn - before)[25:35, 70:82].sum(-1).min() > 60
    large = heat_map(learn, two_colours().resize((1100, 550)), 1).picture()
    assert large.size == (1024, 512)


def test_what_is_sent_is_small_and_transparent_where_it_is_cold(picture_folder):
    learn = learner(picture_folder, Resize(160))
    told = heat_map(learn, two_colours(), 1).to_dict()
    assert {"label", "probability", "box", "image"} == set(told)
    start = "data:image/png;base64,"
    assert told["image"].startswith(start) and len(told["image"]) < 20_000
    with Image.open(io.BytesIO(b64decode(told["image"].removeprefix(start)))) as opened:
        alpha = np.asarray(opened.convert("RGBA"))[..., 3]
    assert alpha.shape == (128, 128)
    assert alpha[:, :20].max() == 0 and alpha.max() > 240


def test_bytes_files_and_open_files_give_the_same_map(picture_folder):
    learn = learner(picture_folder, Resize(40))
    file = picture_folder / "valid/dog/1.jpg"
    data = file.read_bytes()
    maps = [heat_map(learn, item) for item in (file, str(file), data, bytearray(data))]
    with file.open("rb") as opened:
        maps.append(heat_map(learn, opened))
    for one in maps:
        assert np.array_equal(one.values, maps[0].values) and one.box == maps[0].box
        assert np.array_equal(one.picture(), maps[0].picture())


def test_photos_that_are_turned_upright_have_their_map_upright(picture_folder):
    learn = learner(picture_folder, Resize(40))
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    two_colours().transpose(Image.Transpose.ROTATE_90).save(out, "PNG", exif=exif)
    map_ = heat_map(learn, out.getvalue(), 1)
    assert map_.box == (0.25, 0.0, 0.75, 1.0) and map_.picture().size == (120, 60)
    assert map_.on((120, 60))[25:35, 70:82].min() > 0.8


class Turned(Transform):
    """A transform of a user's own, of which nobody knows what it does to places."""

    order = 99

    def encodes(self, x):
        return x.flip(-1) if x.ndim == 4 else x


def test_a_users_own_movement_leaves_the_map_on_what_the_model_saw(picture_folder):
    learn = learner(picture_folder, Resize(40), [Turned()])
    map_ = heat_map(learn, two_colours(), 1)
    told = map_.to_dict()
    assert map_.box is None and told["box"] is None
    assert told["seen"].startswith("data:image/") and map_.picture().size == (40, 40)
    assert map_.values[15:25, 5:10].min() > 0.8  # it was turned, and so is what is shown
    assert np.asarray(map_.seen)[20, 8, 0] > 150
    with pytest.raises(PresizeError, match=r"is not known: .* Lay it over `.seen`"):
        map_.on((120, 60))


def test_an_unknown_class_and_a_network_without_maps_are_told(picture_folder):
    learn = learner(picture_folder, Resize(8))
    with pytest.raises(DataError, match="There is no class 'dgo'. Did you mean `dog`"):
        heat_map(learn, two_colours(), "dgo")
    flat = learner(picture_folder, Resize(8), model=nn.Sequential(nn.Flatten(), nn.Linear(192, 2)))
    with pytest.raises(TrainingError, match="has no layer that gives maps of a picture"):
        heat_map(flat, two_colours())


def test_it_leaves_the_model_as_it_was(picture_folder):
    learn = learner(picture_folder, Resize(40))
    before = learn.predict(two_colours())[2]
    learn.model.train()
    assert isinstance(heat_map(learn, two_colours()), HeatMap)
    assert all(module.training for module in learn.model.modules())
    assert not any(module._forward_hooks for module in learn.model.modules())
    assert torch.equal(learn.predict(two_colours())[2], before)
